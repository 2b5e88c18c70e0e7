//! Guests: images booted for one test.

use crate::tools;
use reflex_qemu::machine::{Forward, Machine, Network, Offloads, Outcome, Running, Status, Tap};
use reflex_qemu::protocol::Protocol;
use reflex_qemu::test::{ALLOW_SKIP, CPUS};
use reflex_qemu::{build, namespace, process};
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long anything may take that a guest is waited for, its boot included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Seconds that a guest lives at most, and those of one that is asked for the whole (`times`).
const LIFE: u64 = 240;
const WHOLE_LIFE: u64 = 7200;

/// How many guests run at a time.
const SEATS: usize = 2;
static FREE: Mutex<usize> = Mutex::new(SEATS);
static FREED: Condvar = Condvar::new();

/// The right to run a guest, or to be the only one that does.
pub(crate) struct Seats(usize);

impl Seats {
    /// The right to run several at a time, for a test with guests that talk to each other.
    pub(crate) fn all() -> Self {
        Self::take(SEATS)
    }

    fn take(count: usize) -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = FREED.wait_while(free, |free| *free < count);
        *enough.unwrap_or_else(PoisonError::into_inner) -= count;
        Self(count)
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        FREED.notify_all();
    }
}

/// A guest that runs. It ends with this value.
pub(crate) struct Guest {
    pub(crate) running: Running,
    _seats: Option<Seats>,
}

/// Moves the test into a network of its own, where no other test and nothing else of this computer
/// is. Where that is refused the test fails, saying what to do; only where skipping was allowed it
/// stays in the computer's network, and `false` says so.
pub(crate) fn enter_network() -> bool {
    // Guests and clients end with this process, and it ends with the command that waits for it.
    process::end_with_parent().unwrap_or_else(|error| panic!("{error}"));
    match namespace::enter() {
        Ok(()) => true,
        Err(_) if skipping() => false,
        Err(error) => panic!("{error}"),
    }
}

fn skipping() -> bool {
    std::env::var_os(ALLOW_SKIP).is_some()
}

/// Whether a test may be skipped for this reason, which is then printed.
pub(crate) fn skips(reason: &dyn Display) -> bool {
    if skipping() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
    }
    skipping()
}

/// A machine for an image of this repository.
pub(crate) fn machine(image: &str) -> Machine {
    tools::require();
    enter_network();
    let file = build::image(image).unwrap_or_else(|error| panic!("{image}: {error:#}"));
    let life = Duration::from_secs(tools::times(LIFE, WHOLE_LIFE));
    Machine::new(file).timeout(life).cpus(cpus())
}

/// With how many processors a guest is booted, unless its test says so.
fn cpus() -> u32 {
    match std::env::var(CPUS) {
        Ok(number) => number.parse().unwrap_or_else(|error| panic!("{CPUS}={number}: {error}")),
        Err(_) => 1,
    }
}

/// User networking, with these ports of the guest reachable from the host.
pub(crate) fn user(ports: &[(Protocol, u16)]) -> Network {
    enter_network();
    let forward = |&(protocol, port): &(Protocol, u16)| Forward::free(protocol, port);
    Network::User(ports.iter().map(forward).collect())
}

/// A tap device of the test's own. Without the right to make one the test fails, saying which
/// right is missing; only where skipping was allowed there is `None`, and the skip is printed.
pub(crate) fn tap() -> Option<Tap> {
    // A tap is made nowhere else.
    if !enter_network() && skips(&"a network of its own is refused") {
        return None;
    }
    match Tap::fresh(Offloads::Offered) {
        Ok(tap) => Some(tap),
        Err(error) if skips(&error) => None,
        Err(error) => panic!("{error}"),
    }
}

impl Guest {
    /// Boots a machine beside at most one other.
    pub(crate) fn start(machine: Machine) -> Self {
        Self::seated(machine, 1)
    }

    /// Boots a machine when no other runs: for heavy load.
    pub(crate) fn start_alone(machine: Machine) -> Self {
        Self::seated(machine, SEATS)
    }

    /// Boots a machine beside others of the same test, which has the right to run them.
    pub(crate) fn start_beside(machine: Machine, _: &Seats) -> Self {
        Self::spawned(machine, None)
    }

    fn seated(machine: Machine, seats: usize) -> Self {
        let seats = Seats::take(seats);
        Self::spawned(machine, Some(seats))
    }

    fn spawned(machine: Machine, seats: Option<Seats>) -> Self {
        let running = machine.spawn().unwrap_or_else(|error| panic!("{error}"));
        Self { running, _seats: seats }
    }

    /// Where a client reaches the port, as soon as the guest listens and has an address.
    pub(crate) fn endpoint(&mut self, protocol: Protocol, port: u16) -> SocketAddr {
        let listening = self.running.wait_for_listen(protocol, port, PATIENCE);
        listening.unwrap_or_else(|error| panic!("{error}"));
        self.running.wait_for_address(PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        self.running.endpoint(protocol, port).expect("the network leads to the guest")
    }

    /// Ends a guest that has to be alive and well still.
    pub(crate) fn stop(self) -> Outcome {
        let Self { running, _seats } = self;
        let outcome = running.kill();
        assert_eq!(outcome.status, Status::Killed, "\n{}", outcome.tail(30));
        assert!(!outcome.crashed(), "{:?}\n{}", outcome.crashes, outcome.tail(30));
        outcome
    }

    /// Waits for a guest that ends by itself.
    pub(crate) fn finish(self) -> Outcome {
        let Self { running, _seats } = self;
        running.finish()
    }
}
