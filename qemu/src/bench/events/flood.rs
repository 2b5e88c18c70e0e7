//! Latency under a flood: the host sends datagrams to a port of the guest as fast as it can, and
//! the guest tells how late a timer's handler of high priority is.
//!
//! What a guest does that is told to (`flood` on our image's command line, [`Serve::Flood`] for
//! Linux):
//!
//! 1. Something of the lowest priority is always busy, so that the machine never halts and the
//!    time stamp counter counts nothing but instructions.
//! 2. It measures, from the timer's due time to the handler's first instruction, without a flood:
//!    `#! figure events flood-latency-idle value=N unit=instructions`, a median.
//! 3. It opens a UDP port of low priority and says so (`#! listen udp PORT`). The flood begins.
//! 4. When the first thousand datagrams have come it measures again, and prints
//!    `flood-latency-p99`, `flood-latency-maximum`, and `flood-datagrams value=N
//!    unit=datagrams`: how many came meanwhile.
//! 5. It ends, with status 0.
//!
//! Built with the feature `measure`, our image prints the longest sections of steps 2 to 4 as
//! well (`longest-masked`, `longest-deferred`).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, ensure};

use super::{
    ICOUNT, LIFETIME, MEMORY_MIB, Printed, figures_of, is_section, machine, plain, section,
};
use crate::bench::figure::{Figure, Goal};
use crate::bench::subject::{BOOT_LIMIT, command, guest_address};
use crate::machine::{Icount, Machine, Model, Network, Offloads, Tap};
use crate::peer::{Guest, Peer, Serve};
use crate::protocol::{Event, Line, Protocol};

/// Our image's command line.
const FLOODED: &str = "icount flood log=error";
/// The guest never idles while it measures; until then it should see the host's own time.
const COUNTING: Icount = Icount { sleep: true, ..ICOUNT };
/// Bytes of payload.
const DATAGRAM: [u8; 64] = [0x55; 64];

/// What both boots of ours printed.
#[derive(Debug, Default)]
pub(super) struct Flooded {
    /// Of the ordinary image.
    pub(super) latencies: Vec<Printed>,
    /// Of the one that measures its sections.
    pub(super) sections: Vec<Printed>,
}

/// Floods our image.
pub(super) fn latencies(image: &Path) -> Result<Vec<Printed>> {
    boot(machine(image, FLOODED))
}

/// Floods the image that measures its sections.
pub(super) fn sections(measuring: &Path) -> Result<Vec<Printed>> {
    let mut printed = boot(machine(measuring, FLOODED))?;
    printed.retain(is_section);
    Ok(printed)
}

/// Floods Linux.
pub(super) fn linux(peer: &Peer) -> Result<Vec<Printed>> {
    let timeout = LIFETIME.as_secs() as u32;
    let guest = Guest { serve: Serve::Flood, model: Model::Q35, timeout, report_busy: false };
    boot(guest.machine(peer).memory_mib(MEMORY_MIB).timeout(LIFETIME))
}

/// Our figures: the longest latency is judged by the idle one and the longest section.
pub(super) fn figures(flooded: &Flooded) -> Vec<Figure> {
    let value = |case: &str| {
        let found = flooded.latencies.iter().find(|printed| printed.case == case);
        found.map(|printed| printed.value)
    };
    let longest = flooded.sections.iter().map(|printed| printed.value).reduce(f64::max);
    let judged = |printed: &Printed| {
        let figure = plain(printed);
        match (printed.case.as_str(), value("flood-latency-idle"), longest) {
            ("flood-latency-maximum", Some(idle), Some(longest)) => figure
                .parameter("longest_section", longest)
                .goal(Goal::AtMost(2.0 * idle + longest)),
            _ => figure,
        }
    };
    let sections = flooded.sections.iter().map(|printed| {
        let mut figure = section(printed);
        figure.case.push_str(", under the flood");
        figure
    });
    flooded.latencies.iter().map(judged).chain(sections).collect()
}

/// Boots a machine on a tap of its own and floods it from the time it listens to its end.
fn boot(machine: Machine) -> Result<Vec<Printed>> {
    let tap = Tap::fresh(Offloads::Withheld)?;
    let address = guest_address(&tap)?;
    let machine = machine.network(Network::Tap(tap)).icount(COUNTING);
    let command = command(&machine);
    let mut running = machine.spawn()?;
    let port = running.wait_for("a UDP port to flood", BOOT_LIMIT, listening)?;
    let flood = Flood::start((address, port).into())?;
    let outcome = running.finish();
    let sent = flood.stop();
    let mut printed = figures_of(&outcome, &command)?;
    let came = |printed: &Printed| printed.case == "flood-datagrams" && printed.value > 0.0;
    ensure!(printed.iter().any(came), "of {sent} datagrams sent the guest received none");
    for printed in &mut printed {
        printed.parameters.insert("datagrams_sent".into(), sent.to_string());
    }
    Ok(printed)
}

fn listening(line: &Line) -> Option<u16> {
    match line.event {
        Some(Event::Listen(Protocol::Udp, port)) => Some(port),
        _ => None,
    }
}

/// A thread that sends until it is stopped.
struct Flood {
    ending: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Flood {
    fn start(target: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("a socket")?;
        socket.connect(target).with_context(|| format!("no way to {target}"))?;
        let ending = Arc::new(AtomicBool::new(false));
        let end = ending.clone();
        let thread = thread::spawn(move || {
            let mut sent = 0;
            while !end.load(Ordering::Relaxed) {
                // A full queue, or a guest that is gone: only what was sent counts.
                sent += u64::from(socket.send(&DATAGRAM).is_ok());
            }
            sent
        });
        Ok(Self { ending, thread })
    }

    /// How many datagrams were sent.
    fn stop(self) -> u64 {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::events::tests::print;
    use std::time::Duration;

    #[test]
    fn the_longest_latency_is_judged_by_the_idle_one_and_the_longest_section() {
        let flooded = |maximum: u32| Flooded {
            latencies: vec![
                print("events flood-latency-idle value=400 unit=instructions"),
                print(&format!("events flood-latency-maximum value={maximum} unit=instructions")),
            ],
            sections: vec![
                print("events longest-masked value=40 unit=instructions"),
                print("events longest-deferred value=150 unit=instructions"),
            ],
        };
        let met = |maximum| figures(&flooded(maximum))[1].met;
        assert_eq!((met(950), met(951)), (Some(true), Some(false)));
        let cases: Vec<_> = figures(&flooded(1)).into_iter().map(|figure| figure.case).collect();
        assert_eq!(cases[3], "longest-deferred, under the flood");
        let unknown = Flooded { sections: Vec::new(), ..flooded(1) };
        assert_eq!(figures(&unknown)[1].met, None);
    }

    #[test]
    fn only_udp_ports_are_flooded() {
        let port = |text: &str| listening(&Line::parse(text.into(), Duration::ZERO));
        assert_eq!(port("#! listen udp 9"), Some(9));
        assert_eq!(port("#! listen tcp 9"), None);
    }

    #[test]
    fn a_flood_arrives_and_ends() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let flood = Flood::start(receiver.local_addr().unwrap()).unwrap();
        let mut datagram = [0; 100];
        for _ in 0..10 {
            assert_eq!(receiver.recv(&mut datagram).unwrap(), DATAGRAM.len());
        }
        assert!(flood.stop() >= 10);
    }
}
