//! Others with our address: probed for, withdrawn from, defended against (RFC 5227; RFC 4862, 5.4).

use crate::common;
use common::Host;
use common::raw::{arp, checksum, echo_request, introduce};
use reflex_event::Instant;
use reflex_net::{AddressConflict, Config, ConflictDetection, ConflictOutcome};
use reflex_testkit::Clock;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const EVERYONE: [u8; 6] = [0xff; 6];
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const OTHER: [u8; 6] = [2, 7, 7, 7, 7, 7];

std::thread_local! {
    /// What the hosts of this test have been told.
    static TOLD: RefCell<Vec<AddressConflict>> = const { RefCell::new(Vec::new()) };
}

fn told() -> Vec<AddressConflict> {
    TOLD.with_borrow_mut(core::mem::take)
}

struct Bench {
    clock: Clock,
    host: Host,
    /// What it sent when it started.
    started: Vec<Vec<u8>>,
}

impl Bench {
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::with(&clock, 1, 7, 64, |config| {
            config.conflict_detection = ConflictDetection::On;
            config.conflict = Some(|conflict| TOLD.with_borrow_mut(|told| told.push(conflict)));
            change(config);
        });
        let started = host.sent(&clock);
        Self { clock, host, started }
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    fn feed(&self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.host.exchange(&self.clock, frame)
    }

    fn pass(&self, seconds: u64) -> Vec<Vec<u8>> {
        let sent = self.host.pass(&self.clock, Duration::from_secs(seconds));
        // Those for the router are not what is looked at.
        sent.into_iter().filter(|frame| frame.get(41) != Some(&254)).collect()
    }

    fn probe(&self) -> Vec<u8> {
        arp(EVERYONE, 1, (self.host.mac, NOBODY), ([0; 6], self.host.address))
    }

    fn announcement(&self) -> Vec<u8> {
        arp(EVERYONE, 1, (self.host.mac, self.host.address), ([0; 6], self.host.address))
    }

    /// The other says that our address is its.
    fn claim(&self) -> Vec<u8> {
        arp(EVERYONE, 1, (OTHER, self.host.address), ([0; 6], self.host.address))
    }

    /// The other answers a probe of ours.
    fn defence(&self) -> Vec<u8> {
        arp(self.host.mac, 2, (OTHER, self.host.address), (self.host.mac, NOBODY))
    }

    /// Whether the address is in use: a station that asks for it is answered.
    fn is_used(&self) -> bool {
        let sent = self.feed(&introduce(self.host.address));
        sent.iter().any(|frame| frame[20..22] == [0, 2])
    }

    fn conflict(&self, outcome: ConflictOutcome) -> AddressConflict {
        AddressConflict { address: IpAddr::V4(self.host.address), mac: OTHER, outcome }
    }
}

/// RFC 5227, 2.1.1 and 2.3, while the address is in use.
#[test]
fn an_address_is_used_at_once_probed_for_and_announced() {
    let bench = Bench::new();
    assert!(bench.started.contains(&bench.probe()));
    assert!(bench.is_used());
    let sent = bench.pass(20);
    let [probe, announcement] = [bench.probe(), bench.announcement()];
    let expected = [&announcement, &probe, &probe, &announcement, &announcement];
    assert_eq!(sent.iter().collect::<Vec<_>>(), expected);
    assert!(bench.pass(600).is_empty(), "that is all");
    assert!(bench.is_used());
    assert!(told().is_empty());
    assert_eq!(bench.host.net.counters().address_conflicts, 0);
}

/// RFC 5227, 2.1.1: a station that had the address before us keeps it; we try again.
#[test]
fn an_address_that_somebody_has_is_withdrawn_and_used_once_it_is_free() {
    let changes: [fn(&Bench) -> Vec<u8>; 3] = [
        Bench::defence,
        Bench::claim,
        // It wants the address as we do.
        |bench| arp(EVERYONE, 1, (OTHER, NOBODY), ([0; 6], bench.host.address)),
    ];
    for conflict in changes {
        let bench = Bench::new();
        let sent = bench.feed(&conflict(&bench));
        assert!(!sent.contains(&bench.announcement()));
        assert_eq!(told(), [bench.conflict(ConflictOutcome::Withdrawn)]);
        assert!(!bench.is_used());
        let ping = echo_request(bench.host.mac, bench.host.address, b"x");
        assert!(bench.feed(&ping).is_empty());
        assert_eq!(bench.host.net.counters().address_conflicts, 1);
        // It is still there at the next try.
        let sent = bench.pass(5);
        assert_eq!(sent, [bench.probe()]);
        bench.feed(&bench.defence());
        assert_eq!(told().len(), 1);
        assert!(!bench.is_used());
        // And then gone.
        let sent = bench.pass(30);
        let [probe, announcement] = [bench.probe(), bench.announcement()];
        assert_eq!(sent, [&probe, &probe, &probe, &announcement, &announcement].map(Vec::clone));
        assert!(bench.is_used());
        assert!(told().is_empty());
    }
}

/// RFC 5227, 2.4 (c): an address that is held is defended, once in ten seconds.
#[test]
fn a_configured_address_is_defended_and_kept() {
    let bench = Bench::new();
    bench.pass(20);
    for _ in 0..3 {
        assert_eq!(bench.feed(&bench.claim()), [bench.announcement()]);
        assert_eq!(told(), [bench.conflict(ConflictOutcome::Defended)]);
        for _ in 0..50 {
            assert!(bench.feed(&bench.claim()).is_empty());
            assert!(bench.feed(&bench.defence()).is_empty());
        }
        assert!(told().is_empty());
        assert!(bench.is_used());
        assert!(bench.pass(10).is_empty());
    }
    assert_eq!(bench.host.net.counters().address_conflicts, 303);
    // One that asks whether it is free is in no conflict: it is told.
    let probe = arp(EVERYONE, 1, (OTHER, NOBODY), ([0; 6], bench.host.address));
    assert_eq!(bench.feed(&probe).len(), 1);
    assert!(told().is_empty());
}

/// A link that sends our own frames back to us is no conflict (RFC 5227, 2.1.1; RFC 4862, 5.4.3).
#[test]
fn our_own_frames_sent_back_are_no_conflict() {
    let bench = Bench::with(|config| config.address6 = Some((OWN6, 64)));
    for frame in bench.started.iter().chain(&bench.pass(20)) {
        assert!(bench.feed(frame).is_empty());
    }
    assert!(told().is_empty());
    assert!(bench.is_used());
    assert_eq!(bench.host.net.counters().address_conflicts, 0);
}

#[test]
fn without_detection_an_address_is_announced_once_and_used() {
    let bench = Bench::with(|config| config.conflict_detection = ConflictDetection::Off);
    assert!(bench.started.contains(&bench.announcement()));
    assert!(bench.pass(60).is_empty());
    assert!(bench.feed(&bench.claim()).is_empty());
    assert!(bench.is_used() && told().is_empty());
}

const OWN6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3401);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);

/// A message of neighbour discovery about `target` from [`OTHER`]: to `to`, the group of which is
/// `group`.
fn nd(kind: u8, source: Ipv6Addr, (to, group): ([u8; 6], Ipv6Addr), target: Ipv6Addr) -> Vec<u8> {
    let mut body = vec![kind, 0, 0, 0, if kind == 136 { 0x20 } else { 0 }, 0, 0, 0];
    body.extend(target.octets());
    if kind == 136 {
        body.extend([2, 1]);
        body.extend(OTHER);
    }
    let mut pseudo = [source.octets(), group.octets()].concat();
    pseudo.extend((body.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    pseudo.extend(&body);
    let sum = checksum(&pseudo);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [&to[..], &OTHER, &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
    frame.extend((body.len() as u16).to_be_bytes());
    frame.extend([58, 255]);
    frame.extend(&pseudo[..32]);
    frame.extend(body);
    frame
}

fn solicited_node(address: Ipv6Addr) -> ([u8; 6], Ipv6Addr) {
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::from_bits(0xff02 << 112 | 0x1_ff00_0000 | address.to_bits() & 0xff_ffff);
    ([0x33, 0x33, 0xff, a, b, c], group)
}

fn everyone6() -> ([u8; 6], Ipv6Addr) {
    ([0x33, 0x33, 0, 0, 0, 1], Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1))
}

/// A solicitation of `target` by nobody, as it is asked whether an address is free.
fn is_probe6(frame: &[u8], target: Ipv6Addr) -> bool {
    let (to, group) = solicited_node(target);
    frame.len() == 78
        && frame[..6] == to
        && frame[12..14] == [0x86, 0xdd]
        && frame[22..38] == [0; 16]
        && frame[38..54] == group.octets()
        && frame[54] == 135
        && frame[62..78] == target.octets()
}

/// RFC 4862, 5.4.2: one solicitation an address, without a source and its option.
#[test]
fn ipv6_addresses_are_looked_for_on_the_link() {
    let bench = Bench::with(|config| config.address6 = Some((OWN6, 64)));
    for own in [OWN6, LINK_LOCAL] {
        let probes = bench.started.iter().filter(|frame| is_probe6(frame, own));
        assert_eq!(probes.count(), 1, "{own}");
    }
}

/// RFC 4862, 5.4.3 to 5.4.5: taken is the address that somebody answers for, or wants as we do.
#[test]
fn an_ipv6_address_that_somebody_has_is_withdrawn() {
    let question = nd(135, Ipv6Addr::UNSPECIFIED, solicited_node(OWN6), OWN6);
    for conflict in [nd(136, OWN6, everyone6(), OWN6), question.clone()] {
        let bench = Bench::with(|config| config.address6 = Some((OWN6, 64)));
        assert!(bench.feed(&conflict).is_empty());
        let withdrawn = ConflictOutcome::Withdrawn;
        let expected = AddressConflict { address: OWN6.into(), mac: OTHER, outcome: withdrawn };
        assert_eq!(told(), [expected]);
        // It is nobody's here any more; the other one is.
        bench.pass(10);
        assert!(bench.feed(&question).is_empty());
        let own = nd(135, Ipv6Addr::UNSPECIFIED, solicited_node(LINK_LOCAL), LINK_LOCAL);
        assert_eq!(bench.feed(&own).len(), 1);
    }
}

/// One that comes later is told, at most once in ten seconds.
#[test]
fn an_ipv6_address_that_is_held_is_defended() {
    let bench = Bench::with(|config| config.address6 = Some((OWN6, 64)));
    bench.pass(2);
    let claim = nd(136, OWN6, everyone6(), OWN6);
    for _ in 0..2 {
        let sent = bench.feed(&claim);
        assert_eq!((sent.len(), sent[0][54], sent[0][58]), (1, 136, 0x20));
        assert_eq!(sent[0][..6], everyone6().0);
        assert!(bench.feed(&claim).is_empty());
        let defended = ConflictOutcome::Defended;
        let expected = AddressConflict { address: OWN6.into(), mac: OTHER, outcome: defended };
        assert_eq!(told(), [expected]);
        bench.pass(10);
    }
    let question = nd(135, Ipv6Addr::UNSPECIFIED, solicited_node(OWN6), OWN6);
    assert_eq!(bench.feed(&question).len(), 1, "a station that asks whether it is free is told");
    assert!(told().is_empty());
}

#[test]
fn a_conflict_is_a_sentence() {
    let bench = Bench::new();
    let text = bench.conflict(ConflictOutcome::Withdrawn).to_string();
    assert_eq!(text, "02:07:07:07:07:07 has the address 10.0.0.1 too: it is used here no longer");
}
