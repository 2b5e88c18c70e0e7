//! How late a high-priority timer's handler is while low-priority handlers run and the host floods
//! a low-priority port.
//!
//! Lateness is counted from the time a timer was due, so that nothing that keeps it from being
//! noticed is left out. `main` is busy throughout, so that the machine never halts.

use crate::figure::Report;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::net::{Datagram, UdpService, UdpSocket};
use reflex::{Error, Instant, Priority, System, Tick, measure, status};

const SAMPLES: usize = 2_000;
const IDLE_SAMPLES: usize = 201;
/// Datagrams after which the flood is taken to be under way.
const FLOODED: u32 = 1_000;
const PORT: u16 = 9;
/// What timers are due in multiples of: lateness is not to contain the wheel's rounding.
const GRANULE_NS: u64 = 1_024;

static DATAGRAMS: AtomicU32 = AtomicU32::new(0);
/// How many samples there are.
static TAKEN: AtomicU32 = AtomicU32::new(0);
static LATE: [AtomicU64; SAMPLES] = [const { AtomicU64::new(0) }; SAMPLES];

struct Sink;

impl UdpService for Sink {
    fn datagram(&mut self, _: &UdpSocket, datagram: Datagram<'_>) {
        black_box(datagram.payload);
        DATAGRAMS.fetch_add(1, Relaxed);
    }
}

/// Measures, tells, and ends the image.
pub(crate) fn run(system: System, report: Report) -> Result<(), Error> {
    let counts = |nanos: u64| nanos * (system.machine().tsc_hz / 1_000) / 1_000_000;
    let low = system.context("low", 0u64).priority(Priority::LOW).build()?;
    system.every(Duration::from_micros(300)).on(low, |sum: &mut u64, _| {
        for n in 0..20_000u64 {
            *sum = black_box(sum.wrapping_mul(31).wrapping_add(n));
        }
    })?;
    measure::reset();
    let idle = sample(system, "idle", IDLE_SAMPLES)?;
    report.tell("flood-latency-idle", 0, counts(idle[idle.len() / 2]));

    let sink = system.context("sink", Sink).priority(Priority::LOW).build()?;
    system.udp(PORT).priority(Priority::LOW).serve(sink)?;
    spin_until(|| DATAGRAMS.load(Relaxed) >= FLOODED);
    let before = DATAGRAMS.load(Relaxed);
    let flooded = sample(system, "flooded", SAMPLES)?;
    let datagrams = DATAGRAMS.load(Relaxed) - before;
    report.tell("flood-latency-p99", 0, counts(flooded[SAMPLES * 99 / 100]));
    report.tell("flood-latency-maximum", 0, counts(flooded[SAMPLES - 1]));
    reflex::machine_line!("figure events flood-datagrams value={datagrams} unit=datagrams");
    report.sections();
    system.exit(status::SUCCESS)
}

/// Without the hint to the processor that a loop spins: under emulation it would end the slice of
/// time each time.
fn spin_until(done: impl Fn() -> bool) {
    while !done() {
        black_box(());
    }
}

/// Takes so many samples, 0.7 to 1.3 ms apart; sorted.
fn sample(system: System, name: &'static str, samples: usize) -> Result<Vec<u64>, Error> {
    TAKEN.store(0, Relaxed);
    let context = system.context(name, Instant::ZERO).priority(Priority::HIGHEST).build()?;
    let timer = system.timer().on(context, move |due: &mut Instant, tick: Tick| {
        let now = system.now();
        // The first has only begun.
        if *due != Instant::ZERO {
            let taken = TAKEN.load(Relaxed) as usize;
            LATE[taken].store(now.since(*due).as_nanos() as u64, Relaxed);
            TAKEN.store(taken as u32 + 1, Relaxed);
            if taken + 1 == samples {
                return;
            }
        }
        let step = 700_000 + now.as_nanos() / 7 % 600_000;
        let next = (now.as_nanos() + step).next_multiple_of(GRANULE_NS);
        *due = Instant::from_nanos(next);
        tick.timer.at(*due).expect("not removed");
    })?;
    timer.after(Duration::from_micros(100))?;
    spin_until(|| TAKEN.load(Relaxed) as usize == samples);
    timer.remove()?;
    let mut late: Vec<u64> = LATE[..samples].iter().map(|late| late.load(Relaxed)).collect();
    late.sort_unstable();
    Ok(late)
}
