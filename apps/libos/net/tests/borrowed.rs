//! Bytes in the hands of code that is given up: nothing is written over them ever again, unless the memory
//! of their context is used again at once; and nothing else is lost by that.

use crate::common;
use common::raw::{ACK, RST, SYN, Segment, introduce, segments, udp};
use common::{Host, SimConnection};
use reflex_event::{Context, EventSystem, Instant, Kernel, Trouble};
use reflex_net::{Datagram, TcpService, UdpService, UdpSocket};
use reflex_testkit::{Clock, SimKernel};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BUFFERS: (usize, usize) = (1000, 3000);

/// Where bytes were that were lent, in order.
type Seen = Arc<Mutex<Vec<Range<usize>>>>;

/// Notes where the bytes are that it is lent, and panics with those that begin with `!`. Answers `=`.
struct Reader {
    seen: Seen,
    shown: Arc<Mutex<Vec<SimConnection>>>,
    ended: u32,
}

fn note(seen: &Seen, bytes: &[u8]) {
    let Range { start, end } = bytes.as_ptr_range();
    seen.lock().unwrap().push(start.addr()..end.addr());
}

impl TcpService<SimKernel> for Reader {
    fn accepted(&mut self, connection: &SimConnection) {
        self.shown.lock().unwrap().push(connection.clone());
    }

    fn received(&mut self, connection: &SimConnection) {
        let mut answer = [0; 8];
        let _ = connection.receive(|bytes| {
            note(&self.seen, bytes);
            assert_ne!(bytes[0], b'!', "told to panic");
            if b".?=".contains(&bytes[0]) { 0 } else { bytes.len() }
        });
        let _ = connection.exchange(&mut answer, |bytes, _| {
            note(&self.seen, bytes);
            assert_ne!(bytes[0], b'?', "told to panic");
            (if bytes[0] == b'.' { 0 } else { bytes.len() }, usize::from(bytes[0] == b'='))
        });
    }

    fn ended(&mut self, _: &SimConnection) {
        self.ended += 1;
    }
}

impl UdpService<SimKernel> for Reader {
    fn datagram(&mut self, _: &UdpSocket<SimKernel>, datagram: Datagram<'_>) {
        note(&self.seen, datagram.payload);
        assert_ne!(datagram.payload[0], b'!', "told to panic");
    }
}

struct World {
    clock: Clock,
    host: Host,
    owner: Context<Reader>,
    seen: Seen,
    shown: Arc<Mutex<Vec<SimConnection>>>,
    /// What is not to be written to any more.
    retired: Vec<Range<usize>>,
}

impl World {
    fn new() -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::new(&clock, 1, 5);
        host.sent(&clock);
        host.exchange(&clock, &introduce(host.address));
        let (seen, shown) = (Seen::default(), Arc::default());
        let owner = host.kernel.context(reader(&seen, &shown), 1 << 16);
        Self { clock, host, owner, seen, shown, retired: Vec::new() }
    }

    fn listen(&self) {
        let listen = self.host.net.listen(80).connections(4).buffers(BUFFERS.0, BUFFERS.1);
        listen.serve(self.owner).unwrap();
    }

    fn segment(&self, port: u16, flags: u8, sequence: u32, ack: u32, bytes: &[u8]) -> Vec<Segment> {
        let segment = Segment::new(port, 80, flags, sequence, ack).with(bytes);
        segments(&self.host.exchange(&self.clock, &segment.frame(self.host.mac, self.host.address)))
    }

    /// Opens a connection by hand; the number to acknowledge, if it is accepted.
    fn open(&self, port: u16) -> Option<u32> {
        let answers = self.segment(port, SYN, 1000, 0, &[]);
        let ack = answers.iter().find(|it| it.flags == SYN | ACK)?.sequence + 1;
        self.segment(port, ACK, 1001, ack, &[]);
        Some(ack)
    }

    /// Data for a connection, with its owner given up if it panics.
    fn fails(&self, port: u16, ack: u32, bytes: &[u8]) -> bool {
        let segment = Segment::new(port, 80, ACK, 1001, ack).with(bytes);
        self.host.inject(&segment.frame(self.host.mac, self.host.address));
        self.host.kernel.contain(self.owner, reader(&self.seen, &self.shown))
    }

    /// What was lent last is retired. How much was lent before it since this was last asked.
    fn retire(&mut self) -> usize {
        let last = self.seen.lock().unwrap().pop().unwrap();
        let before = self.check();
        self.retired.push(last);
        before
    }

    /// Nothing was lent again that is retired; how much was lent since this was last asked.
    fn check(&self) -> usize {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        for lent in &seen {
            let overlaps = |it: &&Range<usize>| it.start < lent.end && lent.start < it.end;
            assert_eq!(self.retired.iter().find(overlaps), None, "{lent:?} is used again");
        }
        seen.len()
    }

    fn told(&self) -> usize {
        let told = self.host.kernel.troubles(self.owner);
        told.iter().filter(|it| **it == Trouble::MemoryQuarantined).count()
    }

    fn used(&self) -> usize {
        self.host.kernel.pool(self.owner).unwrap().stats().allocated
    }
}

fn reader(seen: &Seen, shown: &Arc<Mutex<Vec<SimConnection>>>) -> Reader {
    Reader { seen: seen.clone(), shown: shown.clone(), ended: 0 }
}

fn resets(segments: &[Segment]) -> usize {
    segments.iter().filter(|it| it.flags & RST != 0).count()
}

/// A handler is given up with received bytes in hand, life after life: they lie where nothing is received
/// any more, in each of its ways to have them. Its connections are reset, and it serves as many as before.
#[test]
fn received_bytes_of_a_handler_that_was_given_up_stay() {
    let mut world = World::new();
    let (mut used, mut free) = (0, world.host.kernel.free());
    for life in 0..60_u16 {
        world.listen();
        let first = 4000 + 4 * life;
        let acks: Vec<u32> = (0..4).map(|at| world.open(first + at).expect("a place")).collect();
        for at in 0..3 {
            assert!(!world.fails(first + at, acks[usize::from(at)], b"well"));
        }
        assert_eq!(world.check(), 3, "life {life}");
        assert!(world.fails(first + 3, acks[3], if life % 2 == 0 { b"!" } else { b"?" }));
        world.retire();
        let sent = segments(&world.host.pass(&world.clock, Duration::from_secs(1)));
        assert_eq!(resets(&sent), 4, "life {life}");
        // Counted and told, and made up for by the machine's memory.
        let lives = usize::from(life) + 1;
        assert_eq!(world.host.kernel.quarantined(), lives * (BUFFERS.0 + BUFFERS.1));
        assert_eq!(world.told(), lives);
        if life > 0 {
            let more = free - world.host.kernel.free();
            assert!((BUFFERS.0 + BUFFERS.1..4 * BUFFERS.1).contains(&more), "life {life}: {more}");
        }
        free = world.host.kernel.free();
        // The owner's own memory does not shrink: at first it loses the parts of its endpoints.
        used = if life < 8 { world.used() } else { used };
        assert_eq!(world.used(), used, "life {life}");
    }
}

/// Filters of others fail with bytes of a connection in hand: that is reset, which its owner is told, and
/// all of its places serve on, as long as there is any memory.
#[test]
fn a_filter_that_is_given_up_takes_one_connection_with_it() {
    let mut world = World::new();
    world.listen();
    let kernel = world.host.kernel.clone();
    let mut port = 4000;
    let mut round = |world: &mut World| {
        let mut opened = Vec::new();
        while let Some(ack) = world.open(port) {
            opened.push((port, ack));
            port += 1;
        }
        port += 1;
        let failing = world.shown.lock().unwrap().last().cloned();
        for (port, ack) in &opened {
            // Left unread.
            assert!(!world.fails(*port, *ack, b".."));
        }
        world.check();
        let Some(failing) = failing else { return 0 };
        let filter = kernel.context((), 1 << 10);
        let seen = world.seen.clone();
        let contained = kernel.contained(filter.id(), (), |()| {
            let _ = failing.receive(|bytes| {
                note(&seen, bytes);
                panic!("told to panic")
            });
        });
        assert!(contained.is_err());
        world.retire();
        // In the hands of nobody, and yet nobody's to read.
        assert_eq!(failing.receive(|_| unreachable!("retired")), Ok(0));
        kernel.run_until_idle();
        assert_eq!(resets(&segments(&world.host.sent(&world.clock))), 1);
        kernel.state(world.owner, |reader| assert_eq!(std::mem::take(&mut reader.ended), 1));
        assert_eq!(failing.receivable().err(), Some(reflex_net::Error::Closed));
        // Nobody else noticed; now they all end.
        for (port, _) in &opened[..opened.len() - 1] {
            world.segment(*port, RST, 1003, 0, &[]);
        }
        world.shown.lock().unwrap().clear();
        opened.len()
    };
    for _ in 0..50 {
        assert_eq!(round(&mut world), 4);
    }
    // Without the machine's memory it is the owner's that is used, and after that places are lost.
    kernel.set_free(0);
    let mut served = 4;
    for _ in 0..200 {
        let now = round(&mut world);
        assert!((served - 1..=served).contains(&now), "{served} places, then {now}");
        served = now;
        if served == 0 {
            break;
        }
    }
    assert_eq!(served, 0);
    assert!(kernel.troubles(world.owner).contains(&Trouble::PoolExhausted));
    // They are there again as soon as there is memory.
    kernel.set_free(1 << 20);
    assert_eq!(round(&mut world), 4);
}

/// A handler is given up with a datagram in hand: its frame's buffer is the device's never again, and the
/// device gets others in its place, in few pools.
#[test]
fn datagrams_of_a_handler_that_was_given_up_stay() {
    let mut world = World::new();
    let lives = 300;
    for life in 0..lives {
        world.host.net.udp(7).serve(world.owner).unwrap();
        for payload in [&b"well"[..], b"!"] {
            let frame = udp(world.host.mac, world.host.address, (5000, 7), payload);
            world.host.inject(&frame);
            let failed = world.host.kernel.contain(world.owner, reader(&world.seen, &world.shown));
            assert_eq!(failed, payload == b"!");
        }
        assert_eq!(world.retire(), 1, "life {life}");
        assert_eq!(world.host.wire.outstanding(), life + 1, "nothing else is lost");
        let more = world.host.line.arrivals.more();
        // In blocks of 64 bytes, which is what the frames here take.
        let room: usize = more.iter().map(|pool| pool.available() / 64).sum();
        let lost = life + 1;
        assert!((lost..=2 * (lost + lost / 4) + 10).contains(&room), "{lost} lost, {room} more");
    }
    assert_eq!(world.host.line.arrivals.more().len(), 7);
}

/// The bytes may be in the frame that they came in.
#[test]
fn predicted_bytes_of_a_handler_that_was_given_up_stay() {
    let mut world = World::new();
    for life in 0..20 {
        world.listen();
        let port = 4000 + life;
        let ack = world.open(port).expect("a place");
        let before = world.host.net.counters().predicted;
        let feed = |sequence, ack, bytes: &[u8]| {
            let segment = Segment::new(port, 80, ACK, sequence, ack).with(bytes);
            world.host.inject(&segment.frame(world.host.mac, world.host.address));
            world.host.kernel.contain(world.owner, reader(&world.seen, &world.shown))
        };
        assert!(!feed(1001, ack, b"="));
        assert!(!feed(1002, ack + 1, b"="));
        assert!(feed(1003, ack + 2, if life % 2 == 0 { b"!" } else { b"?" }));
        assert_eq!(world.host.net.counters().predicted - before, 3, "two heard, one answered");
        world.retire();
        let sent = segments(&world.host.pass(&world.clock, Duration::from_secs(1)));
        assert_eq!(resets(&sent), 1, "life {life}");
        assert_eq!(world.host.wire.outstanding(), usize::from(life) + 1, "nothing else is lost");
    }
}

/// Where the context's memory is used again at once, so is what it had in hand, and nothing is lost at all.
#[test]
fn what_may_be_used_again_is() {
    let world = World::new();
    world.host.kernel.reuse_borrowed();
    let free = world.host.kernel.free();
    let mut used = 0;
    for life in 0..100_u16 {
        world.listen();
        world.host.net.udp(7).serve(world.owner).unwrap();
        let ack = world.open(4000 + life).expect("a place");
        assert!(!world.fails(4000 + life, ack, b"."));
        used = if life == 0 { world.used() } else { used };
        let fatal = udp(world.host.mac, world.host.address, (5000, 7), b"!");
        match life % 2 {
            0 => world.host.inject(&fatal),
            _ => assert_eq!(world.seen.lock().unwrap().len(), 2),
        }
        let again = |bytes| {
            let segment = Segment::new(4000 + life, 80, ACK, 1002, ack).with(bytes);
            world.host.inject(&segment.frame(world.host.mac, world.host.address));
            world.host.kernel.contain(world.owner, reader(&world.seen, &world.shown))
        };
        // Behind the one that was left unread, so that this is seen only when that is gone.
        assert_eq!(again(b"x"), life % 2 == 0);
        if life % 2 == 1 {
            world.host.kernel.end(world.owner);
            world.host.kernel.run_until_idle();
        }
        world.seen.lock().unwrap().clear();
        world.host.sent(&world.clock);
        assert_eq!((world.used(), world.host.wire.outstanding()), (used, 0), "life {life}");
    }
    let kernel = &world.host.kernel;
    assert_eq!((kernel.quarantined(), kernel.free(), world.told()), (0, free, 0));
    assert!(world.host.line.arrivals.more().is_empty());
}
