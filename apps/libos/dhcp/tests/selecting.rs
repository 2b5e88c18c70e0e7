//! Which of several offers is taken (RFC 2131, 3.1.3 and 4.4.1).

use crate::support::answer::Answer;
use crate::support::script::{Script, settings};
use crate::support::sent::Sent;
use crate::support::{Dice, HOST, OTHER, SERVER, ip};
use reflex_dhcp::*;
use std::net::Ipv4Addr;

#[test]
fn the_first_offer_is_taken_at_once() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover).by(OTHER));
    assert_eq!(script.leaves_at(0.0, Kind::Request).server(), Some(OTHER));
}

/// A client that has lost a lease, without fault of its server.
fn lost() -> (Script, Sent) {
    let mut script = Script::bound_by(|to| Answer::ack(to).seconds(120));
    script.leaves_within(58.0..=60.0, Kind::Request);
    script.leaves_at(105.0, Kind::Request);
    script.tells_at(120.0, Action::Lost(Loss::Expired));
    let discover = script.leaves_at(120.0, Kind::Discover);
    (script, discover)
}

/// Its server keeps the address (RFC 2131, 4.3.1).
#[test]
fn the_last_server_is_preferred() {
    let (mut script, discover) = lost();
    script.arrives(&Answer::offer(&discover).by(OTHER).address(ip(90)));
    script.silent_until(120.5);
    script.arrives(&Answer::offer(&discover));
    assert_eq!(script.leaves_at(120.5, Kind::Request).server(), Some(SERVER));
}

#[test]
fn the_last_server_is_not_waited_for_any_longer_than_a_moment() {
    let (mut script, discover) = lost();
    script.arrives(&Answer::offer(&discover).by(OTHER));
    assert_eq!(script.leaves_at(121.2, Kind::Request).server(), Some(OTHER));
}

/// A client that was refused what its first server had offered.
fn deceived() -> (Script, Sent) {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    script.arrives(&Answer::nak(&request));
    let discover = script.leaves_at(4.0, Kind::Discover);
    (script, discover)
}

#[test]
fn a_server_that_did_not_keep_its_word_comes_last() {
    let (mut script, discover) = deceived();
    script.arrives(&Answer::offer(&discover));
    script.arrives(&Answer::offer(&discover).by(OTHER));
    script.arrives(&Answer::offer(&discover));
    assert_eq!(script.leaves_at(5.2, Kind::Request).server(), Some(OTHER));
}

#[test]
fn a_server_that_did_not_keep_its_word_is_better_than_none() {
    let (mut script, discover) = deceived();
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves_at(5.2, Kind::Request);
    assert_eq!(request.server(), Some(SERVER));
    script.arrives(&Answer::ack(&request));
    script.tells(Action::Granted);
}

/// A server that has not answered may have its reasons; another is asked first all the same.
#[test]
fn a_server_that_did_not_answer_comes_last() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    for _ in 0..4 {
        script.leaves(Kind::Request);
    }
    let discover = script.leaves_at(60.0, Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    script.arrives(&Answer::offer(&discover).by(OTHER));
    assert_eq!(script.leaves(Kind::Request).server(), Some(OTHER));
}

/// While there is an offer nobody is asked again.
#[test]
fn an_offer_at_the_last_moment_is_still_considered() {
    let (mut script, discover) = deceived();
    script.silent_until(7.9);
    script.arrives(&Answer::offer(&discover));
    assert_eq!(script.leaves_at(9.1, Kind::Request).server(), Some(SERVER));
}

/// Once a lease has worked, what was before is forgotten.
#[test]
fn a_lease_that_has_worked_clears_the_record() {
    let (mut script, discover) = deceived();
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    script.arrives(&Answer::ack(&request).seconds(120));
    script.tells(Action::Granted);
    let begun = script.seconds();
    let renewal = script.leaves(Kind::Request);
    script.leaves_at(begun + 105.0, Kind::Request);
    script.refuses(&Answer::nak(&renewal), Error::OtherTransaction);
    script.tells(Action::Lost(Loss::Expired));
    // At once, and its server is the preferred one again.
    let discover = script.leaves_at(begun + 120.0, Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    assert_eq!(script.leaves_at(begun + 120.0, Kind::Request).server(), Some(SERVER));
}

/// No host can have these (RFC 1122, 3.2.1.3).
#[test]
fn addresses_that_no_host_can_have_are_refused() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    for address in [
        [0, 0, 0, 0],
        [0, 1, 2, 3],
        [255, 255, 255, 255],
        [224, 0, 0, 1],
        [239, 255, 255, 255],
        [127, 0, 0, 1],
        [127, 255, 1, 1],
        // The subnet's own, and everybody's in it.
        [10, 77, 0, 0],
        [10, 77, 0, 255],
    ] {
        let offer = Answer::offer(&discover).address(address.into());
        script.refuses(&offer, Error::Address);
    }
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    let ack = Answer::ack(&request).address(Ipv4Addr::new(127, 0, 0, 1));
    script.refuses(&ack, Error::Address);
}

/// Subnets of one and two addresses have neither (RFC 3021), and some networks use what is reserved.
#[test]
fn unusual_addresses_are_not_refused() {
    for (address, mask) in [
        (ip(0), [255, 255, 255, 254]),
        (ip(255), [255, 255, 255, 254]),
        (ip(255), [255; 4]),
        (Ipv4Addr::new(240, 1, 2, 3), [255, 0, 0, 0]),
        (Ipv4Addr::new(169, 254, 1, 2), [255, 255, 0, 0]),
    ] {
        let with = |answer: Answer| answer.address(address).with(1, mask);
        let mut script = Script::begin();
        script.acquire(|to| with(Answer::offer(to)), |to| with(Answer::ack(to)));
        assert_eq!(script.lease().address(), address);
    }
    // In the middle of a larger subnet.
    let with = |answer: Answer| answer.address(ip(255)).with(1, [255, 255, 0, 0]);
    let mut script = Script::begin();
    script.acquire(|to| with(Answer::offer(to)), |to| with(Answer::ack(to)));
}

#[test]
fn servers_that_cannot_be_reached_are_refused() {
    let mut script = Script::begin_with(settings(), None);
    let discover = script.leaves(Kind::Discover);
    for server in [[0, 0, 0, 0], [255; 4], [127, 0, 0, 1], [224, 0, 0, 12]] {
        script.refuses(&Answer::offer(&discover).with(54, server), Error::ServerAddress);
    }
    script.refuses(&Answer::offer(&discover).without(54), Error::NoServer);
    script.refuses(&Answer::offer(&discover).with(54, [10, 77, 0]), Error::OptionLength);
    script.arrives(&Answer::offer(&discover));
    assert_eq!(script.leaves(Kind::Request).requested(), Some(HOST));
}

/// Which of these offers is taken, with random numbers of this seed, by a client that has been
/// refused so many times by the usual server.
fn choice(draws: u64, refusals: u32, servers: &[Ipv4Addr]) -> Ipv4Addr {
    let mut script = Script::begin();
    for _ in 0..refusals {
        let discover = script.leaves(Kind::Discover);
        script.arrives(&Answer::offer(&discover));
        let request = script.leaves(Kind::Request);
        script.arrives(&Answer::nak(&request));
    }
    script.dice = Some(Dice(draws));
    let discover = script.leaves(Kind::Discover);
    for server in servers {
        script.arrives(&Answer::offer(&discover).by(*server));
    }
    script.leaves(Kind::Request).server().expect("a server")
}

/// How often each is taken, in 480 choices.
fn counts(refusals: u32, servers: &[Ipv4Addr]) -> Vec<usize> {
    let choices: Vec<Ipv4Addr> = (0..480).map(|draws| choice(draws, refusals, servers)).collect();
    servers.iter().map(|it| choices.iter().filter(|choice| *choice == it).count()).collect()
}

/// One that always answers first is not always taken.
#[test]
fn equal_offers_are_drawn_by_lot() {
    for count in counts(1, &[ip(10), ip(11), ip(12), ip(13)]) {
        assert!((60..=180).contains(&count), "{count} of 480");
    }
}

/// Wherever it comes among them.
#[test]
fn a_suspect_is_not_drawn_among_others() {
    for place in 0..4 {
        let mut servers = vec![ip(10), ip(11), ip(12)];
        servers.insert(place, SERVER);
        let counts = counts(1, &servers);
        assert_eq!(counts[place], 0, "{counts:?}");
        assert!(counts.iter().filter(|count| **count > 60).count() == 3, "{counts:?}");
    }
}

/// A server can be suspected for what the network did, and others may be worse: after several
/// misfortunes each has its chance now and then.
#[test]
fn a_suspect_is_drawn_now_and_then() {
    let counts = counts(2, &[SERVER, ip(10)]);
    assert!((10..=160).contains(&counts[0]), "{counts:?}");
}
