//! What contexts share: channels, a mutex; and the many deadlines of one registration.

use crate::figure::{Report, once};
use core::time::Duration;
use reflex::{Error, Instant, Kernel, KeyedTimers, Priority, System};

/// Deadlines that are set beside the one that is measured.
const DEADLINES: u64 = 1_000;

/// Takes every figure with `events` others registered.
pub(crate) fn all(system: System, report: &Report, events: usize) -> Result<(), Error> {
    let kernel = system.kernel();
    let receiver = system.context("receiver", ()).build()?;
    let channel = system.channel::<u64>(64).on(receiver, |(), message| {
        core::hint::black_box(message);
    })?;
    // To the handler, which takes it, and back.
    report.measure("channel-send-receive", events, || once(|| channel.send(1)));
    report.measure("channel-send", events, || {
        let mut times = (0, 0);
        // Deferred, so that what is measured is the sender's part alone.
        kernel.section(|| times = once(|| channel.send(1)));
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
    for key in 0..DEADLINES {
        let due = Instant::from_nanos(far.as_nanos() + key * 1_000_003);
        timers.set(key, due, key).map_err(|_| "no room for a deadline")?;
    }
    let key = DEADLINES;
    report.measure("deadline-set", events, || {
        let times = once(|| timers.set(key, far, key));
        let _ = timers.cancel(key);
        times
    });
    report.measure("deadline-cancel", events, || {
        let _ = timers.set(key, far, key);
        once(|| timers.cancel(key))
    });
    let _ = timers.set(key, far, key);
    report.measure("deadline-move", events, || once(|| timers.move_to(key, far)));
    let _ = timers.cancel(key);
    // Due at once: the timer's interrupt, the handler, and back.
    report.measure("deadline-expire", events, || {
        let before = timers.counters().expired;
        once(|| {
            let _ = timers.set(key, Instant::ZERO, key);
            while timers.counters().expired == before {
                core::hint::spin_loop();
            }
        })
    });
    // None is left for what is measured afterwards to come across.
    Ok(system.kernel().unregister(timers.event())?)
}
