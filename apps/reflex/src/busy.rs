//! How busy the processor is, told to the host on request.
//!
//! With `busy=MILLISECONDS` on the kernel command line the image prints that often how many time
//! stamp counts it has spent not halted since its start: guest instructions under `-icount`. Built
//! with the feature `measure`, it also prints its longest sections since the last time, by where in
//! the code they are.

use crate::argument::BUSY;
use crate::{Error, Priority, System};
use core::time::Duration;
use reflex_boot::machine_line;
use reflex_runtime::measure;

/// Sections that are not worth telling of.
const SHORT: u64 = 100;

/// Starts telling, if it was asked for.
pub(crate) fn start(system: System) -> Result<(), Error> {
    let Some(period) = system.number(BUSY) else { return Ok(()) };
    let context = system.context("busy", ()).priority(Priority::HIGHEST).build()?;
    system.every(Duration::from_millis(period as u64)).on(context, move |(), _| {
        machine_line!("figure busy total value={} unit=instructions", system.kernel().busy());
        sections();
    })?;
    Ok(())
}

/// Prints the longest sections; without the feature `measure` there are none.
fn sections() {
    let Some(longest) = measure::longest() else { return };
    machine_line!("figure busy longest-masked value={} unit=instructions", longest.masked);
    for measure::Section { from, until, longest } in measure::sections() {
        if longest > SHORT {
            machine_line!(
                "figure busy section from={from:#x} until={until:#x} value={longest} \
                 unit=instructions"
            );
        }
    }
    measure::reset();
}
