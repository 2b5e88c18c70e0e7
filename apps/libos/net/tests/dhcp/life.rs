//! A lease from its beginning to its end.

use super::server::*;
use crate::common;
use common::Noting;
use common::raw::{self, MAC, SYN, Segment, introduce, segments};
use reflex_event::Priority;
use reflex_net::InterfaceAddress;
use reflex_testkit::Trace;
use std::net::Ipv4Addr;
use std::time::Duration;

#[test]
fn an_address_is_asked_for_used_renewed_and_lost() {
    let mut leased = Leased::begin();
    let changes = Trace::default();
    let watcher = leased.host.kernel.context(changes.clone(), 4096);
    let told = |changes: &mut Trace, address: Option<InterfaceAddress>| {
        changes.note(format!("{:?}", address.map(|own| (own.address, own.prefix, own.gateway))));
    };
    leased.net().on_address(watcher, Priority::LOW, told).unwrap();
    let service = leased.host.kernel.context(Noting::default(), 1 << 16);
    let connector = leased.net().connector().serve(service).unwrap();
    let peer = "10.0.0.99:80".parse().unwrap();
    assert_eq!(connector.connect(peer), Err(reflex_net::Error::NoAddress));

    // Nobody answers at first: it asks again.
    leased.passes(Duration::from_secs(15));
    let sent = messages(&leased.sent);
    assert!(sent.len() >= 2, "{sent:?}");
    assert!(sent.iter().all(|message| message.kind == DISCOVER && message.broadcast));
    assert_eq!(sent[0].hostname.as_deref(), Some(&b"appliance"[..]));
    let discover = sent.last().unwrap().transaction;

    // An offer of another transaction is not for us.
    let mut strange = discover;
    strange[0] ^= 1;
    let options = with(usual(), LEASE, &1000u32.to_be_bytes());
    let mac = leased.host.mac;
    assert!(leased.hears(&answer(mac, OFFER, strange, &options)).is_empty());
    let sent = messages(&leased.is_answered(OFFER, &options));
    assert_eq!((sent[0].kind, sent[0].requested), (REQUEST, Some(OFFERED)));
    assert_eq!(leased.net().address(), None);
    let sent = leased.is_answered(ACK, &options);
    assert_eq!(changes.take(), ["Some((10.0.0.42, 24, Some(10.0.0.254)))"]);
    assert_eq!(leased.net().address().unwrap().address, OFFERED);
    // It tells the link, and looks for its router.
    assert_eq!(asked_for(&sent), [OFFERED, ROUTER]);

    // At T1 it renews with the server alone, and asks for that one's hardware address.
    let half = Duration::from_secs(505);
    leased.passes_until(half, |sent| asked_for(sent).contains(&SERVER));
    let renewal = messages(&leased.neighbour_answers(MAC, SERVER));
    let [request] = &renewal[..] else { panic!("{renewal:?}") };
    assert_eq!((request.kind, request.broadcast, request.source), (REQUEST, false, OFFERED));
    leased.is_answered(ACK, &options);
    assert_eq!(changes.take(), [""; 0], "nothing has changed");

    // A connection to the leased address; it ends when the address is lost.
    let trace = Trace::default();
    let service = leased.host.kernel.context(Noting::new("s", &trace), 1 << 16);
    leased.net().listen(80).connections(2).serve(service).unwrap();
    leased.hears(&introduce(OFFERED));
    let opened = leased.hears(&Segment::new(4000, 80, SYN, 1, 0).frame(mac, OFFERED));
    let ack = segments(&opened)[0].sequence.wrapping_add(1);
    leased.hears(&Segment::new(4000, 80, raw::ACK, 2, ack).frame(mac, OFFERED));
    assert_eq!(trace.take(), ["s accepted"]);

    // Nobody answers any more: the lease runs out.
    let sent = messages(&leased.passes(Duration::from_secs(1100)));
    assert!(sent.iter().any(|message| message.kind == REQUEST && message.broadcast), "rebinding");
    assert!(sent.iter().any(|message| message.kind == DISCOVER), "discovering again");
    assert_eq!(changes.take(), ["None"]);
    assert_eq!(trace.take(), ["s failed: the interface lost the connection's address"]);
    assert_eq!((leased.net().address(), leased.net().parameters()), (None, None));
}

/// RFC 2131, 4.4.5: a renewal that nobody takes is not heard of again but at its own time, and the
/// lease is prolonged by all servers at T2.
#[test]
fn a_server_that_is_gone_leaves_the_lease_to_others() {
    let mut leased = Leased::granted(&usual());
    let sent = leased.passes(Duration::from_secs(3140));
    assert!(messages(&sent).is_empty(), "no hardware address, and no message to nowhere");
    let asked = asked_for(&sent).into_iter().filter(|address| *address == SERVER).count();
    assert!((3..60).contains(&asked), "{asked} questions for the server");
    let sent = leased.passes_until(Duration::from_secs(60), |sent| !messages(sent).is_empty());
    let message = &messages(&sent)[0];
    assert_eq!((message.kind, message.broadcast, message.source), (REQUEST, true, OFFERED));
    leased.is_answered(ACK, &usual());
    leased.passes(Duration::from_secs(1700));
    assert_eq!(leased.net().address().map(|own| own.address), Some(OFFERED));
}

/// What a server has said of the network is there to be used.
#[test]
fn name_servers_and_the_domain_are_told() {
    let options = with(usual(), NAME_SERVERS, &[10, 0, 0, 53, 10, 0, 1, 53]);
    let options = with(options, DOMAIN, b"example.org");
    let mut leased = Leased::begin();
    assert_eq!(leased.net().parameters(), None);
    leased.is_granted(&options);
    let said = leased.net().parameters().expect("parameters");
    let servers: Vec<_> = said.name_servers.into_iter().flatten().collect();
    assert_eq!(servers, [Ipv4Addr::new(10, 0, 0, 53), Ipv4Addr::new(10, 0, 1, 53)]);
    assert_eq!(said.domain.map(|name| name.to_string()).as_deref(), Some("example.org"));
}

/// What cannot be sent at once is sent when a transmit buffer is free again.
#[test]
fn without_a_transmit_buffer_a_message_waits() {
    let mut leased = Leased::begin();
    leased.host.wire.stall(true);
    let asked = || leased.host.net.dhcp_counters().unwrap().sent;
    // The interface has 16.
    while asked() <= 1 + 16 {
        leased.host.pass(&leased.clock, Duration::from_secs(60));
    }
    leased.host.wire.stall(false);
    let sent = messages(&leased.passes(Duration::from_secs(2)));
    assert_eq!(sent.len(), 16 + 1, "what was queued, and what waited");
    leased.is_granted(&usual());
}
