//! How leases are prolonged, and how they end (RFC 2131, 4.4.5).

use crate::support::answer::Answer;
use crate::support::script::Script;
use crate::support::{HOST, OTHER, SERVER, SERVER_MAC, ip};
use reflex_dhcp::*;
use std::net::Ipv4Addr;

/// A script that has asked its server for more time.
fn renewing() -> (Script, crate::support::sent::Sent) {
    let mut script = Script::bound();
    let request = script.leaves_within(1743.0..=1800.0, Kind::Request);
    script.stands(Standing::Renewing);
    (script, request)
}

/// One that has asked all servers.
fn rebinding() -> (Script, crate::support::sent::Sent) {
    let (mut script, _) = renewing();
    while script.client.standing() == Standing::Renewing {
        let request = script.leaves(Kind::Request);
        if request.destination.is_broadcast() {
            return (script, request);
        }
    }
    panic!("{:?}", script.client.standing());
}

/// RFC 2131, 4.3.2 and table 5: the server alone is asked, by the address in use and no option.
#[test]
fn at_t1_the_server_is_asked() {
    let (_script, request) = renewing();
    assert_eq!((request.source, request.destination), (HOST, SERVER));
    assert_eq!(request.to_station, SERVER_MAC);
    assert_eq!((request.ciaddr, request.requested(), request.server()), (HOST, None, None));
    assert!(!request.broadcast && request.secs == 0);
}

/// RFC 2131, 4.4.5: all servers are asked.
#[test]
fn at_t2_all_servers_are_asked() {
    let (script, request) = rebinding();
    assert!((script.seconds() - 3150.0).abs() < 0.001);
    // Since the first request, so that a server can tell that another one does not answer.
    assert!((1350..=1407).contains(&request.secs), "{}", request.secs);
    script.stands(Standing::Rebinding);
    assert_eq!((request.source, request.destination), (HOST, Ipv4Addr::BROADCAST));
    assert_eq!((request.ciaddr, request.requested(), request.server()), (HOST, None, None));
}

/// RFC 2131, 4.4.5: again after half of the time that is left, but not within a minute; each in a
/// transaction of its own.
#[test]
fn requests_are_repeated_in_half_of_what_is_left() {
    let (mut script, request) = renewing();
    let (mut before, mut xid, mut times) = (script.seconds(), request.xid, 0);
    for end in [3150.0, 3600.0] {
        loop {
            let wait = f64::max((end - before) / 2.0, 60.0);
            if before + wait >= end {
                break;
            }
            let request = script.leaves_at(before + wait, Kind::Request);
            assert_ne!(request.xid, xid);
            (before, xid, times) = (script.seconds(), request.xid, times + 1);
        }
        if end < 3600.0 {
            script.leaves_at(end, Kind::Request);
            before = end;
        }
    }
    assert!((5..12).contains(&times), "{times}");
    script.tells_at(3600.0, Action::Lost(Loss::Expired));
    script.leaves_at(3600.0, Kind::Discover);
}

/// RFC 2131, 4.4.5: at the end the address is not used for another moment, and all begins anew.
#[test]
fn at_its_end_a_lease_is_lost_at_once() {
    let (mut script, _) = rebinding();
    while script.seconds() < 3599.0 && script.client.deadline() < script.lease().expiry {
        script.leaves(Kind::Request);
    }
    script.tells_at(3600.0, Action::Lost(Loss::Expired));
    assert!(script.client.lease().is_none());
    script.leaves_at(3600.0, Kind::Discover);
}

/// RFC 2131, 4.4.5: the new time counts from the request.
#[test]
fn an_acknowledgement_prolongs_the_lease() {
    let (mut script, request) = renewing();
    let sent = script.seconds();
    script.silent_until(sent + 3.0);
    script.arrives(&Answer::ack(&request));
    script.tells(Action::Renewed);
    script.stands(Standing::Bound);
    let expiry = script.lease().expiry.as_nanos() as f64 / 1e9 - 1000.0;
    assert!((expiry - sent - 3600.0).abs() < 0.001, "{expiry}");
    script.leaves_within(sent + 1743.0..=sent + 1800.0, Kind::Request);
}

/// Servers that acknowledge do not say everything again.
#[test]
fn what_an_acknowledgement_omits_is_as_before() {
    let (mut script, request) = renewing();
    let before = script.lease();
    let terse = Answer::ack(&request).without(1).without(3).without(51).without(54);
    script.arrives(&terse);
    script.tells(Action::Renewed);
    let after = script.lease();
    assert_eq!((after.prefix(), after.server()), (24, SERVER));
    assert_eq!(after.parameters(), before.parameters());
    assert_eq!(script.gateways(), [SERVER]);
    assert!(after.expiry > before.expiry, "for as long as before");
}

#[test]
fn what_an_acknowledgement_says_anew_is_told() {
    let (mut script, request) = renewing();
    script.arrives(&Answer::ack(&request).with(3, OTHER.octets()).without(1));
    script.tells(Action::Changed);
    assert_eq!(script.gateways(), [OTHER]);
    assert_eq!(script.lease().prefix(), 24);
}

/// RFC 2131, 4.4.5: the answer to an earlier request does not say when its lease began.
#[test]
fn an_answer_to_an_earlier_request_is_ignored() {
    let (mut script, first) = renewing();
    let second = script.leaves(Kind::Request);
    script.refuses(&Answer::ack(&first), Error::OtherTransaction);
    script.arrives(&Answer::ack(&second));
    script.tells(Action::Renewed);
}

/// RFC 2131, 4.4.5: the server that was asked may refuse, and the address is lost.
#[test]
fn a_refusal_by_the_server_ends_the_lease() {
    let (mut script, request) = renewing();
    script.arrives(&Answer::nak(&request));
    script.tells(Action::Lost(Loss::Refused));
    let at = script.seconds();
    script.leaves_at(at, Kind::Discover);
}

#[test]
fn a_refusal_by_a_server_that_was_not_asked_is_ignored() {
    let (mut script, request) = renewing();
    script.refuses(&Answer::nak(&request).by(OTHER), Error::OtherServer);
    script.refuses(&Answer::nak(&request).without(54), Error::NoServer);
    assert_eq!(script.lease().address(), HOST);
}

/// RFC 2131, 4.4.5: when all are asked, any may refuse.
#[test]
fn a_refusal_by_any_server_ends_a_lease_that_all_were_asked_about() {
    let (mut script, request) = rebinding();
    script.refuses(&Answer::nak(&request).without(54), Error::NoServer);
    script.arrives(&Answer::nak(&request).by(OTHER));
    script.tells(Action::Lost(Loss::Refused));
    script.leaves(Kind::Discover);
}

/// A failover pair, or a new server that has the old one's leases: it is asked from then on.
#[test]
fn another_server_may_take_the_lease_over() {
    let (mut script, request) = rebinding();
    script.arrives(&Answer::ack(&request).by(OTHER));
    script.tells(Action::Renewed);
    assert_eq!(script.lease().server(), OTHER);
    assert_eq!(script.leaves(Kind::Request).destination, OTHER);
}

/// RFC 2131, 4.4.5: what is prolonged is this address.
#[test]
fn an_acknowledgement_of_another_address_is_ignored() {
    let (mut script, request) = renewing();
    script.refuses(&Answer::ack(&request).address(ip(43)), Error::OtherAddress);
    script.refuses(&Answer::ack(&request).address(Ipv4Addr::UNSPECIFIED), Error::Address);
    let (mut script, request) = rebinding();
    script.refuses(&Answer::ack(&request).address(ip(43)).by(OTHER), Error::OtherAddress);
}

/// A server that wants its address back says so by a short time; no time at all is nonsense.
#[test]
fn a_shorter_lease_counts_and_none_does_not() {
    let (mut script, request) = renewing();
    let (sent, before) = (script.seconds(), script.lease());
    script.refuses(&Answer::ack(&request).seconds(0), Error::LeaseTooShort);
    assert_eq!(script.lease(), before);
    script.arrives(&Answer::ack(&request).seconds(20));
    script.tells(Action::Renewed);
    script.leaves_within(sent + 9.0..=sent + 10.0, Kind::Request);
    script.leaves_at(sent + 17.5, Kind::Request);
    script.tells_at(sent + 20.0, Action::Lost(Loss::Expired));
    script.leaves(Kind::Discover);
}

/// RFC 2131, 4.4.5: there is nothing to say to a client that is BOUND.
#[test]
fn a_bound_client_listens_to_nobody() {
    let mut script = Script::begin();
    let request = script.acquire(Answer::offer, Answer::ack);
    for answer in [Answer::offer(&request), Answer::ack(&request), Answer::nak(&request)] {
        script.refuses(&answer, Error::Unexpected);
    }
    assert_eq!(script.lease().address(), HOST);
}

/// An answer that comes when the lease has ended does not make as if it had not.
#[test]
fn an_acknowledgement_after_the_end_comes_too_late() {
    let (mut script, mut request) = rebinding();
    while script.client.deadline() < script.lease().expiry {
        request = script.leaves(Kind::Request);
    }
    // The machine is busy: nobody has called the client for its deadline.
    let late = Answer::ack(&request).frame();
    let late = |client: &mut Client, _: Instant, random: &mut Random<'_>| {
        let now = client.deadline();
        client.frame(&late, UdpChecksum::Verify, now, random)
    };
    script.call(late);
    script.tells(Action::Lost(Loss::Expired));
    script.leaves(Kind::Discover);
}

/// RFC 2131, 4.4.6: the server is told, and nobody else; no answer is waited for.
#[test]
fn an_address_is_given_back_at_the_end() {
    let mut script = Script::bound();
    script.call(Client::stop);
    let release = script.leaves(Kind::Release);
    assert_eq!((release.source, release.destination), (HOST, SERVER));
    assert_eq!((release.ciaddr, release.server(), release.requested()), (HOST, Some(SERVER), None));
    script.tells(Action::Lost(Loss::Released));
    script.stands(Standing::Off);
    assert!(script.client.lease().is_none());
    assert_eq!(script.client.deadline(), Instant::FAR);
}

/// There is nothing to give back.
#[test]
fn a_client_without_an_address_ends_without_a_word() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.call(Client::stop);
    script.stands(Standing::Off);
    script.refuses(&Answer::offer(&discover), Error::Unexpected);
}

/// Nothing is lost silently.
#[test]
fn a_client_that_begins_anew_tells_what_it_forgets() {
    let mut script = Script::bound();
    script.call(|client, now, random| client.start(None, now, random));
    script.tells(Action::Lost(Loss::Forgotten));
    script.leaves(Kind::Discover);
}
