//! Work that chosen contexts' handlers may not interrupt (A-3.5.3), without priority inversion
//! (A-3.2.2).

use crate::trace::Trace;
use reflex::{Error, EventError, Priority, Signal, SignalMode, System};

fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

/// A signal with a handler that leaves a mark when it begins.
fn marking(
    system: System,
    name: &'static str,
    priority: u8,
    trace: &'static Trace,
) -> Result<(reflex::Context<()>, Signal), Error> {
    let context = system.context(name, ()).build()?;
    let mark = name.as_bytes()[0] as char;
    let signal = system
        .signal(SignalMode::Semaphore)
        .priority(level(priority))
        .on(context, move |(), _| trace.note(mark))?;
    Ok((context, signal))
}

/// An excluded context's handlers wait for the work to end, whatever their priority; others
/// interrupt it.
#[reflex::test]
fn excluded_contexts_wait_and_others_do_not(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let (excluded, high) = marking(system, "high", 60, &TRACE)?;
    let (_, other) = marking(system, "other", 61, &TRACE)?;
    system.exclude(&[excluded.id()], || {
        TRACE.note('[');
        high.fire().expect("registered");
        other.fire().expect("registered");
        // Exclusions nest.
        system.exclude(&[excluded.id()], || TRACE.note('.')).expect("its own exclusion");
        high.fire().expect("registered");
        TRACE.note(']');
    })?;
    TRACE.expect("[o.]hh");
    high.fire()?;
    TRACE.expect("[o.]hhh");
    Ok(())
}

/// What is pending for an excluded context lends its priority to the work: a middle one does not
/// come between.
#[reflex::test]
fn the_work_inherits_what_waits_for_it(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let (excluded, high) = marking(system, "high", 60, &TRACE)?;
    let (_, middle) = marking(system, "middle", 30, &TRACE)?;
    let worker = system.context("worker", ()).build()?;
    let work =
        system.signal(SignalMode::Semaphore).priority(level(10)).on(worker, move |(), _| {
            let done = system.exclude(&[excluded.id()], || {
                middle.fire().expect("registered");
                TRACE.note('1');
                high.fire().expect("registered");
                middle.fire().expect("registered");
                TRACE.note('2');
            });
            assert_eq!(done, Ok(()));
            TRACE.note('3');
        })?;
    work.fire()?;
    TRACE.expect("m12hm3");
    Ok(())
}

/// A context cannot exclude itself, nor one that another excludes.
#[reflex::test]
fn exclusions_that_make_no_sense_are_refused(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let (one, _) = marking(system, "one", 20, &TRACE)?;
    let worker = system.context("worker", ()).build()?;
    let id = worker.id();
    let work = system.signal(SignalMode::Semaphore).on(worker, move |(), _| {
        assert_eq!(system.exclude(&[id], || ()), Err(EventError::Busy.into()));
        assert_eq!(system.exclude(&[one.id()], || ()), Err(EventError::Busy.into()));
        TRACE.note('r');
    })?;
    system.exclude(&[one.id()], || work.fire().expect("registered"))?;
    TRACE.expect("r");
    Ok(())
}
