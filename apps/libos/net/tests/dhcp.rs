//! The DHCP client against a server made of hand-made messages.

use crate::common;
use common::raw::{ACK, MAC, SYN, Segment, checksum, introduce, segments, udp_from};
use common::{Host, Noting};
use reflex_event::{Instant, Priority};
use reflex_net::{Address, InterfaceAddress};
use reflex_testkit::{Clock, Trace};
use std::net::Ipv4Addr;
use std::time::Duration;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);
const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 42);

/// A client's message: type, transaction, whether to everyone, and the host name it tells.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    kind: u8,
    transaction: [u8; 4],
    broadcast: bool,
    requested: Option<Ipv4Addr>,
    hostname: Option<Vec<u8>>,
}

fn options(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut options = Vec::new();
    while let [kind, rest @ ..] = bytes {
        match kind {
            0 => bytes = rest,
            255 => break,
            _ => {
                let length = usize::from(rest[0]);
                options.push((*kind, rest[1..=length].to_vec()));
                bytes = &rest[1 + length..];
            }
        }
    }
    options
}

fn parse(frame: &[u8]) -> Option<Message> {
    if frame[12..14] != [8, 0] || frame[23] != 17 || frame[36..38] != [0, 67] {
        return None;
    }
    assert_eq!(checksum(&frame[14..34]), 0);
    let dhcp = &frame[42..];
    let options = options(&dhcp[240..]);
    let option = |kind| options.iter().find(|option| option.0 == kind).map(|option| &option.1);
    Some(Message {
        kind: option(53)?[0],
        transaction: dhcp[4..8].try_into().unwrap(),
        broadcast: frame[..6] == [0xff; 6],
        requested: option(50).map(|ip| Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3])),
        hostname: option(12).cloned(),
    })
}

/// A server's answer. A short lease, so that renewing can be seen.
fn answer(mac: [u8; 6], kind: u8, transaction: [u8; 4], lease: u32) -> Vec<u8> {
    let mut dhcp = vec![2, 1, 6, 0];
    dhcp.extend(transaction);
    dhcp.extend([0; 8]);
    dhcp.extend(OFFERED.octets());
    dhcp.extend(SERVER.octets());
    dhcp.extend([0; 4]);
    dhcp.extend(mac);
    dhcp.resize(236, 0);
    dhcp.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind, 54, 4]);
    dhcp.extend(SERVER.octets());
    dhcp.extend([51, 4]);
    dhcp.extend(lease.to_be_bytes());
    dhcp.extend([1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 254, 255]);
    udp_from(SERVER, mac, OFFERED, (67, 68), &dhcp)
}

fn messages(frames: &[Vec<u8>]) -> Vec<Message> {
    frames.iter().filter_map(|frame| parse(frame)).collect()
}

#[test]
fn an_address_is_asked_for_used_renewed_and_lost() {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::with(&clock, 1, 5, 16, |config| {
        config.address = Address::Dhcp;
        config.hostname = Some("appliance");
    });
    let changes = Trace::default();
    let watcher = host.kernel.context(changes.clone(), 4096);
    let told = |changes: &mut Trace, address: Option<InterfaceAddress>| {
        changes.note(format!("{:?}", address.map(|own| (own.address, own.prefix, own.gateway))));
    };
    host.net.on_address(watcher, Priority::LOW, told).unwrap();
    let service = host.kernel.context(Noting::default(), 1 << 16);
    let connector = host.net.connector().serve(service).unwrap();
    let peer = "10.0.0.99:80".parse().unwrap();
    assert_eq!(connector.connect(peer), Err(reflex_net::Error::NoAddress));

    // Nobody answers at first: it asks again.
    let sent = messages(&host.pass(&clock, Duration::from_secs(15)));
    assert!(sent.len() >= 2, "{sent:?}");
    assert!(sent.iter().all(|message| message.kind == 1 && message.broadcast));
    assert_eq!(sent[0].hostname.as_deref(), Some(&b"appliance"[..]));
    let discover = sent.last().unwrap().transaction;

    // An offer of another transaction is not for us.
    let mut strange = discover;
    strange[0] ^= 1;
    assert!(host.exchange(&clock, &answer(host.mac, 2, strange, 1000)).is_empty());
    let sent = messages(&host.exchange(&clock, &answer(host.mac, 2, discover, 1000)));
    assert_eq!((sent[0].kind, sent[0].requested), (3, Some(OFFERED)));
    assert_eq!(host.net.address(), None);
    let sent = host.exchange(&clock, &answer(host.mac, 5, sent[0].transaction, 1000));
    assert_eq!(changes.take(), ["Some((10.0.0.42, 24, Some(10.0.0.254)))"]);
    assert_eq!(host.net.address().unwrap().address, OFFERED);
    // It tells the link, and looks for its router.
    let arp: Vec<_> = sent.iter().filter(|frame| frame[12..14] == [8, 6]).collect();
    assert_eq!(
        (arp.len(), &arp[0][38..42], &arp[1][38..42]),
        (2, &[10, 0, 0, 42][..], &[10, 0, 0, 254][..])
    );

    // Half of the lease later it renews with the server alone, and asks for that one's address.
    let server = (MAC, SERVER);
    let question = host.pass(&clock, Duration::from_secs(505));
    let asked =
        question.iter().any(|frame| frame[12..14] == [8, 6] && frame[38..42] == SERVER.octets());
    assert!(asked, "{question:?}");
    let reply = common::raw::arp(host.mac, 2, server, (host.mac, OFFERED));
    let mut sent = host.exchange(&clock, &reply);
    sent.extend(host.pass(&clock, Duration::from_secs(100)));
    let renewal = messages(&sent);
    assert_eq!((renewal[0].kind, renewal[0].broadcast), (3, false));
    host.exchange(&clock, &answer(host.mac, 5, renewal[0].transaction, 1000));
    assert_eq!(changes.take(), [""; 0], "nothing has changed");

    // A connection to the leased address; it ends when the address is lost.
    let trace = Trace::default();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 16);
    host.net.listen(80).connections(2).serve(service).unwrap();
    host.exchange(&clock, &introduce(OFFERED));
    let opened = host.exchange(&clock, &Segment::new(4000, 80, SYN, 1, 0).frame(host.mac, OFFERED));
    let ack = segments(&opened)[0].sequence.wrapping_add(1);
    host.exchange(&clock, &Segment::new(4000, 80, ACK, 2, ack).frame(host.mac, OFFERED));
    assert_eq!(trace.take(), ["s accepted"]);

    // Nobody answers any more: the lease runs out.
    let sent = messages(&host.pass(&clock, Duration::from_secs(1100)));
    assert!(sent.iter().any(|message| message.kind == 3 && message.broadcast), "rebinding");
    assert!(sent.iter().any(|message| message.kind == 1), "discovering again");
    assert_eq!(changes.take(), ["None"]);
    assert_eq!(trace.take(), ["s failed: the interface lost the connection's address"]);
    assert_eq!(host.net.address(), None);
}
