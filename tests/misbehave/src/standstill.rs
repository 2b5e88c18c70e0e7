//! Ways to stand still, and ways to look as if.
//!
//! None of them says by an instruction that it waits: where QEMU counts instructions, that takes it
//! out of its stride each time.

use crate::{done, faults};
use core::hint::black_box;
use core::time::Duration;
use reflex::{Error, Priority, SignalMode, System, log, status};

/// How long the healthy ones are watched, in the guest's time.
const LONG: Duration = Duration::from_secs(5);

/// Masks interrupts for good.
pub(crate) fn mask() -> Result<(), Error> {
    log::info!("stands still");
    done(faults::mask_and_spin())
}

/// Has a handler begin a section that does not end.
pub(crate) fn in_section(system: System) -> Result<(), Error> {
    let context = system.context("endless", ()).build()?;
    let signal = system.signal(SignalMode::Counter).on(context, move |(), _| {
        log::info!("stands still");
        system.section(|| {
            loop {
                black_box(());
            }
        });
    })?;
    signal.fire()?;
    Err(Error::Application("it was preempted"))
}

/// Has nothing to do until it ends well.
pub(crate) fn idle(system: System) -> Result<(), Error> {
    let context = system.context("idle", ()).build()?;
    system.after(LONG).on(context, move |(), _| system.exit(status::SUCCESS))?;
    Ok(())
}

/// Keeps the processor busy, at the highest priority there is, until it ends well.
pub(crate) fn busy(system: System) -> Result<(), Error> {
    let context = system.context("busy", ()).priority(Priority::HIGHEST).build()?;
    let signal = system.signal(SignalMode::Counter).on(context, move |(), _| {
        let end = system.now() + LONG;
        while system.now() < end {}
        system.exit(status::SUCCESS);
    })?;
    signal.fire()?;
    Err(Error::Application("it was preempted"))
}
