//! What ends a standstill: a watchdog that is fed by the timer.
//!
//! The kernel stands still when it serves no timer: interrupts stay masked, or a section does not end.
//! An idle processor wakes up for the feeding; a handler that runs for long is interrupted for it.

use crate::local::Local;
use crate::section::section;
use crate::timer::{self, Due};
use core::time::Duration;
use reflex_driver_api::Watchdog;
use reflex_event::Error;

/// Reached only in a section.
static WATCHDOG: Local<Option<&'static mut dyn Watchdog>> = Local::new(None);

/// Has `watchdog` fed once a `period` from now on.
///
/// # Errors
/// [`Error::TableFull`], [`Error::HeapExhausted`].
pub fn start(watchdog: &'static mut dyn Watchdog, period: Duration) -> Result<(), Error> {
    // SAFETY: in a section, and nobody else is called in it.
    section(|| unsafe { *WATCHDOG.get() = Some(watchdog) });
    timer::with_room(|| {
        let timer = timer::add(Due::Watchdog)?;
        timer::arm(timer, timer::now() + period, Some(period))
    })
}

/// The caller is in a section.
#[cold]
pub(crate) fn feed() {
    // SAFETY: in a section, and the watchdog calls nobody in the kernel.
    if let Some(watchdog) = unsafe { WATCHDOG.get() } {
        watchdog.feed();
    }
}
