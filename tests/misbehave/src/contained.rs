//! A context that fails again and again, beside one that serves.

use crate::faults;
use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::net::{Connection, ConnectionError, Session};
use reflex::{Error, OnFailure, Priority, Setup, SignalMode, System, log};

/// Between two failures, back-off not included.
const PERIOD: Duration = Duration::from_millis(60);
const BUDGET: Duration = Duration::from_millis(20);
/// The port of the context that serves, and that of the one that fails.
const STEADY: u16 = 7;
const FRAGILE: u16 = 8;

/// What is kept of a connection: how many bytes have been sent back.
struct Visit(usize);

impl Session<()> for Visit {
    fn opened((): &mut (), _: &Connection) -> Option<Self> {
        Some(Self(0))
    }

    fn received(&mut self, (): &mut (), connection: &Connection) {
        let mut block = [0; 256];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            connection.write(&block[..length]);
            self.0 += length;
        }
    }

    fn over(self, (): &mut (), _: &Connection, _: Option<ConnectionError>) {
        log::info!("a visit of {} bytes is over", self.0);
    }
}

/// Serves on one port for good, and on another in lives that end in five ways.
pub(crate) fn serve(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let steady = system.context("steady", ()).build()?;
    system.tcp(STEADY).serve_each::<Visit, _>(steady)?;
    let fragile = system
        .context_with("fragile", move |setup: Setup<'_, ()>| {
            let life = LIVES.fetch_add(1, Relaxed);
            let listener = system.tcp(FRAGILE).serve_each::<Visit, _>(setup.context())?;
            log::info!("cut off so far: {}", listener.cut_off());
            system.after(PERIOD).priority(Priority::HIGH).on(setup.context(), move |_, _| {
                fail(life);
            })?;
            Ok::<_, Error>(())
        })
        .backoff(Duration::from_millis(5), Duration::from_millis(20))
        .budget(BUDGET);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    fragile.after_failure(unsafe { reflex::Reuse::at_once() }).build()?;
    Ok(())
}

/// Fails again and again, and its memory is not used again: until there is too much of that.
pub(crate) fn fill_quarantine(system: System) -> Result<(), Error> {
    system
        .context_with("hopeless", move |setup: Setup<'_, ()>| {
            let soon = Duration::from_millis(1);
            system.after(soon).on(setup.context(), |(), _| panic!("again"))?;
            Ok::<_, Error>(())
        })
        .backoff(Duration::from_millis(1), Duration::from_millis(1))
        .build()?;
    Ok(())
}

#[inline(never)]
fn fail(life: u32) {
    let survived = match life % 5 {
        0 => panic!("told to panic"),
        1 => u64::from(black_box(1) / black_box(0_u32)),
        2 => faults::descend(black_box(1)),
        3 => faults::read_null(),
        _ => spin(),
    };
    log::error!("survived with {survived:#x}");
}

/// Exceeds its budget.
#[inline(never)]
fn spin() -> ! {
    loop {
        spin_loop();
    }
}

/// Fails where the kernel itself is at work: that is contained by nobody.
pub(crate) fn fail_in_section(system: System) -> Result<(), Error> {
    let context = system.context("trusted", ()).on_failure(OnFailure::Ignore).build()?;
    let signal = system.signal(SignalMode::Counter).on(context, move |(), _| {
        system.section(|| panic!("told to panic in a section"));
    })?;
    signal.fire()?;
    Err(Error::Application("it was contained"))
}
