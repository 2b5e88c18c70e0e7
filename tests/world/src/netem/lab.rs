//! The three machines, and what goes through them.

use crate::place::skips;
use rand::RngExt;
use reflex_qemu::machine::{Machine, Network, Running, Status};
use reflex_qemu::peer::{Cable, Class, End, Flavour, Peer, Router, Session, Station};
use reflex_qemu::protocol::Protocol;
use reflex_qemu::{build, process};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long anything may take, transfers through the worst of ways included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// The longest a guest lives.
const LIFE: Duration = Duration::from_secs(1800);
/// Both ends' number on their networks.
const NUMBER: u8 = 2;
/// Bytes each way.
pub(crate) const BYTES: u64 = 1 << 20;
const FILE: &str = "/tmp/stream";

/// One lab at a time: three machines are enough for a computer.
static ROOM: Mutex<()> = Mutex::new(());

/// An image, a router and Linux.
pub(crate) struct Lab {
    _room: MutexGuard<'static, ()>,
    image: Running,
    pub(crate) router: Router,
    pub(crate) linux: Session,
    /// Bytes each way, and the hash of what Linux sends.
    bytes: u64,
    hash: String,
}

pub(crate) fn sound<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}

/// A command of the peer's that succeeds: what it prints.
pub(crate) fn ok(session: &mut Session, command: &str) -> String {
    sound(sound(session.run(command, PATIENCE)).success())
}

impl Lab {
    /// Boots them. Where the Linux peer cannot be made the test fails, or where that is allowed there is `None`.
    pub(crate) fn open(bytes: u64) -> Option<Self> {
        sound(process::end_with_parent());
        let peer = match process::outside(Peer::ensure) {
            Ok(peer) => peer,
            Err(error) if skips(&format_args!("no Linux peer: {error:#}")) => return None,
            Err(error) => panic!("the Linux peer cannot be made: {error:#}"),
        };
        let file = sound(build::image("guest-transfer"));
        let _room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        let (near, far) = (sound(Cable::new()), sound(Cable::new()));
        let router = sound(Router::boot(&peer, near.network(End::Near), far.network(End::Near)));
        let station =
            |beyond, network: Network| Router::station(NUMBER, beyond, network).life(LIFE);
        let seed = crate::seed::random().random::<u32>();
        let words = format!("bytes={bytes} seed={seed}");
        let machine: Machine = station(false, near.network(End::Far)).machine(file).append(words);
        let mut image = sound(machine.spawn());
        let place: Station = station(true, far.network(End::Far));
        let mut linux = sound(Session::boot_as(Flavour::Netem, &peer, place));
        ok(
            &mut linux,
            &format!("busybox dd if=/dev/urandom of={FILE} bs=4k count={} 2>&1", bytes >> 12),
        );
        let hash = word(&ok(&mut linux, &format!("busybox sha256sum {FILE}")), 0);
        sound(image.wait_for_listen(Protocol::Tcp, 2010, PATIENCE));
        sound(image.wait_for_address(PATIENCE));
        Some(Self { _room, image, router, linux, bytes, hash })
    }

    /// Exchanges bytes on these ports, on connections that each side opens, all at the same time.
    pub(crate) fn exchange(&mut self, ports: &[u16]) {
        let (image, linux) = (NUMBER, self.linux.ipv4());
        let mut running = Vec::new();
        for port in ports {
            let serve = format!("busybox nc -l -p {port} < {FILE} | busybox sha256sum");
            running.push(("opened", *port, sound(self.linux.start(&serve))));
        }
        for port in ports {
            sound(self.linux.wait_for_tcp(*port));
        }
        for port in ports {
            sound(self.image.send_line(&format!("connect {linux}:{port}")));
            let connect = format!("busybox nc 10.88.0.{image} {port} < {FILE} | busybox sha256sum");
            running.push(("accepted", *port, sound(self.linux.start(&connect))));
        }
        for (side, port, command) in running {
            let printed = sound(sound(self.linux.wait(command, PATIENCE)).success());
            let told = self.told(side, port);
            let sent = format!("sent {} {}", self.bytes, word(&printed, 0));
            let received = format!("received {} {}", self.bytes, self.hash);
            assert!(
                told.ends_with(&format!("{sent} {received}")),
                "{told}\nexpected {sent} {received}"
            );
        }
    }

    /// What the image says of a transfer that is over.
    fn told(&mut self, side: &str, port: u16) -> String {
        let beginning = format!("transfer {side} {port} ");
        let said = |text: &str| text.find(&beginning).map(|at| text[at..].to_owned());
        if let Some(line) = self.image.lines().iter().find_map(|line| said(&line.text)) {
            return line;
        }
        sound(self.image.wait_for(&beginning, PATIENCE, |line| said(&line.text)))
    }

    /// Packets of a class that the router has lost.
    pub(crate) fn lost(&mut self, port: u16, classes: &[Class]) -> u64 {
        let place = classes.iter().position(|class| class.port == port).expect("a class");
        let handle = format!("{:x}0:", place + 2);
        let all = ok(
            self.router.session(),
            "/usr/bin/tc -s qdisc show dev eth0; /usr/bin/tc -s qdisc show dev eth1",
        );
        let mut lines = all.lines();
        let mut lost = 0;
        while let Some(line) = lines.next() {
            if word(line, 2) == handle {
                let counts = lines.next().unwrap_or_default();
                let dropped = counts.split_once("dropped ").map(|(_, rest)| word(rest, 0));
                lost += dropped
                    .and_then(|text| text.trim_end_matches(',').parse::<u64>().ok())
                    .unwrap_or(0);
            }
        }
        lost
    }

    /// One of the image's counters.
    pub(crate) fn counter(&mut self, name: &str) -> u64 {
        sound(self.image.send_line("counters"));
        sound(self.image.wait_for("the counters", PATIENCE, |line| {
            let (_, counters) = line.text.split_once("counters ")?;
            let mut words = counters.split(' ');
            words.find(|word| *word == name)?;
            words.next()?.parse().ok()
        }))
    }

    /// Ends the image, which has to be well still.
    pub(crate) fn end(self) {
        let outcome = self.image.kill();
        assert_eq!(outcome.status, Status::Killed, "\n{}", outcome.tail(30));
        assert!(!outcome.crashed(), "{:?}\n{}", outcome.crashes, outcome.tail(30));
    }
}

/// A word of a text, or nothing.
fn word(text: &str, number: usize) -> String {
    text.split_ascii_whitespace().nth(number).unwrap_or_default().to_owned()
}
