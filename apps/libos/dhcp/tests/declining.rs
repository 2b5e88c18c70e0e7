//! Whether an address is somebody else's (RFC 2131, 3.1.5 and 4.4.4; RFC 5227).

use crate::support::answer::Answer;
use crate::support::script::Script;
use crate::support::{HOST, MAC, OTHER, SERVER, ip};
use reflex_dhcp::*;
use std::net::Ipv4Addr;

/// A client that has its address probed.
fn checking() -> Script {
    let mut script = Script::begin_with(Settings::new(MAC), None);
    script.arrives_at_checking();
    script
}

impl Script {
    fn arrives_at_checking(&mut self) {
        let discover = self.leaves(Kind::Discover);
        self.arrives(&Answer::offer(&discover));
        let request = self.leaves(Kind::Request);
        self.arrives(&Answer::ack(&request));
        self.tells(Action::Probe(HOST));
        self.stands(Standing::Checking);
    }

    fn free(&mut self, address: Ipv4Addr) {
        self.call(|client, now, random| client.address_is_free(address, now, random));
    }

    fn conflict(&mut self, address: Ipv4Addr) {
        self.call(|client, now, random| client.conflict(address, now, random));
    }
}

/// RFC 2131, 4.4.1: before it is used.
#[test]
fn an_address_is_probed_before_it_is_granted() {
    let mut script = checking();
    assert!(script.client.lease().is_none());
    script.silent_until(6.0);
    script.free(HOST);
    script.tells(Action::Granted);
    assert_eq!(script.lease().address(), HOST);
}

/// RFC 2131, 4.4.1 and table 5: to everybody, without an address of one's own.
#[test]
fn an_address_of_somebody_else_is_declined() {
    let mut script = checking();
    script.silent_until(1.0);
    script.conflict(HOST);
    let decline = script.leaves_at(1.0, Kind::Decline);
    assert_eq!((decline.source, decline.destination), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
    assert_eq!((decline.requested(), decline.server()), (Some(HOST), Some(SERVER)));
    assert_eq!(decline.ciaddr, Ipv4Addr::UNSPECIFIED);
    script.stands(Standing::Init);
}

/// RFC 2131, 3.1.5: ten seconds at least, so that a server that has only addresses in use is not
/// flooded; then more and more.
#[test]
fn after_a_conflict_there_is_a_wait() {
    let mut script = checking();
    for wait in [10.0, 10.0, 16.0, 32.0, 64.0, 64.0] {
        let at = script.seconds();
        script.conflict(HOST);
        script.leaves_at(at, Kind::Decline);
        let discover = script.leaves_at(at + wait, Kind::Discover);
        script.arrives(&Answer::offer(&discover));
        let request = script.leaves(Kind::Request);
        script.arrives(&Answer::ack(&request));
        script.tells(Action::Probe(HOST));
    }
}

/// RFC 5227, 2.4: somebody takes the address while it is in use, and does not give it up.
#[test]
fn an_address_in_use_can_be_lost_to_somebody_else() {
    let mut script = Script::bound();
    script.silent_until(500.0);
    script.conflict(HOST);
    let decline = script.leaves_at(500.0, Kind::Decline);
    assert_eq!((decline.requested(), decline.source), (Some(HOST), Ipv4Addr::UNSPECIFIED));
    script.tells(Action::Lost(Loss::Conflict));
    let discover = script.leaves_at(510.0, Kind::Discover);
    // Another server's offer comes first now.
    script.arrives(&Answer::offer(&discover));
    script.arrives(&Answer::offer(&discover).by(OTHER).address(ip(90)));
    assert_eq!(script.leaves(Kind::Request).server(), Some(OTHER));
}

#[test]
fn other_addresses_are_others_affair() {
    let mut script = checking();
    script.conflict(ip(43));
    script.free(ip(43));
    script.silent();
    script.stands(Standing::Checking);
    script.free(HOST);
    script.tells(Action::Granted);
    script.conflict(ip(43));
    script.free(HOST);
    script.silent();
    script.stands(Standing::Bound);
    let mut script = Script::begin();
    script.leaves(Kind::Discover);
    script.conflict(HOST);
    script.conflict(Ipv4Addr::UNSPECIFIED);
    script.stands(Standing::Selecting);
}

/// RFC 5227, 1.1: probing takes no longer. An interface that says nothing until then has found nobody.
#[test]
fn nobody_is_found_in_ten_seconds() {
    let mut script = checking();
    script.tells_at(10.0, Action::Granted);
}

/// Renewals are not probed: the address is in use.
#[test]
fn an_address_is_probed_once() {
    let mut script = checking();
    script.free(HOST);
    script.tells(Action::Granted);
    let request = script.leaves(Kind::Request);
    script.arrives(&Answer::ack(&request));
    script.tells(Action::Renewed);
}

/// A lease that ends while its address is probed has not begun.
#[test]
fn a_lease_may_be_over_before_its_address_was_probed() {
    let mut script = Script::begin_with(Settings::new(MAC), None);
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover).seconds(10));
    script.leaves_at(0.0, Kind::Request);
    let request = script.leaves_at(4.0, Kind::Request);
    script.arrives(&Answer::ack(&request).seconds(10));
    script.tells_at(4.0, Action::Probe(HOST));
    script.leaves_at(14.0, Kind::Discover);
    assert!(script.client.lease().is_none());
}

/// RFC 2131, 4.4.6: an address that was granted and not used is given back as well.
#[test]
fn an_address_that_is_probed_is_given_back_at_the_end() {
    let mut script = checking();
    script.call(Client::stop);
    assert_eq!(script.leaves(Kind::Release).ciaddr, HOST);
    script.stands(Standing::Off);
}

/// While an address is probed no server has anything to say.
#[test]
fn replies_while_an_address_is_probed_are_ignored() {
    let mut script = Script::begin_with(Settings::new(MAC), None);
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover));
    let request = script.leaves(Kind::Request);
    script.arrives(&Answer::ack(&request));
    script.tells(Action::Probe(HOST));
    script.refuses(&Answer::nak(&request), Error::Unexpected);
    script.refuses(&Answer::ack(&request), Error::Unexpected);
}

/// A lease that has worked clears the record, however it ends.
#[test]
fn a_conflict_after_a_lease_that_worked_is_the_first() {
    let mut script = Script::begin();
    for at in [0.0, 5.2] {
        let discover = script.leaves(Kind::Discover);
        script.arrives(&Answer::offer(&discover));
        let request = script.leaves(Kind::Request);
        assert!((script.seconds() - at).abs() < 0.001);
        script.arrives(&Answer::nak(&request));
    }
    script.acquire(Answer::offer, Answer::ack);
    let begun = script.seconds();
    script.silent_until(begun + 100.0);
    script.conflict(HOST);
    script.leaves(Kind::Decline);
    script.tells(Action::Lost(Loss::Conflict));
    // As the third misfortune it would be 16 seconds.
    script.leaves_at(begun + 110.0, Kind::Discover);
}
