//! What ends a standstill: a watchdog that is fed by the timer.
//!
//! The kernel stands still when it serves no timer: interrupts stay masked, or a section does not end.
//! An idle processor wakes up for the feeding; a handler that runs for long is interrupted for it.

use crate::cpu;
use crate::cpu::timers::Due;
use crate::dispatch::section::{Section, section};
use crate::dispatch::timer;
use core::time::Duration;
use reflex_event::Error;
use reflex_hil::Watchdog;

/// Has `watchdog` fed once a `period` from now on.
///
/// # Errors
/// [`Error::TableFull`], [`Error::HeapExhausted`].
pub fn start(watchdog: &'static mut dyn Watchdog, period: Duration) -> Result<(), Error> {
    section(|cs| cpu::this().watchdog.with(cs, |place| *place = Some(watchdog)));
    timer::with_room(|cs| {
        let timer = timer::add(cs, Due::Watchdog)?;
        timer::arm(cs, timer, timer::now() + period, Some(period))
    })
}

/// Feeds it, if there is one.
#[cold]
pub(crate) fn feed(cs: &Section) {
    cpu::this().watchdog.with(cs, |place| place.iter_mut().for_each(|watchdog| watchdog.feed()));
}
