//! Contexts that are given up: their connections are reset, their ports closed, and what they had
//! is taken over by their next life.

use crate::common;
use common::raw::{ACK, RST, SYN, Segment, introduce, segments, udp};
use common::{Host, Noting, World, at};
use reflex_event::{Context, Instant, Trouble};
use reflex_net::{Datagram, Error, TcpService, UdpService, UdpSocket};
use reflex_testkit::{Clock, SimKernel, Trace};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

type Connection = common::SimConnection;

const SECOND: Duration = Duration::from_secs(1);

fn lone() -> (Clock, Host) {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 3);
    host.sent(&clock);
    host.exchange(&clock, &introduce(host.address));
    (clock, host)
}

/// Opens a connection by hand; the sequence number to acknowledge.
fn open(host: &Host, clock: &Clock, port: u16) -> Option<u32> {
    let syn = Segment::new(port, 80, SYN, 1000, 0).frame(host.mac, host.address);
    let answers = segments(&host.exchange(clock, &syn));
    let answer = answers.first().filter(|answer| answer.flags == SYN | ACK)?;
    let ack = answer.sequence.wrapping_add(1);
    host.exchange(clock, &Segment::new(port, 80, ACK, 1001, ack).frame(host.mac, host.address));
    Some(ack)
}

fn resets(frames: &[Vec<u8>]) -> usize {
    segments(frames).iter().filter(|segment| segment.flags & RST != 0).count()
}

#[test]
fn its_connections_are_reset_and_its_port_closed() {
    let (clock, host) = lone();
    let trace = Trace::default();
    let owner = host.kernel.context(Noting::new("owner", &trace), 1 << 20);
    let other = host.kernel.context(Noting::new("other", &trace), 1 << 20);
    host.net.listen(80).serve(owner).unwrap();
    host.net.listen(81).serve(other).unwrap();
    for port in 4000..4040 {
        open(&host, &clock, port).expect("it listens");
    }
    // One more is half open.
    host.exchange(&clock, &Segment::new(5000, 80, SYN, 1, 0).frame(host.mac, host.address));
    let syn = Segment::new(6000, 81, SYN, 1000, 0).frame(host.mac, host.address);
    let ack = segments(&host.exchange(&clock, &syn))[0].sequence + 1;
    trace.take();

    host.kernel.end(owner);
    host.kernel.run_until_idle();
    assert_eq!(resets(&host.pass(&clock, SECOND)), 41);
    assert!(open(&host, &clock, 4100).is_none());
    let refused = Segment::new(4101, 80, SYN, 1, 0).frame(host.mac, host.address);
    assert_eq!(resets(&host.exchange(&clock, &refused)), 1, "nobody listens");
    assert_eq!(host.net.counters().half_open, 1);
    // The other one has noticed nothing.
    host.exchange(&clock, &Segment::new(6000, 81, ACK, 1001, ack).frame(host.mac, host.address));
    assert_eq!(trace.take(), ["other accepted"]);
}

/// The next life opens the port again, and serves connections in the memory of the former.
#[test]
fn the_next_life_takes_over_ports_and_memory() {
    let (clock, host) = lone();
    let trace = Trace::default();
    let owner = host.kernel.context(Noting::new("owner", &trace), 1 << 20);
    let serve = || host.net.listen(80).connections(8).serve(owner);
    serve().unwrap();
    let used = || reflex_event::EventSystem::pool(&host.kernel, owner).unwrap().stats().allocated;
    let mut full = 0;
    for life in 0..50_u16 {
        for port in 0..8 {
            assert!(open(&host, &clock, 4000 + life * 8 + port).is_some(), "life {life}");
        }
        if life == 0 {
            full = used();
        }
        assert_eq!(used(), full, "life {life}");
        host.kernel.end(owner);
        // Sometimes before the stack has noticed anything.
        if life % 2 == 0 {
            host.kernel.run_until_idle();
        }
        serve().unwrap();
        assert_eq!(host.net.listen(80).serve(owner).err(), Some(Error::PortInUse));
        host.kernel.run_until_idle();
        assert_eq!(resets(&host.sent(&clock)), 8, "life {life}");
    }
    // Other buffers are other memory.
    host.kernel.end(owner);
    host.kernel.run_until_idle();
    host.net.listen(80).buffers(2000, 2000).serve(owner).unwrap();
    assert!(open(&host, &clock, 9000).is_some());
    assert!(used() > full);
}

/// Panics when it is told to, with an endpoint or a frame in hand.
struct Fragile;

impl TcpService<SimKernel> for Fragile {
    fn received(&mut self, connection: &Connection) {
        let _ = connection.receive(|bytes| {
            assert_ne!(bytes[0], b'!', "told to panic");
            if bytes[0] == b'?' { 0 } else { bytes.len() }
        });
        let mut answer = [0; 100];
        let _ = connection.exchange(&mut answer, |bytes, answer| {
            assert_ne!(bytes[0], b'?', "told to panic");
            answer[..2].copy_from_slice(b"ok");
            (bytes.len(), 2)
        });
    }
}

impl UdpService<SimKernel> for Fragile {
    fn datagram(&mut self, socket: &UdpSocket<SimKernel>, datagram: Datagram<'_>) {
        assert_ne!(datagram.payload, b"!", "told to panic");
        let _ = socket.send_to(datagram.payload, datagram.from);
    }
}

#[test]
fn what_a_handler_had_in_hand_is_not_lost() {
    let (clock, host) = lone();
    host.kernel.reuse_borrowed();
    let owner: Context<Fragile> = host.kernel.context(Fragile, 1 << 20);
    let used = || reflex_event::EventSystem::pool(&host.kernel, owner).unwrap().stats().allocated;
    let mut full = 0;
    for life in 0..40_u16 {
        host.net.listen(80).connections(4).serve(owner).unwrap();
        let port = 4000 + life;
        let ack = open(&host, &clock, port).expect("it listens");
        if life == 0 {
            full = used();
        }
        let words: &[u8] = if life % 2 == 0 { b"!" } else { b".?" };
        for (at, byte) in words.iter().enumerate() {
            let segment = Segment::new(port, 80, ACK, 1001 + at as u32, ack).with(&[*byte]);
            host.inject(&segment.frame(host.mac, host.address));
            let last = at + 1 == words.len();
            assert_eq!(host.kernel.contain(owner, Fragile), last, "life {life}");
        }
        assert_eq!(resets(&host.sent(&clock)), 1, "life {life}");
        assert_eq!(used(), full, "life {life}");
    }
}

#[test]
fn a_socket_is_closed_and_taken_over_and_no_frame_is_lost() {
    let (clock, host) = lone();
    host.kernel.reuse_borrowed();
    let owner: Context<Fragile> = host.kernel.context(Fragile, 1 << 20);
    let used = || reflex_event::EventSystem::pool(&host.kernel, owner).unwrap().stats().allocated;
    let datagram = |payload: &[u8]| udp(host.mac, host.address, (5000, 7), payload);
    let mut full = 0;
    for life in 0..200 {
        let socket = host.net.udp(7).serve(owner).unwrap();
        assert_eq!(host.net.udp(7).serve(owner).err(), Some(Error::PortInUse));
        if life == 0 {
            full = used();
        }
        assert_eq!(host.exchange(&clock, &datagram(b"hello")).len(), 1, "life {life}");
        // More wait behind the one that is fatal.
        for payload in [b"!", b"a", b"b"] {
            host.inject(&datagram(payload));
        }
        assert!(host.kernel.contain(owner, Fragile), "life {life}");
        assert_eq!(used(), full, "life {life}");
        assert_eq!(host.wire.outstanding(), 0, "life {life}");
        // Nobody has the port now: that is told by ICMP.
        assert_eq!(host.exchange(&clock, &datagram(b"hello"))[0][23], 1, "life {life}");
        assert_eq!(socket.port(), 7);
    }
}

#[test]
fn a_connector_ends_with_its_context() {
    let world = World::new(1);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let serving = server.kernel.context(Noting::new("s", &trace), 1 << 20);
    server.net.listen(7).serve(serving).unwrap();
    let talker = client.kernel.context(Noting::new("c", &trace), 1 << 20);
    let connector = client.net.connector().serve(talker).unwrap();
    let connection = connector.connect(at(server, 7)).unwrap();
    world.run_for(SECOND);
    assert_eq!(trace.take(), ["c connected", "s accepted"]);
    client.kernel.end(talker);
    world.run_for(SECOND);
    assert_eq!(trace.take(), ["s failed: the peer reset the connection"]);
    assert!(!connection.is_open());
    assert_eq!(connector.connect(at(server, 7)).err(), Some(Error::Closed));
    // The next life has one of its own, though it is in the same place; the former stays what it is.
    let again = client.net.connector().serve(talker).unwrap();
    again.connect(at(server, 7)).unwrap();
    assert_eq!(connector.connect(at(server, 7)).err(), Some(Error::Closed));
    world.run_for(SECOND);
    client.kernel.state(talker, |talker| assert_eq!(talker.connected, 2));
}

/// What is left of a life reaches nothing of the next, which has the same ports in the same places.
#[test]
fn handles_of_an_earlier_life_reach_nothing_of_a_later_one() {
    let (clock, host) = lone();
    let owner: Context<Fragile> = host.kernel.context(Fragile, 1 << 20);
    let open = || {
        let listener = host.net.listen(80).connections(4).serve(owner).unwrap();
        (listener, host.net.udp(9).serve(owner).unwrap())
    };
    let (listener, socket) = open();
    host.kernel.end(owner);
    host.exchange(&clock, &Segment::new(4000, 80, SYN, 1, 0).frame(host.mac, host.address));
    let (present, own) = open();
    let half_open = |port| {
        host.exchange(&clock, &Segment::new(port, 80, SYN, 1, 0).frame(host.mac, host.address));
        present.half_open()
    };
    assert_eq!(half_open(4001), 1);
    assert_eq!((listener.half_open(), listener.peak()), (0, 0));
    listener.close();
    assert_eq!(half_open(4002), 2, "it is not closed by a handle of the former life");
    let peer = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 9);
    assert_eq!(socket.send_to(b"late", peer), Err(Error::Closed));
    assert_eq!(socket.registration(), None);
    assert!(own.registration().is_some());
    own.send_to(b"in time", peer).unwrap();
}

#[test]
fn exhausted_memory_is_told_to_the_owner() {
    let (clock, host) = lone();
    let trace = Trace::default();
    // Room for about three connections of 12 KiB of buffers.
    let owner = host.kernel.context(Noting::new("s", &trace), 64 << 10);
    host.net.listen(80).connections(100).serve(owner).unwrap();
    for port in 4000..4020 {
        host.exchange(&clock, &Segment::new(port, 80, SYN, 1, 0).frame(host.mac, host.address));
    }
    let refused = host.net.counters().no_memory as usize;
    assert!(refused > 10);
    assert_eq!(host.kernel.troubles(owner), vec![Trouble::PoolExhausted; refused]);
}

/// What makes handlers for connections is code of the context that serves them, also where the stack calls
/// it: when it fails, the stack goes on, and so do the others.
#[test]
fn what_makes_handlers_fails_as_its_context() {
    let (clock, host) = lone();
    let trace = Trace::default();
    let owner = host.kernel.context((), 1 << 20);
    let other = host.kernel.context(Noting::new("other", &trace), 1 << 20);
    host.net.listen(81).serve(other).unwrap();
    let make = |_| {
        assert!(std::hint::black_box(false), "told to panic");
        Ok(|_: &mut ()| {})
    };
    host.net.listen(80).serve_by(owner, make).unwrap();
    assert!(open(&host, &clock, 4000).is_none());
    assert_eq!(reflex_event::EventSystem::failures(&host.kernel, owner.id()), Ok(1));
    let syn = Segment::new(6000, 81, SYN, 1000, 0).frame(host.mac, host.address);
    assert_eq!(segments(&host.exchange(&clock, &syn))[0].flags, SYN | ACK);
    // The context listens again, with what makes handlers that are good for something.
    host.net.listen(80).serve_by(owner, |_| Ok(|_: &mut ()| {})).unwrap();
    assert!(open(&host, &clock, 4001).is_some());
}

/// What makes handlers may use the stack when it is dropped, also when it was refused.
#[test]
fn what_is_refused_is_dropped_where_it_may_use_the_stack() {
    struct Captured(common::SimNet, Trace);
    impl Drop for Captured {
        fn drop(&mut self) {
            self.1.note(format!("dropped with {} bytes", self.0.mtu()));
        }
    }
    let (_, host) = lone();
    let trace = Trace::default();
    let owner = host.kernel.context((), 1 << 20);
    let other = host.kernel.context((), 1 << 20);
    let serve = |context: Context<()>, port| {
        let captured = Captured(host.net.clone(), trace.clone());
        host.net.listen(port).serve_by(context, move |_| {
            let _ = &captured;
            Ok(|_: &mut ()| {})
        })
    };
    let listener = serve(owner, 80).unwrap();
    assert_eq!(serve(other, 80).err(), Some(Error::PortInUse));
    assert_eq!(trace.take(), ["dropped with 1500 bytes"]);
    // Groups run out.
    let mut taken = vec![listener];
    let refused = loop {
        match serve(other, 81 + taken.len() as u16) {
            Ok(listener) => taken.push(listener),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, Error::LimitReached);
    assert_eq!(trace.take(), ["dropped with 1500 bytes"]);
}
