//! Servers that refuse, and leases that are none: no flood of messages, and an address in the end.

use super::server::*;
use reflex_dhcp::{BURST, Error, INTERVAL, Oddity};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Answers every message for an hour; how many there were.
fn an_hour_with(leased: &mut Leased, answer: impl Fn(u8) -> Option<(u8, Options)>) -> usize {
    let begun = messages(&leased.sent).len();
    let mut answered = begun - 1;
    let end = leased.clock.now() + HOUR;
    while leased.clock.now() < end {
        // What an answer leads to is answered at once.
        while let Some(message) = messages(&leased.sent).get(answered) {
            answered += 1;
            if let Some((kind, options)) = answer(message.kind) {
                let frame =
                    super::server::answer(leased.host.mac, kind, message.transaction, &options);
                leased.hears(&frame);
            }
        }
        leased.passes(Duration::from_secs(1));
    }
    messages(&leased.sent).len() - begun
}

/// Messages that the client has promised not to exceed in an hour.
fn bound() -> usize {
    BURST as usize + HOUR.div_duration_f64(INTERVAL) as usize
}

/// Every request is refused: the client asks more and more seldom, and takes what it is granted then.
#[test]
fn refusals_bring_no_storm() {
    let mut leased = Leased::begin();
    let sent = an_hour_with(&mut leased, |kind| match kind {
        DISCOVER => Some((OFFER, usual())),
        REQUEST => Some((NAK, Options::new())),
        _ => None,
    });
    assert!((4..bound() / 2).contains(&sent), "{sent}");
    assert_eq!(leased.net().address(), None);
    let again = Duration::from_secs(900);
    leased.passes_until(again, |sent| messages(sent).iter().any(|it| it.kind == DISCOVER));
    leased.is_granted(&usual());
}

/// Refusals of a server that was not selected are none.
#[test]
fn a_stranger_refuses_nothing() {
    let mut leased = Leased::begin();
    leased.is_answered(OFFER, &usual());
    let request = messages(&leased.sent).pop().unwrap();
    assert_eq!(request.kind, REQUEST);
    let mut refusal = answer(leased.host.mac, NAK, request.transaction, &Options::new());
    let at = refusal.windows(6).position(|it| it == [54, 4, 10, 0, 0, 99]).unwrap();
    refusal[at + 5] = 98;
    // No checksum.
    refusal[40..42].fill(0);
    assert!(leased.hears(&refusal).is_empty());
    leased.is_answered(ACK, &usual());
    assert_eq!(leased.net().address().unwrap().address, OFFERED);
    assert_eq!(leased.net().dhcp_counters().unwrap().refused(Error::OtherServer), 1);
}

#[test]
fn leases_of_no_time_bring_no_storm() {
    let mut leased = Leased::begin();
    let none = with(usual(), LEASE, &[0; 4]);
    let sent = an_hour_with(&mut leased, |kind| match kind {
        DISCOVER => Some((OFFER, none.clone())),
        REQUEST => Some((ACK, none.clone())),
        _ => None,
    });
    assert!((4..bound() / 2).contains(&sent), "{sent}");
    assert_eq!(leased.net().address(), None);
}

/// What is refused is counted by its reason, and what is strange.
#[test]
fn the_clients_counters_are_the_stacks() {
    let mut leased = Leased::granted(&with(usual(), MASK, &[]));
    let before = leased.net().dhcp_counters().unwrap();
    assert_eq!((before.sent, before.accepted), (2, 2));
    assert_eq!(before.odd(Oddity::NoMask), 1);
    let mut broken = answer(leased.host.mac, ACK, [0; 4], &usual());
    *broken.last_mut().unwrap() ^= 1;
    leased.hears(&broken);
    let after = leased.net().dhcp_counters().unwrap();
    assert_eq!(after.refused(Error::UdpChecksum), 1);
    assert_eq!((after.sent, after.accepted), (2, 2));
}
