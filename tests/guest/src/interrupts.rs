//! Interrupts, and what may be done in their context (N-2, A-3.5.1).

use alloc::boxed::Box;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::bench::raise;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Acknowledge, Error, Fired, Job, Priority, Registration, Signal, SignalMode,
    System, Vector,
};

/// Fires a signal from interrupt context, several times an interrupt.
struct Firing {
    signal: Signal,
    times: u32,
}

impl Acknowledge for Firing {
    fn acknowledge(&mut self) -> bool {
        (0..self.times).for_each(|_| self.signal.fire().expect("never refused here"));
        true
    }
}

/// Waits until a count has been reached; everything may run meanwhile.
fn wait(count: &AtomicU32, expected: u32) {
    while count.load(Relaxed) < expected {
        spin_loop();
    }
}

fn fired_in_interrupts(system: System, mode: SignalMode) -> Result<(u32, u32), Error> {
    const INTERRUPTS: u32 = 200;
    const TIMES: u32 = 3;
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static JOBS: AtomicU32 = AtomicU32::new(0);
    for count in [&RUNS, &TOLD, &JOBS] {
        count.store(0, Relaxed);
    }
    let context = system.context("fired", ()).build()?;
    let signal = system.signal(mode).on(context, |(), fired: Fired| {
        RUNS.fetch_add(1, Relaxed);
        TOLD.fetch_add(fired.count, Relaxed);
    })?;
    let job = Job::new(|| {
        JOBS.fetch_add(1, Relaxed);
    })?;
    let vector = Vector::reserve()?;
    vector.post(job, Some(Box::leak(Box::new(Firing { signal, times: TIMES }))));
    for interrupt in 1..=INTERRUPTS {
        raise(vector);
        wait(&TOLD, interrupt * TIMES);
    }
    assert_eq!(JOBS.load(Relaxed), INTERRUPTS);
    assert_eq!(TOLD.load(Relaxed), INTERRUPTS * TIMES);
    Ok((RUNS.load(Relaxed), INTERRUPTS))
}

/// In semaphore mode each firing is a run, wherever it was fired.
#[reflex::test]
fn a_semaphore_fired_in_interrupt_context_runs_once_a_firing(system: System) -> Result<(), Error> {
    let (runs, interrupts) = fired_in_interrupts(system, SignalMode::Semaphore)?;
    assert_eq!(runs, 3 * interrupts);
    Ok(())
}

/// In counter mode the firings of one interrupt are one run.
#[reflex::test]
fn a_counter_fired_in_interrupt_context_loses_no_firing(system: System) -> Result<(), Error> {
    let (runs, interrupts) = fired_in_interrupts(system, SignalMode::Counter)?;
    assert_eq!(runs, interrupts);
    Ok(())
}

/// An interrupt that is an event by itself preempts a lower handler, waits for a higher one, and
/// loses nothing while dispatch is deferred.
#[reflex::test]
fn an_interrupt_as_an_event_keeps_to_the_order_of_priorities(system: System) -> Result<(), Error> {
    use crate::trace::Trace;
    static TRACE: Trace = Trace::new();
    let kernel = raw::kernel(system);
    let middle = system.context("middle", ()).build()?;
    let registration =
        Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };
    let event = kernel.register(middle.handle(), registration, |(), _| TRACE.note('i'))?;
    let vector = Vector::reserve()?;
    static CAME: AtomicU32 = AtomicU32::new(0);
    struct Came;
    impl Acknowledge for Came {
        fn acknowledge(&mut self) -> bool {
            CAME.fetch_add(1, Relaxed);
            true
        }
    }
    vector.activate(event, Some(Box::leak(Box::new(Came))));
    let raise_one = move || {
        let before = CAME.load(Relaxed);
        raise(vector);
        wait(&CAME, before + 1);
    };
    for (name, priority) in [("low", Priority::LOW), ("high", Priority::HIGH)] {
        let context = system.context(name, ()).priority(priority).build()?;
        let signal = system.signal(SignalMode::Counter).on(context, move |(), _| {
            TRACE.note('(');
            raise_one();
            TRACE.note(')');
        })?;
        signal.fire()?;
        TRACE.note(' ');
    }
    system.section(|| {
        TRACE.note('[');
        raise_one();
        TRACE.note(']');
    });
    TRACE.expect("(i) ()i []i");
    Ok(())
}
