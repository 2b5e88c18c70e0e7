//! What the client's messages say beside (RFC 2131, table 5; RFC 2132).

use crate::support::script::{Script, settings};
use crate::support::{HOST, MAC};
use reflex_dhcp::*;

const NONE: Option<&[u8]> = None;

fn discover(settings: Settings) -> crate::support::sent::Sent {
    Script::begin_with(settings, None).leaves(Kind::Discover)
}

/// RFC 2132, 9.8, and RFC 3442: classless routes are asked for before routers.
#[test]
fn what_is_understood_is_asked_for() {
    let wanted = discover(settings()).option(55).expect("a list").to_vec();
    for code in [1, 3, 6, 15, 26, 51, 58, 59, 121] {
        assert_eq!(wanted.iter().filter(|wanted| **wanted == code).count(), 1, "{code}");
    }
    let place = |code| wanted.iter().position(|wanted| *wanted == code);
    assert!(place(121) < place(3));
}

/// RFC 2131, 4.3.1: the request asks for the same as the discovery; RFC 4361, 6.1: and is by the same.
#[test]
fn the_request_is_by_the_same_and_asks_for_the_same() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&crate::support::answer::Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    for code in [12, 55, 57, 61] {
        assert_eq!(request.option(code), discover.option(code), "{code}");
    }
}

/// RFC 4361, 6.1: type 255, IAID, DUID; RFC 8415, 11.4: of the hardware address.
#[test]
fn the_client_is_a_node_and_an_interface() {
    let identifier = Identifier::Node { interface: 0x0102_0304 };
    let sent = discover(Settings { identifier, ..settings() });
    let expected = [&[255, 1, 2, 3, 4, 0, 3, 0, 1][..], &MAC].concat();
    assert_eq!(sent.option(61), Some(&expected[..]));
    let sent = discover(Settings { identifier: Identifier::Hardware, ..settings() });
    assert_eq!(sent.option(61), Some(&[&[1][..], &MAC].concat()[..]));
    let sent = discover(Settings { identifier: Identifier::Absent, ..settings() });
    assert_eq!(sent.option(61), NONE);
}

/// RFC 2132, 3.14 and RFC 4702, 3.1: one of the two.
#[test]
fn the_host_has_a_name() {
    let named = |name: &str| {
        let host_name = Name::new(name.bytes());
        assert!(host_name.is_some());
        discover(Settings { host_name, ..settings() })
    };
    let short = named("reflex");
    assert_eq!((short.option(12), short.option(81)), (Some(&b"reflex"[..]), NONE));
    let full = named("reflex.example.org");
    let wire = b"\x05\0\0\x06reflex\x07example\x03org\0";
    assert_eq!((full.option(12), full.option(81)), (NONE, Some(&wire[..])));
    let none = discover(settings());
    assert_eq!((none.option(12), none.option(81)), (NONE, NONE));
}

/// The longest names fit into the room that is promised, or are left out.
#[test]
fn the_longest_names_fit() {
    let label = "a".repeat(63);
    let host_name = Name::new(label.bytes());
    let sent = discover(Settings { host_name, ..settings() });
    assert_eq!(sent.option(12).map(<[u8]>::len), Some(63));
    for (last, sent_length) in [(58, Some(255)), (59, None), (61, None)] {
        let name = format!("{label}.{label}.{label}.{}", "b".repeat(last));
        let host_name = Name::new(name.bytes());
        assert!(host_name.is_some(), "{}", name.len());
        let sent = discover(Settings { host_name, ..settings() });
        assert_eq!(sent.option(81).map(<[u8]>::len), sent_length, "{}", name.len());
    }
}

/// RFC 2132, 9.10: 576 at least; with or without headers it fits the interface.
#[test]
fn the_largest_message_fits_the_interface() {
    let largest = |mtu| {
        let sent = discover(Settings { mtu, ..settings() });
        u16::from_be_bytes(sent.option(57).expect("a size").try_into().expect("two bytes"))
    };
    assert_eq!((largest(1500), largest(9000), largest(68)), (1472, 8972, 576));
}

/// RFC 2131, table 5: a release and a declination ask for nothing.
#[test]
fn a_release_and_a_declination_ask_for_nothing() {
    let host_name = Name::new(*b"reflex");
    let mut script = Script::begin_with(Settings { host_name, ..settings() }, None);
    script.acquire(crate::support::answer::Answer::offer, crate::support::answer::Answer::ack);
    script.call(|client, now, random| client.conflict(HOST, now, random));
    let decline = script.leaves(Kind::Decline);
    script.tells(Action::Lost(Loss::Conflict));
    let mut script = Script::bound();
    script.call(Client::stop);
    let release = script.leaves(Kind::Release);
    script.tells(Action::Lost(Loss::Released));
    for sent in [decline, release] {
        assert_eq!((sent.option(55), sent.option(57), sent.option(12)), (NONE, NONE, NONE));
        assert!(sent.option(61).is_some(), "by the same client (RFC 2131, 4.4.6)");
    }
}

/// A buffer that is too short is an error at every length, and never a panic.
#[test]
fn short_buffers_are_an_error() {
    let client = Client::new(settings());
    let mut started = client.clone();
    let actions = started.start(None, Instant::ZERO, &mut || 7);
    let Some(Action::Send(request)) = actions.into_iter().next() else { panic!("{actions:?}") };
    let mut frame = [0; LONGEST_FRAME];
    let whole = client.write_frame(&request, BROADCAST_MAC, &mut frame).expect("room");
    let message = client.write_message(&request, &mut frame).expect("room");
    assert_eq!(whole, message + 42);
    for length in 0..whole {
        let result = client.write_frame(&request, BROADCAST_MAC, &mut frame[..length]);
        assert_eq!(result, Err(Error::BufferTooShort), "{length}");
    }
    for length in 0..message {
        let result = client.write_message(&request, &mut frame[..length]);
        assert_eq!(result, Err(Error::BufferTooShort), "{length}");
    }
}
