//! A host with an address of its own (RFC 2131, 3.4 and 4.4.3).

use crate::support::answer::Answer;
use crate::support::script::{Script, settings};
use crate::support::{HOST, OTHER, SERVER};
use reflex_dhcp::*;
use std::net::Ipv4Addr;

fn informing() -> Script {
    let mut script = Script::off(settings());
    script.call(|client, now, random| client.inform(HOST, now, random));
    script
}

/// What servers say to such a host: no address, no time.
fn ack(to: &crate::support::sent::Sent) -> Answer {
    Answer { ciaddr: HOST, ..Answer::ack(to).without(51).address(Ipv4Addr::UNSPECIFIED) }
}

/// RFC 2131, table 5.
#[test]
fn a_host_asks_what_there_is_to_know() {
    let mut script = informing();
    let inform = script.leaves_at(0.0, Kind::Inform);
    assert_eq!((inform.source, inform.destination), (HOST, Ipv4Addr::BROADCAST));
    assert_eq!((inform.ciaddr, inform.requested(), inform.server()), (HOST, None, None));
    script.arrives(&ack(&inform).with(6, OTHER.octets()).with(15, "example.org"));
    script.tells(Action::Informed);
    script.stands(Standing::Informed);
    let parameters = script.client.parameters().expect("what there is to know");
    let servers: Vec<_> = parameters.name_servers.expect("name servers").iter().collect();
    assert_eq!(servers, [OTHER]);
    assert_eq!(parameters.domain.expect("a domain").as_str(), "example.org");
    assert_eq!(script.gateways(), [SERVER]);
    assert!(script.client.lease().is_none());
    assert_eq!(script.client.deadline(), Instant::FAR);
}

/// RFC 2131, 4.4.3: four times, a minute in all; then the host does without.
#[test]
fn a_host_that_is_not_answered_does_without() {
    let mut script = informing();
    let first = script.leaves_at(0.0, Kind::Inform);
    for at in [4.0, 12.0, 28.0] {
        assert_eq!(script.leaves_at(at, Kind::Inform).xid, first.xid);
    }
    script.tells_at(60.0, Action::NotInformed);
    script.stands(Standing::Off);
    assert!(script.client.parameters().is_none());
}

/// RFC 2131, 4.3.5: only an acknowledgement answers.
#[test]
fn offers_and_refusals_are_no_answer() {
    let mut script = informing();
    let inform = script.leaves(Kind::Inform);
    script.refuses(&Answer::offer(&inform), Error::Unexpected);
    script.refuses(&Answer::nak(&inform), Error::Unexpected);
    script.refuses(&Answer { xid: !inform.xid, ..ack(&inform) }, Error::OtherTransaction);
    script.arrives(&ack(&inform));
    script.tells(Action::Informed);
    script.refuses(&ack(&inform), Error::Unexpected);
}
