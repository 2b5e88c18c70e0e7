//! Frames that no stack should send, put on the wire by hand: dropped and counted, while ordinary
//! clients are served.

use crate::guest::{Guest, machine, tap};
use crate::http::assert_serves;
use crate::steady::Session;
use crate::tools::{seed, times};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reflex_qemu::machine::{Network, Tap};
use reflex_qemu::protocol::Protocol;
use reflex_wire::{Ends, IPV4, TRANSPORT, Wire, patched};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

/// The hardware address of a machine that asks for no other.
const GUEST_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x77, 0x00, 0x02];

fn ends(tap: &Tap) -> Ends {
    let host = tap.host().expect("a tap of ours has one").octets();
    let from = Ipv4Addr::new(host[0], host[1], host[2], 77);
    Ends { guest_mac: GUEST_MAC, from, to: tap.guest().expect("a tap of ours has one") }
}

/// Each is wrong in one way that a receiver has to notice. None may reach a socket.
fn malformed(ends: Ends, port: u16) -> Vec<Vec<u8>> {
    let syn = ends.syn(port, 1_000);
    let udp = ends.udp(port, b"wrong");
    let ping = ends.ping(b"wrong");
    let mut frames = Vec::new();
    // Cut off anywhere before the end of what the headers promise.
    for whole in [&syn, &udp, &ping] {
        frames.extend((IPV4..whole.len()).map(|length| whole[..length].to_vec()));
    }
    for whole in [&syn, &udp, &ping] {
        let length = (whole.len() - IPV4) as u16;
        for version in [0x05, 0x15, 0x65, 0xf5, 0x40, 0x41, 0x44, 0x4f] {
            frames.push(patched(whole, IPV4, &[version]));
        }
        for lie in [0, 1, 19, length + 1, 1500, 0xffff] {
            frames.push(patched(whole, IPV4 + 2, &lie.to_be_bytes()));
        }
        // More to come, a later part, the last part, a part that would overflow the packet.
        for fragment in [0x2000u16, 0x2001, 0x0001, 0x1fff, 0x3fff] {
            frames.push(patched(whole, IPV4 + 6, &fragment.to_be_bytes()));
        }
        let mut bad_sum = whole.clone();
        bad_sum[IPV4 + 10] ^= 0x55;
        frames.push(bad_sum);
    }
    // No such sender: a group, everybody, the loopback, nobody, the receiver itself.
    let own = ends.to.octets();
    for from in
        [[224, 0, 0, 1], [255; 4], [own[0], own[1], own[2], 255], [127, 0, 0, 1], [0; 4], own]
    {
        let ends = Ends { from: from.into(), ..ends };
        frames.extend([ends.syn(port, 2_000), ends.udp(port, b"wrong"), ends.ping(b"wrong")]);
    }
    // Transport headers that lie; their own checksum is then wrong too, or is made right by luck.
    for offset in [0x00, 0x10, 0x40, 0xf0] {
        frames.push(patched(&syn, TRANSPORT + 12, &[offset]));
    }
    for length in [0u16, 7, 8, 200, 0xffff] {
        frames.push(patched(&udp, TRANSPORT + 4, &length.to_be_bytes()));
    }
    frames.push(patched(&syn, TRANSPORT + 16, &[0xde, 0xad]));
    frames.push(patched(&udp, TRANSPORT + 6, &[0xde, 0xad]));
    frames.push(patched(&ping, TRANSPORT + 2, &[0xde, 0xad]));
    // Options without an end.
    frames.push(patched(&syn, TRANSPORT + 20, &[2, 0, 0, 0]));
    frames.push(patched(&syn, TRANSPORT + 20, &[2, 40, 0, 0]));
    let arp = ends.arp();
    frames.extend((IPV4..arp.len()).map(|length| arp[..length].to_vec()));
    for (at, byte) in [(0, 9), (2, 9), (4, 7), (5, 5), (6, 9), (7, 9)] {
        let mut lie = arp.clone();
        lie[IPV4 + at] = byte;
        frames.push(lie);
    }
    frames
}

/// Anything: noise, and good frames with bits turned over.
fn noise(random: &mut StdRng, ends: Ends, port: u16) -> Vec<u8> {
    if random.random_bool(0.5) {
        let mut frame = vec![0; random.random_range(IPV4..1514)];
        random.fill(&mut frame[..]);
        frame[..6].copy_from_slice(&ends.guest_mac);
        let kinds = [0x0800u16, 0x0806, 0x86dd, 0x8100, random.random()];
        let kind = kinds[random.random_range(0..kinds.len())];
        frame[12..14].copy_from_slice(&kind.to_be_bytes());
        return frame;
    }
    let mut frame = match random.random_range(0..4) {
        0 => ends.syn(port, random.random()),
        1 => ends.udp(port, b"some bytes"),
        2 => ends.ping(b"some bytes"),
        _ => ends.arp(),
    };
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(IPV4..frame.len());
        frame[at] ^= 1 << random.random_range(0..8);
    }
    if random.random_bool(0.5) && frame.len() >= TRANSPORT {
        frame = patched(&frame, IPV4, &[]);
    }
    frame
}

/// How many frames are sent before clients are looked at again.
const PACE: usize = 100;

/// Sets a flag at its end.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Ordinary clients come and go while everything wrong there is arrives among their frames.
#[test]
fn clients_are_served_through_a_storm_of_malformed_frames() {
    let Some(tap) = tap() else { return };
    let mut random = StdRng::seed_from_u64(seed());
    let ends = ends(&tap);
    let mut wire = Wire::open(tap.name()).expect("a user who may make a tap may write on it");
    let mut guest = Guest::start(machine("httpd").network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 80);
    let count = times(5_000, 1_000_000);
    let (over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    let sent = thread::scope(|scope| {
        // Also when something below fails: the clients are waited for.
        let over = Ending(&over);
        let clients = scope.spawn(|| {
            while !over.0.load(Relaxed) {
                assert_serves(server);
                served.fetch_add(1, Relaxed);
            }
        });
        let wrong = (0..3).flat_map(|_| malformed(ends, 80));
        let noise = (0..count).map(|_| noise(&mut random, ends, 80));
        let mut sent = 0u64;
        for (number, frame) in wrong.chain(noise).enumerate() {
            sent += u64::from(wire.send(&frame));
            // Not more at once than the wire holds; the next answer comes behind them all.
            if number % PACE == PACE - 1 {
                let before = served.load(Relaxed);
                while served.load(Relaxed) < before + 2 && !clients.is_finished() {
                    thread::yield_now();
                }
            }
        }
        drop(over);
        clients.join().expect("clients are served");
        sent
    });
    assert!(sent > count, "only {sent} frames went out");
    assert_serves(server);
    guest.stop();
}

/// Every malformed frame is counted as dropped, none reaches a socket, and none costs memory.
#[test]
fn malformed_frames_are_counted_and_leave_nothing_behind() {
    let Some(tap) = tap() else { return };
    let ends = ends(&tap);
    let mut wire = Wire::open(tap.name()).expect("a user who may make a tap may write on it");
    let mut guest = Guest::start(machine("steady").network(Network::Tap(tap)));
    let mut session = Session::connect(guest.endpoint(Protocol::Tcp, 9));
    let frames = malformed(ends, 9);
    let send_all = |wire: &mut Wire, session: &mut Session| {
        let before = session.stack().dropped;
        for frame in &frames {
            assert!(wire.send(frame), "{frame:02x?}");
        }
        session.until("all malformed frames are dropped", |session| {
            session.stack().dropped - before >= frames.len() as u64
        });
    };
    // The first time may make tables grow.
    send_all(&mut wire, &mut session);
    let before = (session.runs(), session.heap());
    send_all(&mut wire, &mut session);
    let (runs, heap) = (session.runs(), session.heap());
    assert_eq!(runs.datagrams, before.0.datagrams);
    assert_eq!(runs.accepted, before.0.accepted);
    // Something may be given back still that was only there to start with.
    assert_eq!(heap.allocations, before.1.allocations);
    assert!(heap.used <= before.1.used, "{heap:?}");
    guest.stop();
}
