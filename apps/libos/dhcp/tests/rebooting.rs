//! An address from before (RFC 2131, 3.2 and 4.4.2).

use crate::support::answer::Answer;
use crate::support::script::{Script, settings};
use crate::support::{HOST, MAC, OTHER, SERVER, ip};
use reflex_dhcp::*;
use std::net::Ipv4Addr;

fn remembering(server: Option<Ipv4Addr>) -> Script {
    Script::begin_with(settings(), Some(Remembered { address: HOST, server }))
}

/// RFC 2131, 4.3.2 and table 5: the address is an option, no server is named, and ciaddr is zero.
#[test]
fn a_remembered_address_is_asked_for() {
    let mut script = remembering(Some(SERVER));
    script.stands(Standing::Rebooting);
    let request = script.leaves_at(0.0, Kind::Request);
    assert_eq!((request.requested(), request.server()), (Some(HOST), None));
    assert_eq!((request.source, request.ciaddr), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED));
    assert_eq!(request.destination, Ipv4Addr::BROADCAST);
    script.arrives(&Answer::ack(&request));
    script.tells_at(0.0, Action::Granted);
    assert_eq!(script.lease().address(), HOST);
}

/// RFC 2131, 3.2: then as at any other time.
#[test]
fn a_remembered_address_is_probed_as_well() {
    let remembered = Remembered { address: HOST, server: None };
    let mut script = Script::begin_with(Settings::new(MAC), Some(remembered));
    let request = script.leaves(Kind::Request);
    script.arrives(&Answer::ack(&request));
    script.tells(Action::Probe(HOST));
}

/// RFC 2131, 4.3.2: a server that knows that this is another network. There is nothing to wait for.
#[test]
fn a_refusal_leads_to_discovery_at_once() {
    let mut script = remembering(Some(SERVER));
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer::nak(&request).without(54), Error::NoServer);
    script.arrives(&Answer::nak(&request).by(OTHER));
    let discover = script.leaves_at(0.0, Kind::Discover);
    assert_ne!(discover.xid, request.xid);
    // The server of the other network is not waited for.
    script.arrives(&Answer::offer(&discover).by(OTHER).address(ip(90)));
    assert_eq!(script.leaves_at(0.0, Kind::Request).server(), Some(OTHER));
}

/// RFC 2131, 4.3.2: a server that knows nothing of the address says nothing.
#[test]
fn silence_leads_to_discovery_soon() {
    let mut script = remembering(None);
    let first = script.leaves_at(0.0, Kind::Request);
    let second = script.leaves_at(4.0, Kind::Request);
    assert_eq!((first.xid, second.secs), (second.xid, 4));
    assert!(!first.broadcast && second.broadcast);
    script.leaves_at(12.0, Kind::Discover);
}

#[test]
fn another_address_than_the_remembered_one_is_refused() {
    let mut script = remembering(Some(SERVER));
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer::ack(&request).address(ip(43)), Error::OtherAddress);
    script.refuses(&Answer::offer(&request), Error::Unexpected);
}

/// Some servers do not name themselves when they acknowledge; the name may be remembered.
#[test]
fn the_remembered_server_is_the_one_where_none_is_named() {
    let mut script = remembering(Some(SERVER));
    let request = script.leaves(Kind::Request);
    script.arrives(&Answer::ack(&request).without(54));
    script.tells(Action::Granted);
    assert_eq!(script.lease().server(), SERVER);
    let mut script = remembering(None);
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer::ack(&request).without(54), Error::NoServer);
}

/// What was remembered may have been written by anybody.
#[test]
fn an_address_that_no_host_can_have_is_not_asked_for() {
    for address in [[0; 4], [255; 4], [224, 0, 0, 1], [127, 0, 0, 1]] {
        let remembered = Remembered { address: address.into(), server: None };
        let mut script = Script::begin_with(settings(), Some(remembered));
        script.leaves_at(0.0, Kind::Discover);
    }
}

/// RFC 2131, 4.3.1: the server that is remembered keeps the address, if another one does not know it.
#[test]
fn the_remembered_server_is_preferred_after_silence() {
    let mut script = remembering(Some(SERVER));
    script.leaves(Kind::Request);
    script.leaves(Kind::Request);
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover).by(OTHER));
    script.arrives(&Answer::offer(&discover));
    assert_eq!(script.leaves(Kind::Request).server(), Some(SERVER));
}
