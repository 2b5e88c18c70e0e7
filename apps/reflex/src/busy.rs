//! How busy the processor is, told to the host on request.
//!
//! With `busy=MILLISECONDS` on the kernel command line the image prints that often how many time
//! stamp counts it has spent not halted since its start: guest instructions under `-icount`.

use crate::{Error, Priority, System};
use core::time::Duration;
use reflex_boot::machine_line;

/// Starts telling, if it was asked for.
pub(crate) fn start(system: System) -> Result<(), Error> {
    let Some(period) = system.number("busy", 1..=3_600_000)? else { return Ok(()) };
    let context = system.context("busy", ()).priority(Priority::HIGHEST).build()?;
    system.every(Duration::from_millis(period as u64)).on(context, move |(), _| {
        machine_line!("figure busy total value={} unit=instructions", system.kernel().busy());
    })?;
    Ok(())
}
