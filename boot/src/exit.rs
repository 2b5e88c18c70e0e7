//! The end of an image, and its status.

use crate::console::{self, Console};
use crate::stop;
use core::cell::Cell;
use core::fmt::{self, Write};
use reflex_arch::acpi::SleepControl;
use reflex_arch::power;

pub use crate::status::*;

struct Sleep(Cell<Option<SleepControl>>);

// SAFETY: set once, by `early`, with interrupts masked and before there is a second context; from
// then on it is only read.
unsafe impl Sync for Sleep {}

static SLEEP: Sleep = Sleep(Cell::new(None));

/// From now on the machine can be turned off by ACPI; a register in memory is mapped.
pub(crate) fn set_sleep_control(sleep: Option<SleepControl>) {
    SLEEP.0.set(sleep);
}

/// Ends the image with `status`: writes the end marker and turns the machine off.
pub fn exit(status: u8) -> ! {
    exit_with(status, |_| Ok(()))
}

/// Ends the image with `status`, after some last words that nobody else's come between.
pub(crate) fn exit_with(status: u8, words: impl FnOnce(&mut Console) -> fmt::Result) -> ! {
    reflex_arch::interrupt::disable();
    stop::stop_others();
    // SAFETY: nothing returns from here, with interrupts masked nothing else runs on this core, and the others have
    // been stopped: code that may be writing never goes on. Should the last words crash, those that tell of it find them
    // stopped for good.
    let console = unsafe { console::seize() };
    let _ = words(console);
    console.start_line();
    let _ = writeln!(console, "#! exit {status}");
    turn_off(status)
}

/// Ends the image with `status`, saying why in one line.
pub fn fail(status: u8, reason: fmt::Arguments<'_>) -> ! {
    console::line(format_args!("{} ERROR reflex: {reason}", crate::logger::Timestamp));
    exit(status)
}

/// Turns the machine off without a word.
pub(crate) fn turn_off(status: u8) -> ! {
    let sleep = SLEEP.0.get();
    // SAFETY: the image ends here, whatever its devices were doing, in ring 0; `set_sleep_control`
    // was given what the firmware tells, a register in memory being mapped.
    unsafe { power::exit(status, sleep.as_ref()) }
}
