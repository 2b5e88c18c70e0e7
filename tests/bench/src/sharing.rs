//! What contexts share: channels, a mutex; and the many deadlines of one registration.

use crate::figure::{Report, once};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Error, Instant, KeyedTimers, Priority, System};

/// Deadlines that are set beside the one that is measured.
const DEADLINES: u64 = 1_000;

/// Takes every figure with `events` others registered.
pub(crate) fn all(system: System, report: &Report, events: usize) -> Result<(), Error> {
    let receiver = system.context("receiver", ()).build()?;
    let channel = system.channel::<u64>(64).on(receiver, |(), message| {
        core::hint::black_box(message);
    })?;
    // To the handler, which takes it, and back.
    report.measure("channel-send-receive", events, || once(|| channel.send(1)));
    report.measure("channel-send", events, || {
        let mut times = (0, 0);
        // Deferred, so that what is measured is the sender's part alone.
        system.section(|| times = once(|| channel.send(1)));
        times
    });
    let mutex = system.mutex(receiver, Priority::DEFAULT, 0_u64)?;
    report.measure("mutex-lock-unlock", events, || once(|| mutex.lock(|value| *value += 1)));
    deadlines(system, report, events)
}

fn deadlines(system: System, report: &Report, events: usize) -> Result<(), Error> {
    let context = system.context("deadlines", ()).build()?;
    let timers: KeyedTimers<u64> =
        system.timers(DEADLINES as usize + 1).on(context, |(), _, due| {
            core::hint::black_box(due);
        })?;
    let far = system.now() + Duration::from_secs(3_600);
    for number in 0..DEADLINES {
        let due = Instant::from_nanos(far.as_nanos() + number * 1_000_003);
        timers.set(scattered(number), due, number).map_err(|_| "no room for a deadline")?;
    }
    // How many keys meet under a hash is a matter of chance: many are tried, and the mean is told.
    let keys = || (DEADLINES..2 * DEADLINES).map(scattered);
    let mean = |case, work: &dyn Fn(u64) -> (u64, u64)| {
        let sum: u64 = keys().map(|key| report.net(work(key))).sum();
        report.tell(case, events, sum / DEADLINES);
    };
    mean("deadline-set", &|key| {
        let times = once(|| timers.set(key, far, key));
        let _ = timers.cancel(key);
        times
    });
    mean("deadline-cancel", &|key| {
        let _ = timers.set(key, far, key);
        once(|| timers.cancel(key))
    });
    mean("deadline-move", &|key| {
        let _ = timers.set(key, far, key);
        let times = once(|| timers.move_to(key, far));
        let _ = timers.cancel(key);
        times
    });
    // Due at once: the timer's interrupt, the handler, and back.
    let mut keys = keys();
    report.measure("deadline-expire", events, || {
        let key = keys.next().unwrap_or(DEADLINES);
        let before = timers.counters().expired;
        once(|| {
            let _ = timers.set(key, Instant::ZERO, key);
            while timers.counters().expired == before {
                core::hint::spin_loop();
            }
        })
    });
    // None is left for what is measured afterwards to come across.
    Ok(raw::kernel(system).unregister(timers.event())?)
}

/// Keys as they come: not one after the other.
fn scattered(number: u64) -> u64 {
    let mut word = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word ^ (word >> 29)
}
