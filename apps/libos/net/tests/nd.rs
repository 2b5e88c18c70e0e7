//! A protocol beside the stack, and IPv6 neighbours: solicitations are answered, neighbours asked for
//! and waited for, buffers too; what is not to be heard teaches nothing.

use crate::common;
use common::Host;
use common::raw::{checksum, udp};
use reflex_event::{EventId, EventSystem, Instant, Priority};
use reflex_hil::{AttachedProtocol, Frame, Hop, Link, NicError};
use reflex_net::{Config, Error};
use reflex_testkit::Clock;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const OWN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3401);
const PEER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x56, 0x7899);
/// The link-local address of machine 1, 02:00:00:00:00:01.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 99];
const PORT: u16 = 4791;

#[derive(Default)]
struct Notes {
    /// The host of which the address is asked for.
    wanted: Option<IpAddr>,
    hops: Vec<Hop>,
    ready: u32,
    /// Frames that are still to be sent.
    due: u32,
    frames: Vec<(Vec<u8>, usize)>,
    settled: u32,
    runs: Vec<(u32, u8)>,
    addresses: Vec<IpAddr>,
}

/// A protocol that notes what it is told.
struct Probe(Arc<Mutex<Notes>>);

impl Probe {
    fn work(&self, link: &mut dyn Link) {
        let mut notes = self.0.lock().unwrap();
        if let Some(wanted) = notes.wanted {
            let hop = link.next_hop(wanted);
            notes.hops.push(hop);
        }
        while notes.due > 0 {
            match link.transmit(60, &mut |frame| frame[..6].copy_from_slice(&MAC)) {
                Ok(()) => notes.due -= 1,
                Err(error) => return assert_eq!(error, NicError::TransmitFull),
            }
        }
    }
}

impl AttachedProtocol for Probe {
    fn received(&mut self, frame: Frame, packet: usize, link: &mut dyn Link) {
        assert_eq!(link.mac(), [2, 0, 0, 0, 0, 1]);
        self.0.lock().unwrap().frames.push((frame.to_vec(), packet));
    }

    fn end_of_batch(&mut self, _: &mut dyn Link) {
        self.0.lock().unwrap().settled += 1;
    }

    fn run(&mut self, number: u32, link: &mut dyn Link) {
        self.0.lock().unwrap().runs.push((number, link.level()));
        self.work(link);
    }

    fn ready(&mut self, link: &mut dyn Link) {
        self.0.lock().unwrap().ready += 1;
        self.work(link);
    }

    fn addresses_changed(&mut self, addresses: &[IpAddr]) {
        self.0.lock().unwrap().addresses = addresses.to_vec();
    }
}

struct Bench {
    clock: Clock,
    host: Host,
    notes: Arc<Mutex<Notes>>,
    run: EventId,
}

impl Bench {
    fn new(buffers: usize) -> Self {
        Self::with(buffers, |config| config.address6 = Some((OWN, 64)))
    }

    fn with(buffers: usize, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::with(&clock, 1, 7, buffers, change);
        let notes: Arc<Mutex<Notes>> = Arc::default();
        let probe = || Box::new(Probe(notes.clone()));
        let attachment = host.net.attach(PORT, probe()).unwrap();
        assert_eq!(host.net.attach(PORT + 1, probe()).err(), Some(Error::PortInUse));
        let run = attachment.event(Priority::HIGH, 5).unwrap();
        host.kernel.run_until_idle();
        host.sent(&clock);
        Self { clock, host, notes, run }
    }

    fn feed(&self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.host.exchange(&self.clock, frame)
    }

    /// Has the protocol ask for a neighbour: what is sent.
    fn ask(&self, wanted: impl Into<IpAddr>) -> Vec<Vec<u8>> {
        self.notes.lock().unwrap().wanted = Some(wanted.into());
        self.host.kernel.activate(self.run, 1).unwrap();
        self.host.kernel.run_until_idle();
        self.host.sent(&self.clock)
    }

    fn last(&self) -> Hop {
        *self.notes.lock().unwrap().hops.last().unwrap()
    }
}

/// A message of neighbour discovery as a frame.
#[derive(Clone)]
struct Message {
    to: [u8; 6],
    source: Ipv6Addr,
    destination: Ipv6Addr,
    limit: u8,
    kind: u8,
    flags: u8,
    target: Ipv6Addr,
    /// Type, length in eights, address.
    option: Option<(u8, u8, [u8; 6])>,
}

fn multicast(address: Ipv6Addr) -> (Ipv6Addr, [u8; 6]) {
    let [.., a, b, c] = address.octets();
    let mut group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).octets();
    group[13..].copy_from_slice(&[a, b, c]);
    (group.into(), [0x33, 0x33, 0xff, a, b, c])
}

impl Message {
    fn solicitation(target: Ipv6Addr) -> Self {
        let (destination, to) = multicast(target);
        let option = Some((1, 1, MAC));
        Self { to, source: PEER, destination, limit: 255, kind: 135, flags: 0, target, option }
    }

    fn advertisement(target: Ipv6Addr, mac: [u8; 6]) -> Self {
        Self {
            to: [2, 0, 0, 0, 0, 1],
            source: target,
            destination: OWN,
            limit: 255,
            kind: 136,
            flags: 0x60,
            target,
            option: Some((2, 1, mac)),
        }
    }

    fn frame(&self) -> Vec<u8> {
        let mut body = vec![self.kind, 0, 0, 0, self.flags, 0, 0, 0];
        body.extend(self.target.octets());
        if let Some((kind, eights, mac)) = self.option {
            body.extend([kind, eights]);
            body.extend(mac);
        }
        let mut pseudo = self.source.octets().to_vec();
        pseudo.extend(self.destination.octets());
        pseudo.extend((body.len() as u32).to_be_bytes());
        pseudo.extend([0, 0, 0, 58]);
        pseudo.extend(&body);
        let sum = checksum(&pseudo);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut frame = self.to.to_vec();
        frame.extend(MAC);
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((body.len() as u16).to_be_bytes());
        frame.extend([58, self.limit]);
        frame.extend(self.source.octets());
        frame.extend(self.destination.octets());
        frame.extend(body);
        frame
    }
}

/// The only frame, with a checksum that is right: Ethernet destination, IPv6 source and
/// destination, and the message.
fn only(frames: &[Vec<u8>]) -> ([u8; 6], Ipv6Addr, Ipv6Addr, Vec<u8>) {
    let [frame] = frames else { panic!("{frames:?}") };
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    assert_eq!((frame[20], frame[21]), (58, 255));
    let body = frame[54..].to_vec();
    let mut pseudo = frame[22..54].to_vec();
    pseudo.extend((body.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    pseudo.extend(&body);
    assert_eq!(checksum(&pseudo), 0, "the checksum is wrong");
    (frame[..6].try_into().unwrap(), address(22), address(38), body)
}

#[test]
fn the_addresses_are_told() {
    let bench = Bench::new(64);
    let expected: [IpAddr; 3] = [bench.host.address.into(), LINK_LOCAL.into(), OWN.into()];
    assert_eq!(bench.notes.lock().unwrap().addresses, expected);
}

#[test]
fn solicitations_of_our_addresses_are_answered_and_teach() {
    let bench = Bench::new(64);
    for (own, asker) in [(OWN, PEER), (LINK_LOCAL, "fe80::99".parse().unwrap())] {
        let question = Message { source: asker, ..Message::solicitation(own) };
        let (to, source, destination, body) = only(&bench.feed(&question.frame()));
        assert_eq!((to, source, destination), (MAC, own, asker));
        assert_eq!((body[0], body[4]), (136, 0x60));
        assert_eq!(body[8..24], own.octets());
        assert_eq!(body[24..], [2, 1, 2, 0, 0, 0, 0, 1]);
        // The host that asks is known from then on: it is not asked.
        assert!(bench.ask(asker).is_empty());
        assert_eq!(bench.last(), Hop::Known(MAC));
    }
    // Asked for by its own address, as a neighbour is that is to be confirmed.
    let unicast =
        Message { to: [2, 0, 0, 0, 0, 1], destination: OWN, ..Message::solicitation(OWN) };
    only(&bench.feed(&unicast.frame()));
    // Somebody wants the address for itself: all are told that it is taken.
    let nobody = Ipv6Addr::UNSPECIFIED;
    let question = Message { source: nobody, option: None, ..Message::solicitation(OWN) };
    let (to, source, destination, _) = only(&bench.feed(&question.frame()));
    assert_eq!((to, source), ([0x33, 0x33, 0, 0, 0, 1], OWN));
    assert_eq!(destination, "ff02::1".parse::<Ipv6Addr>().unwrap());
}

#[test]
fn a_neighbour_is_asked_for_waited_for_and_found() {
    let bench = Bench::new(64);
    let (to, source, destination, body) = only(&bench.ask(PEER));
    let (group, mac) = multicast(PEER);
    assert_eq!((to, source, destination), (mac, OWN, group));
    assert_eq!(body[0], 135);
    assert_eq!(body[8..24], PEER.octets());
    assert_eq!(body[24..], [1, 1, 2, 0, 0, 0, 0, 1]);
    assert_eq!(bench.last(), Hop::Pending);
    let ready = bench.notes.lock().unwrap().ready;
    bench.feed(&Message::advertisement(PEER, MAC).frame());
    assert_eq!(bench.notes.lock().unwrap().ready, ready + 1);
    assert_eq!(bench.last(), Hop::Known(MAC));
    // A link-local one is asked for from the link-local address.
    let near: Ipv6Addr = "fe80::42".parse().unwrap();
    assert_eq!(only(&bench.ask(near)).1, LINK_LOCAL);
}

#[test]
fn a_neighbour_that_does_not_answer_is_gone_and_that_is_told() {
    let bench = Bench::new(64);
    bench.ask(PEER);
    let mut asked = 1;
    let before = bench.notes.lock().unwrap().ready;
    for _ in 0..10 {
        asked += bench.host.pass(&bench.clock, Duration::from_secs(1)).len();
        if bench.last() == Hop::Gone {
            break;
        }
    }
    assert_eq!((bench.last(), asked), (Hop::Gone, 3));
    assert!(bench.notes.lock().unwrap().ready > before);
    // No route leads there.
    for far in ["2001:db8:1::1", "ff02::1", "2001:db8::12:3401"] {
        assert!(bench.ask(far.parse::<Ipv6Addr>().unwrap()).is_empty());
        assert_eq!(bench.last(), Hop::Gone, "{far}");
    }
}

#[test]
fn what_is_not_to_be_heard_is_counted_and_teaches_nothing() {
    let bench = Bench::new(64);
    bench.ask(PEER);
    let other = [2, 0, 0, 0, 0, 66];
    let answer = Message::advertisement(PEER, other);
    let question = Message::solicitation(OWN);
    let near = "fe80::7".parse().unwrap();
    let group = Some((2, 1, [0x33, 0x33, 0, 0, 0, 1]));
    let unheard = [
        ("from beyond a router", Message { limit: 254, ..answer.clone() }),
        ("to replace nothing known", Message { flags: 0, target: near, ..answer.clone() }),
        ("an answer to everybody", Message { destination: everyone(), ..answer.clone() }),
        ("of a group", Message { option: group, ..answer.clone() }),
        ("without an address", Message { option: None, ..answer.clone() }),
        ("an option without a length", Message { option: Some((2, 0, other)), ..answer.clone() }),
        ("an option that is too long", Message { option: Some((2, 2, other)), ..answer.clone() }),
        (
            "of somebody else",
            Message { target: "2001:db8::1:1".parse().unwrap(), ..answer.clone() },
        ),
        ("another message", Message { kind: 134, ..answer.clone() }),
        ("from beyond a router", Message { limit: 1, ..question.clone() }),
        (
            "for somebody else",
            Message { target: "fe80::12:3401".parse().unwrap(), ..question.clone() },
        ),
        (
            "from nobody at an address",
            Message { source: Ipv6Addr::UNSPECIFIED, ..question.clone() },
        ),
        ("from ourselves", Message { source: OWN, ..question.clone() }),
    ];
    for (number, (what, message)) in unheard.iter().enumerate() {
        assert!(bench.feed(&message.frame()).is_empty(), "{what}");
        assert_eq!(bench.host.net.counters().arp_ignored, number as u64 + 1, "{what}");
    }
    let mut damaged = answer.frame();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(bench.feed(&damaged).is_empty());
    for length in 14..answer.frame().len() {
        assert!(bench.feed(&answer.frame()[..length]).is_empty());
    }
    bench.ask(PEER);
    assert_eq!(bench.last(), Hop::Pending);
    bench.feed(&Message::advertisement(PEER, MAC).frame());
    assert_eq!(bench.last(), Hop::Known(MAC));
    // Of two answers to a question the first counts.
    bench.feed(&answer.frame());
    bench.ask(PEER);
    assert_eq!(bench.last(), Hop::Known(MAC));
}

fn everyone() -> Ipv6Addr {
    "ff02::1".parse().unwrap()
}

/// Routers are at link-local addresses, hosts at /128, and a router beside all prefixes is on the
/// link, too (RFC 4861, 6.3.4; RFC 5942, 4).
#[test]
fn a_router_is_on_the_link_whatever_the_prefix() {
    let far: Ipv6Addr = "2001:db8:ffff::7".parse().unwrap();
    for (prefix, gateway, own) in [
        (64, "fe80::1", LINK_LOCAL),
        (128, "fe80::1", LINK_LOCAL),
        (128, "2001:db8:9::1", LINK_LOCAL),
        (64, "2001:db8::fe", OWN),
    ] {
        let gateway: Ipv6Addr = gateway.parse().unwrap();
        let bench = Bench::with(64, |config| {
            config.address6 = Some((OWN, prefix));
            config.gateway6 = Some(gateway);
        });
        let (to, source, _, body) = only(&bench.ask(far));
        assert_eq!((to, source), (multicast(gateway).1, own), "{gateway}");
        assert_eq!(body[8..24], gateway.octets());
        bench.feed(&Message::advertisement(gateway, MAC).frame());
        assert_eq!(bench.last(), Hop::Known(MAC), "{gateway}");
        // Asked by it, we answer and know it.
        let question = Message { source: gateway, ..Message::solicitation(OWN) };
        only(&bench.feed(&question.frame()));
        // A host at /128 has no neighbour in its prefix.
        if prefix == 128 {
            assert!(bench.ask(PEER).is_empty());
            assert_eq!(bench.last(), Hop::Known(MAC), "by the router");
        }
    }
    // Without one there is no way.
    let bench = Bench::new(64);
    assert!(bench.ask(far).is_empty());
    assert_eq!(bench.last(), Hop::Gone);
}

/// RFC 4861, 7.2.3: a station that asks is answered, whatever prefix its address is from; learnt are those that
/// packets are sent to directly. One that confirms what it knows may leave out its address (4.3).
#[test]
fn a_station_of_any_prefix_is_answered() {
    let bench = Bench::new(64);
    let stranger = "2001:db8:1::1".parse().unwrap();
    let question = Message { source: stranger, ..Message::solicitation(OWN) };
    let (to, _, destination, _) = only(&bench.feed(&question.frame()));
    assert_eq!((to, destination), (MAC, stranger));
    bench.ask(stranger);
    assert_eq!(bench.last(), Hop::Gone);
    let own = [2, 0, 0, 0, 0, 1];
    let bare = Message { to: own, destination: OWN, option: None, ..Message::solicitation(OWN) };
    let (to, _, destination, _) = only(&bench.feed(&bare.frame()));
    assert_eq!((to, destination), (MAC, PEER));
}

/// RFC 4861, 7.2.6: a router that fails over tells all nodes. It is believed at once, and the former
/// address is asked whether it is still there.
#[test]
fn a_neighbour_that_moved_is_believed_at_once_and_may_object() {
    let bench = Bench::new(64);
    bench.ask(PEER);
    bench.feed(&Message::advertisement(PEER, MAC).frame());
    assert_eq!(bench.last(), Hop::Known(MAC));
    bench.host.pass(&bench.clock, Duration::from_secs(5));
    let new = [2, 0, 0, 0, 0, 66];
    let to = [0x33, 0x33, 0, 0, 0, 1];
    let answer = Message::advertisement(PEER, new);
    let told = Message { to, destination: everyone(), flags: 0x20, ..answer };
    // Without "override" it is a reason to ask, no more (7.2.5).
    assert!(bench.feed(&Message { flags: 0, ..told.clone() }.frame()).is_empty());
    assert_eq!(only(&bench.ask(PEER)).0, MAC);
    assert_eq!(bench.last(), Hop::Known(MAC));
    // The answer may leave out the address.
    bench.feed(&Message { option: None, ..Message::advertisement(PEER, MAC) }.frame());
    assert!(bench.ask(PEER).is_empty());
    let (to, source, destination, _) = only(&bench.feed(&told.frame()));
    assert_eq!((to, source, destination), (MAC, OWN, PEER));
    let confirm = bench.ask(PEER);
    assert_eq!((only(&confirm).0, bench.last()), (new, Hop::Known(new)));
    bench.feed(&Message::advertisement(PEER, new).frame());
    assert!(bench.ask(PEER).is_empty());
    // The next one only pretends.
    bench.host.pass(&bench.clock, Duration::from_secs(5));
    let thief = [2, 0, 0, 0, 0, 67];
    let lie = Message { option: Some((2, 1, thief)), ..told };
    assert_eq!(only(&bench.feed(&lie.frame())).0, new);
    assert!(bench.feed(&Message::advertisement(PEER, new).frame()).is_empty());
    assert!(bench.ask(PEER).is_empty());
    assert_eq!(bench.last(), Hop::Known(new));
    let counters = bench.host.net.counters();
    assert_eq!((counters.neighbours_moved, counters.moves_disputed), (2, 1));
}

#[test]
fn the_protocol_has_the_frames_of_its_port_and_no_others() {
    let bench = Bench::new(64);
    let (mac, own) = (bench.host.mac, bench.host.address);
    let frame = udp(mac, own, (1000, PORT), b"four");
    bench.host.inject(&frame);
    bench.host.inject(&udp(mac, own, (1000, PORT + 1), b"not this"));
    let mut six = mac.to_vec();
    six.extend(MAC);
    six.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 11, 17, 64]);
    six.extend(PEER.octets());
    six.extend(OWN.octets());
    six.extend([3, 0xe8]);
    six.extend(PORT.to_be_bytes());
    six.extend([0, 11, 0, 0]);
    six.extend(b"six");
    bench.host.inject(&six);
    bench.host.kernel.run_until_idle();
    let notes = bench.notes.lock().unwrap();
    assert_eq!(notes.frames, [(frame, 14), (six, 14)]);
    assert!(notes.settled >= 1);
    assert_eq!(bench.host.net.counters().attached, 2);
}

#[test]
fn the_protocol_runs_at_its_events_priority_and_waits_for_buffers() {
    let bench = Bench::new(4);
    bench.notes.lock().unwrap().due = 20;
    let sent = bench.ask(bench.host.address);
    assert_eq!(bench.notes.lock().unwrap().runs, [(5, Priority::HIGH.level())]);
    assert_eq!(bench.last(), Hop::Gone, "we are no neighbour of ours");
    let mut frames = sent.len();
    // A stalled interface frees no buffer.
    for _ in 0..40 {
        if bench.host.wire.transmit_interrupt() {
            let sent = bench.host.line.interrupts.sent;
            bench.host.kernel.activate(sent, 1).unwrap();
        }
        bench.host.kernel.run_until_idle();
        frames += bench.host.sent(&bench.clock).len();
    }
    assert_eq!((frames, bench.notes.lock().unwrap().due), (20, 0));
}
