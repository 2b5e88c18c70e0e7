//! The `log` crate's records on the console: `[    0.012345] INFO  target: text`.

use crate::console;
#[cfg(not(feature = "hosted"))]
use core::cell::Cell;
use core::fmt;
use log::{LevelFilter, Log, Metadata, Record};
#[cfg(not(feature = "hosted"))]
use reflex_arch::clock::Clock;

#[cfg(feature = "hosted")]
struct Logger;

#[cfg(not(feature = "hosted"))]
struct Logger {
    clock: Cell<Option<Clock>>,
}

// SAFETY: the clock is set once, by `early`, with interrupts masked and before there is a second
// context; from then on it is only read.
#[cfg(not(feature = "hosted"))]
unsafe impl Sync for Logger {}

#[cfg(not(feature = "hosted"))]
static LOGGER: Logger = Logger { clock: Cell::new(None) };
#[cfg(feature = "hosted")]
static LOGGER: Logger = Logger;

/// Makes the `log` crate's macros write records of `level` and above.
pub(crate) fn init(level: LevelFilter) {
    // An image starts once, so no other logger can be there.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

/// From now on, records bear the time.
#[cfg(not(feature = "hosted"))]
pub(crate) fn set_clock(clock: Clock) {
    LOGGER.clock.set(Some(clock));
}

/// The time a record written now would bear.
pub(crate) struct Timestamp;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(not(feature = "hosted"))]
        let micros = LOGGER.clock.get().map_or(0, |clock| clock.now() / 1000);
        #[cfg(feature = "hosted")]
        let micros = crate::hosted::nanoseconds() / 1000;
        write!(f, "[{:5}.{:06}]", micros / 1_000_000, micros % 1_000_000)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let (level, target) = (record.level(), record.target());
            console::line(format_args!("{Timestamp} {level:5} {target}: {}", record.args()));
        }
    }

    fn flush(&self) {}
}
