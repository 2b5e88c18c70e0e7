//! Clients that say a byte now and then, or read one: more than there are others. The server ends each by its own limits
//! (`docs/http.md`, "Limits"), and serves the others meanwhile.

use super::site::{CLIENTS, SPARE, endpoint, serve};
use super::victim::{Report, Victim};
use crate::seed::times;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

/// How much longer than the limit it may take to end the last of thousands.
const LENIENCE: Duration = Duration::from_secs(20);
/// How often each says or reads a byte.
const NOW_AND_THEN: Duration = Duration::from_secs(1);
/// Requests of a client that hardly reads: their answers fill its buffer and the server's many times.
const REQUESTS: usize = 16;
/// Bytes that the host is asked to keep for one.
const HARDLY_ANY: usize = 2_048;

/// What a client does, in the order of how long it is let do so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// It says nothing at all.
    Silent,
    /// It asks for long files, and reads a byte of them at a time.
    Reader,
    /// It sends the body of a request, byte by byte.
    Body,
    /// It sends a head so.
    Head,
}

const KINDS: [Kind; 4] = [Kind::Silent, Kind::Reader, Kind::Body, Kind::Head];

impl Kind {
    /// How long the server lets it be: `idle`, twice `stall` since what fills buffers counts as taken, `body`, `head`.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Silent | Self::Reader => 60,
            Self::Body => 30,
            Self::Head => 10,
        })
    }

    /// What it says at once.
    fn greeting(self) -> Vec<u8> {
        let text = match self {
            Self::Silent => String::new(),
            Self::Reader => "GET /priorities.html HTTP/1.1\r\nHost: a\r\n\r\n".repeat(REQUESTS),
            Self::Body => "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4096\r\n\r\n".to_owned(),
            Self::Head => "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ".to_owned(),
        };
        text.into_bytes()
    }
}

/// A slow client.
struct Slow {
    kind: Kind,
    stream: TcpStream,
    begun: Instant,
    /// How long it was let be.
    over: Option<Duration>,
}

impl Slow {
    fn begin(kind: Kind, server: SocketAddrV4) -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        if kind == Kind::Reader {
            // Before it is connected: from then on its window may be large.
            setsockopt(&socket, sockopt::RcvBuf, &HARDLY_ANY)?;
        }
        connect(socket.as_raw_fd(), &SockaddrIn::from(server))?;
        let mut stream = TcpStream::from(socket);
        let greeted =
            stream.set_nonblocking(true).and_then(|()| stream.write_all(&kind.greeting()));
        greeted.expect("a new connection has room for a greeting");
        Ok(Self { kind, stream, begun: Instant::now(), over: None })
    }

    /// Says or reads a byte, and looks whether the server has ended it.
    fn go_on(&mut self) {
        let said = match self.kind {
            Kind::Body | Kind::Head => self.stream.write_all(b"x"),
            Kind::Silent | Kind::Reader => Ok(()),
        };
        let most = if self.kind == Kind::Reader { 1 } else { 4_096 };
        let heard = said.and_then(|()| self.stream.read(&mut [0; 4_096][..most]));
        let goes_on = match heard {
            Ok(0) => false,
            // What came before a reset would be read first.
            Ok(_) => matches!(self.stream.take_error(), Ok(None)),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        if !goes_on {
            self.over = Some(self.begun.elapsed());
        }
    }
}

/// Those of all kinds.
#[derive(Default)]
struct Slows(Vec<Slow>);

impl Slows {
    /// Has each go on that there is still.
    fn go_on(&mut self) {
        self.0.iter_mut().filter(|slow| slow.over.is_none()).for_each(Slow::go_on);
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Slow> {
        self.0.iter().filter(move |slow| slow.kind == kind)
    }

    fn are_over(&self) -> bool {
        self.0.iter().all(|slow| slow.over.is_some())
    }
}

impl fmt::Display for Slows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in KINDS {
            let over = || self.of(kind).filter_map(|slow| slow.over);
            let (all, ended) = (self.of(kind).count(), over().count());
            let (first, last) = (over().min(), over().max());
            writeln!(f, "{kind:?}: {ended} of {all} are ended, after {first:?} to {last:?}")?;
        }
        Ok(())
    }
}

/// As many as `each` of every kind, each of which goes on while others begin.
fn begin(victim: &Victim, server: SocketAddrV4, each: usize) -> Slows {
    let work = move || {
        let (mut slows, mut last) = (Slows::default(), Instant::now());
        for kind in KINDS {
            for _ in 0..each {
                slows.0.push(Slow::begin(kind, server)?);
                if last.elapsed() >= NOW_AND_THEN {
                    last = Instant::now();
                    slows.go_on();
                }
            }
        }
        Ok(slows)
    };
    let begun: nix::Result<Slows> = victim.place.run(work);
    begun.unwrap_or_else(|error| panic!("slow clients do not connect: {error}"))
}

/// What is counted when only the others are left.
fn without_slow(victim: &mut Victim) -> Report {
    victim.until("slow clients are gone", |now| {
        now.connections() == u64::from(CLIENTS) && now.half_open() == 0
    })
}

/// As many as `each` of every kind come and go at once. What is counted then: what is made for a place is kept, and was
/// made.
pub(crate) fn come_and_go(victim: &mut Victim, server: SocketAddrV4, each: usize) -> Report {
    let begun = Instant::now();
    drop(begin(victim, server, each));
    let report = without_slow(victim);
    println!("{} came and went in {:?}", KINDS.len() * each, begun.elapsed());
    report
}

/// They have left nothing behind but what was counted, though they keep their ends of the connections.
fn leave_nothing(victim: &mut Victim, before: &Report, each: u64) {
    let after = without_slow(victim);
    assert_eq!(after.memory(), before.memory());
    let counted = ["ended", "failed"].map(|what| after.count(what) - before.count(what));
    println!("ended and failed: {counted:?}");
    assert_eq!(counted.iter().sum::<u64>(), KINDS.len() as u64 * each);
}

#[test]
fn slow_clients_are_ended_while_others_are_served() {
    let each = times(500, 2_500);
    let places = u64::from(CLIENTS) + KINDS.len() as u64 * each + SPARE;
    let Some(mut victim) = Victim::boot("httpd", &format!("connections={places}")) else { return };
    let server = endpoint(&mut victim);
    let crowd = serve(&mut victim);
    let before = come_and_go(&mut victim, server, each as usize);
    let mut slows = begin(&victim, server, each as usize);
    let begun = Instant::now();
    while !slows.are_over() {
        thread::sleep(NOW_AND_THEN);
        slows.go_on();
        crowd.moves_on();
        let late = |slow: &&Slow| {
            slow.over.is_none() && slow.begun.elapsed() > slow.kind.limit() + LENIENCE
        };
        assert_eq!(slows.0.iter().filter(late).count(), 0, "some are not ended:\n{slows}");
    }
    let early = |slow: &&Slow| slow.over.is_some_and(|after| after < slow.kind.limit());
    assert_eq!(slows.0.iter().filter(early).count(), 0, "some are ended early:\n{slows}");
    println!("{slows}all are ended after {:?}", begun.elapsed());
    leave_nothing(&mut victim, &before, each);
    crowd.end();
    victim.end(&[]);
}
