//! From nothing to an address (RFC 2131, 3.1, 4.1 and 4.4.1).

use crate::support::answer::Answer;
use crate::support::script::{Script, settings};
use crate::support::{HOST, OTHER, SERVER, ip};
use reflex_dhcp::*;
use std::net::Ipv4Addr;
use std::time::Duration;

/// RFC 2131, 3.1: four messages, without a wait between them.
#[test]
fn an_address_is_had_in_four_messages() {
    let mut script = Script::begin();
    let discover = script.leaves_at(0.0, Kind::Discover);
    script.stands(Standing::Selecting);
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves_at(0.0, Kind::Request);
    script.stands(Standing::Requesting);
    script.arrives(&Answer::ack(&request));
    script.tells_at(0.0, Action::Granted);
    script.stands(Standing::Bound);
    let lease = script.lease();
    assert_eq!((lease.address(), lease.prefix(), lease.server()), (HOST, 24, SERVER));
    assert_eq!(script.gateways(), [SERVER]);
    let counters = script.client.counters();
    assert_eq!((counters.sent, counters.accepted), (2, 2));
    script.silent_until(1700.0);
}

/// RFC 2131, table 5: a discovery names no address and no server.
#[test]
fn a_discovery_goes_to_everybody_and_names_nobody() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    assert_eq!(
        (discover.source, discover.destination),
        (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)
    );
    assert_eq!((discover.requested(), discover.server()), (None, None));
    assert_eq!((discover.ciaddr, discover.secs), (Ipv4Addr::UNSPECIFIED, 0));
}

/// RFC 2131, 4.3.2 and table 5: after SELECTING, server and address are options, and ciaddr is zero.
#[test]
fn a_request_names_the_offer_and_goes_to_everybody() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    assert_eq!((request.requested(), request.server()), (Some(HOST), Some(SERVER)));
    assert_eq!((request.source, request.ciaddr), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED));
    assert_eq!(request.destination, Ipv4Addr::BROADCAST);
    assert_eq!(request.xid, discover.xid, "of the offer (4.4.1)");
}

/// RFC 2131, 4.1: 4, 8, 16, 32, 64 seconds, and so on, a second more or less.
#[test]
fn discoveries_come_more_and_more_seldom() {
    let mut script = Script::begin();
    let first = script.leaves_at(0.0, Kind::Discover);
    for at in [4.0, 12.0, 28.0, 60.0, 124.0, 188.0, 252.0] {
        let next = script.leaves_at(at, Kind::Discover);
        assert_eq!((next.xid, f64::from(next.secs)), (first.xid, at), "of one transaction");
    }
}

/// RFC 2131, 4.4.1: the request says what the discovery has said, so that relays treat both alike.
#[test]
fn a_request_repeats_the_seconds_of_its_discovery() {
    let mut script = Script::begin();
    for _ in 0..3 {
        script.leaves(Kind::Discover);
    }
    let discover = script.leaves_at(28.0, Kind::Discover);
    script.silent_until(30.0);
    script.arrives(&Answer::offer(&discover));
    for at in [30.0, 34.0] {
        assert_eq!(script.leaves_at(at, Kind::Request).secs, 28);
    }
}

/// RFC 2131, 3.1.5: four requests in a minute, then all anew, in another transaction.
#[test]
fn a_server_that_does_not_answer_is_given_up_after_a_minute() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    for at in [0.0, 4.0, 12.0, 28.0] {
        assert_eq!(script.leaves_at(at, Kind::Request).xid, discover.xid);
    }
    let anew = script.leaves_at(60.0, Kind::Discover);
    assert_ne!(anew.xid, discover.xid);
    assert_eq!(anew.secs, 0);
}

/// RFC 2131, 3.1.5: a refused request leads back to discovery. One that always comes is not to lead to
/// a storm: after more and more time.
#[test]
fn a_refusal_of_every_request_slows_the_client_down() {
    let mut script = Script::begin();
    let mut at = 0.0;
    for wait in [4.0, 8.0, 16.0, 32.0, 64.0, 64.0] {
        let discover = script.leaves_at(at, Kind::Discover);
        script.arrives(&Answer::offer(&discover));
        if at > 0.0 {
            at += 1.2; // Others are waited for, too.
        }
        let request = script.leaves_at(at, Kind::Request);
        script.arrives(&Answer::nak(&request));
        script.stands(Standing::Init);
        at += wait;
    }
    script.leaves_at(at, Kind::Discover);
}

/// RFC 2131, 3.1.4: those that were not selected have nothing to refuse.
#[test]
fn a_refusal_by_a_server_that_was_not_selected_is_ignored() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.refuses(&Answer::nak(&discover).by(OTHER), Error::Unexpected);
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer::nak(&request).by(OTHER), Error::OtherServer);
    script.arrives(&Answer::ack(&request));
    script.tells(Action::Granted);
}

/// RFC 2131, table 3: a refusal names its server.
#[test]
fn a_refusal_by_nobody_is_ignored() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer::nak(&request).without(54), Error::NoServer);
}

#[test]
fn an_acknowledgement_by_a_server_that_was_not_selected_is_ignored() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer::ack(&request).by(OTHER), Error::OtherServer);
    script.refuses(&Answer::ack(&request).without(54), Error::NoServer);
    script.leaves_at(4.0, Kind::Request);
}

/// RFC 2131, 3.1.3: further offers are of no interest.
#[test]
fn offers_after_the_request_are_ignored() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    script.leaves(Kind::Request);
    script.refuses(&Answer::offer(&discover).by(OTHER), Error::Unexpected);
    script.refuses(&Answer::offer(&discover), Error::Unexpected);
}

/// RFC 4039, 3.1: an acknowledgement of a discovery counts only if rapid commit was asked for.
#[test]
fn an_acknowledgement_that_was_not_asked_for_is_ignored() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    assert_eq!(discover.option(80), None);
    script.refuses(&Answer::ack(&discover).with(80, []), Error::Unexpected);
}

/// RFC 2131, 4.4.1: replies are of the transaction that is under way.
#[test]
fn replies_of_other_transactions_are_ignored() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    let old = Answer { xid: discover.xid ^ 1, ..Answer::offer(&discover) };
    script.refuses(&old, Error::OtherTransaction);
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer { xid: !request.xid, ..Answer::ack(&request) }, Error::OtherTransaction);
    script.refuses(&Answer { xid: !request.xid, ..Answer::nak(&request) }, Error::OtherTransaction);
}

/// RFC 2131, 4.1: replies go to the offered address or to everybody, as the flag says and as a relay can.
#[test]
fn replies_to_the_address_and_to_everybody_are_heard() {
    for (station, host) in [
        (crate::support::MAC, HOST),
        (BROADCAST_MAC, Ipv4Addr::BROADCAST),
        (crate::support::MAC, Ipv4Addr::BROADCAST),
        (BROADCAST_MAC, ip(255)),
    ] {
        let mut script = Script::begin();
        let sent = |answer: Answer| Answer {
            stations: (answer.stations.0, station),
            hosts: (answer.hosts.0, host),
            ..answer
        };
        script.acquire(|to| sent(Answer::offer(to)), |to| sent(Answer::ack(to)));
    }
}

/// RFC 2131, 4.1: a relay may pass replies on from its own address; the server's identifier is its own.
/// RFC 1542, 4.1.2: from any port.
#[test]
fn replies_through_a_relay_are_heard() {
    let far = Ipv4Addr::new(192, 0, 2, 7);
    let relayed = |answer: Answer| Answer {
        giaddr: SERVER,
        hosts: (SERVER, HOST),
        ports: (5067, 68),
        ..answer.with(54, far.octets())
    };
    let mut script = Script::begin();
    script.acquire(|to| relayed(Answer::offer(to)), |to| relayed(Answer::ack(to)));
    assert_eq!(script.lease().server(), far);
    let renewal = script.leaves_within(1743.0..=1800.0, Kind::Request);
    assert_eq!(renewal.destination, far, "past the relay (RFC 2131, 4.4.5)");
}

/// RFC 2131, 4.1: a client that can hear unicast before it has an address clears the flag. Where nothing comes
/// of that, the network may be unable to deliver it.
#[test]
fn broadcasts_are_asked_for_when_nothing_else_comes() {
    let mut script = Script::begin();
    for expected in [false, false, true, true, true] {
        assert_eq!(script.leaves(Kind::Discover).broadcast, expected);
    }
    let mut script =
        Script::begin_with(Settings { delivery: Delivery::Broadcast, ..settings() }, None);
    assert!(script.leaves(Kind::Discover).broadcast);
}

/// What was found out for offers holds for the acknowledgement.
#[test]
fn a_request_asks_for_broadcasts_where_the_discovery_had_to() {
    let mut script = Script::begin();
    for _ in 0..2 {
        script.leaves(Kind::Discover);
    }
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    assert!(script.leaves(Kind::Request).broadcast);
}

/// RFC 2131, 4.4.1: hosts that are switched on together do not ask together, where that is asked for.
#[test]
fn the_first_discovery_waits_as_long_as_it_is_told_to() {
    let delayed = Settings { start_delay: Duration::from_secs(10), ..settings() };
    let mut script = Script::begin_with(delayed, None);
    script.stands(Standing::Init);
    script.leaves_within(0.001..=10.0, Kind::Discover);
}

/// RFC 2131, 4.3.1: what counts is what the server has written down.
#[test]
fn a_server_may_acknowledge_another_address_than_it_has_offered() {
    let mut script = Script::begin();
    script.acquire(Answer::offer, |to| Answer::ack(to).address(ip(43)));
    assert_eq!(script.lease().address(), ip(43));
}

/// RFC 2131, 4.4.1: the lease counts from the request, and from the first that may be meant.
#[test]
fn a_lease_begins_with_the_first_request() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    script.leaves(Kind::Request);
    script.leaves_at(4.0, Kind::Request);
    let request = script.leaves_at(12.0, Kind::Request);
    script.silent_until(14.0);
    script.arrives(&Answer::ack(&request));
    script.tells_at(14.0, Action::Granted);
    assert_eq!(script.lease().expiry, Instant::ZERO + Duration::from_secs(1000 + 3600));
}

/// A lease that is over when it is heard of is none.
#[test]
fn an_acknowledgement_that_comes_too_late_is_refused() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    for _ in 0..3 {
        script.leaves(Kind::Request);
    }
    let request = script.leaves_at(28.0, Kind::Request);
    script.refuses(&Answer::ack(&request).seconds(28), Error::LeaseTooShort);
    script.arrives(&Answer::ack(&request).seconds(29));
    script.tells(Action::Granted);
}
