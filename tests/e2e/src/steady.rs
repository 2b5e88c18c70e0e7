//! A steady state makes no call of the global heap, and what handlers are given lies in their
//! owner's pool.

use crate::guest::{Guest, PATIENCE, machine, tap};
use reflex_qemu::machine::Network;
use reflex_qemu::protocol::Protocol;
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// A connection to the image `steady`.
pub(crate) struct Session(BufReader<TcpStream>);

/// What the global heap has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Heap {
    pub(crate) allocations: u64,
    pub(crate) deallocations: u64,
    pub(crate) used: u64,
}

/// How often handlers ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Runs {
    pub(crate) ticks: u64,
    pub(crate) signals: u64,
    pub(crate) datagrams: u64,
    pub(crate) accepted: u64,
    pub(crate) connected: u64,
    pub(crate) over: u64,
}

/// How often something lay within the owner's pool, and how often not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Places {
    pub(crate) bytes: (u64, u64),
    pub(crate) boxes: (u64, u64),
}

/// What the stack has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stack {
    pub(crate) frames: u64,
    pub(crate) dropped: u64,
}

/// The numbers of an answer.
fn numbers<const N: usize>(answer: &str) -> [u64; N] {
    let numbers: Vec<u64> = answer.split(' ').filter_map(|word| u64::from_str(word).ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("not {N} numbers: {answer:?}"))
}

impl Session {
    pub(crate) fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE);
        let stream = stream.unwrap_or_else(|error| panic!("{server}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// The next line that the image sends.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        assert!(line.ends_with('\n'), "the connection ended after {line:?}");
        line.trim_end().to_owned()
    }

    pub(crate) fn ask(&mut self, question: &str) -> String {
        self.0.get_mut().write_all(format!("{question}\n").as_bytes()).expect("it is taken");
        self.line()
    }

    pub(crate) fn heap(&mut self) -> Heap {
        let [allocations, deallocations, used] = numbers(&self.ask("heap"));
        Heap { allocations, deallocations, used }
    }

    pub(crate) fn runs(&mut self) -> Runs {
        let [ticks, signals, datagrams, accepted, connected, over] = numbers(&self.ask("runs"));
        Runs { ticks, signals, datagrams, accepted, connected, over }
    }

    pub(crate) fn places(&mut self) -> Places {
        let [bytes_in, bytes_out, boxes_in, boxes_out] = numbers(&self.ask("pool"));
        Places { bytes: (bytes_in, bytes_out), boxes: (boxes_in, boxes_out) }
    }

    pub(crate) fn stack(&mut self) -> Stack {
        let [frames, dropped] = numbers(&self.ask("stack"));
        Stack { frames, dropped }
    }

    /// Waits until `condition` holds.
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Connections at a time: all the places there are, but for the one that asks and the ones the
/// guest opens itself.
const BURST: usize = 40;

/// Everything that happens again and again in a server's life.
fn life(asking: &mut Session, server: SocketAddr) {
    // A burst of connections, all open at a time, each closed by us.
    let mut burst: Vec<Session> = (0..BURST).map(|_| Session::connect(server)).collect();
    for (number, session) in burst.iter_mut().enumerate() {
        let text = format!("{number} {}!", "x".repeat(number));
        assert_eq!(session.ask(&text), text);
    }
    // Some are cut off in the middle of a line, which resets them if an answer is on its way.
    for session in burst.iter_mut().step_by(5) {
        session.0.get_mut().write_all(b"whole\nhalf a li").expect("it is taken");
    }
    let over = asking.runs().over;
    let opened = burst.len() as u64;
    drop(burst);
    asking.until("the burst is over", |asking| asking.runs().over >= over + opened);
    // One after the other.
    for _ in 0..20 {
        let text = "one after the other";
        assert_eq!(Session::connect(server).ask(text), text);
    }
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect(server).expect("a peer");
    let datagrams = asking.runs().datagrams;
    asking.until("datagrams have arrived", |asking| {
        (0..20).for_each(|_| drop(socket.send(b"a datagram")));
        asking.runs().datagrams >= datagrams + 20
    });
    let ticks = asking.runs().ticks;
    asking.until("timers have ticked", |asking| asking.runs().ticks >= ticks + 20);
}

#[test]
fn a_steady_state_makes_no_heap_call() {
    let Some(tap) = tap() else { return };
    let mut guest = Guest::start(machine("steady").network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 9);
    let mut asking = Session::connect(server);
    // The most there ever is at a time has to have been there once.
    (0..3).for_each(|_| life(&mut asking, server));
    let (heap, runs) = (asking.heap(), asking.runs());
    for round in 0..10 {
        life(&mut asking, server);
        assert_eq!(asking.heap(), heap, "round {round}");
    }
    let (places, after) = (asking.places(), asking.runs());
    assert!(after.accepted >= runs.accepted + 600, "{after:?}");
    assert!(after.datagrams >= runs.datagrams + 200, "{after:?}");
    assert!(after.ticks > runs.ticks && after.signals > runs.signals, "{after:?}");
    // What an undisturbed connection is sent is read in the frame that it came in, and the rest in the pool.
    assert!(places.bytes.0 > 300 && places.boxes.0 > 100, "{places:?}");
    assert!(places.bytes.0 + places.bytes.1 > 600, "{places:?}");
    assert_eq!(places.boxes.1, 0, "outside of the pool: {places:?}");
    guest.stop();
}
