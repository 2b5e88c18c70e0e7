//! What has been counted, told to the host on request.
//!
//! With `stats=MILLISECONDS` on the kernel command line the image prints that often, for every
//! priority in use, how long activations have waited for their handlers:
//!
//! ```text
//! #! latency PRIORITY at_once=N BUCKET=N ...
//! ```
//!
//! where a bucket is named by the least power of two that is longer than its waits, in time stamp
//! counts, of which there are `#! latency-unit HZ` a second; each [metric](crate::metrics), but the system's own
//! counters that are 0,
//!
//! ```text
//! #! metric counter N NAME
//! #! metric gauge N NAME
//! #! metric histogram count=N sum=N p50=N p99=N max=N NAME
//! ```
//!
//! and of each context, in bytes, what it has of the machine:
//!
//! ```text
//! #! context NUMBER used=N peak=N of=N lent=N refused=N aside=N stack=N heap=N registrations=N NAME
//! ```
//!
//! where a context's number is its index, and 256 more for each core before its own.

use crate::argument::STATS;
use crate::metrics::{Name, Sample, Value};
use crate::{Error, Priority, System};
use core::fmt;
use core::time::Duration;
use reflex_boot::machine_line;
use reflex_event::Latency;
use reflex_memory::PoolStats;
use reflex_runtime::{ContextInfo, Usage};

/// Starts telling, if it was asked for.
pub(crate) fn start(system: System) -> Result<(), Error> {
    let Some(period) = system.number(STATS) else { return Ok(()) };
    let context = system.context("stats", ()).priority(Priority::LOWEST).build()?;
    machine_line!("latency-unit {}", system.machine().tsc_hz);
    system.every(Duration::from_millis(period as u64)).on(context, move |(), _| tell(system))?;
    Ok(())
}

/// Prints the waits of every priority that is in use, what each context has, and the metrics.
pub(crate) fn tell(system: System) {
    for level in 0..Priority::LEVELS as u8 {
        let latency = Priority::new(level).map(|priority| system.latency(priority));
        if let Some(latency) = latency.filter(|latency| latency.total() > 0) {
            machine_line!("latency {level} {}", Line(latency));
        }
    }
    for core in 0..system.cores() {
        // Where nothing can wait, as at the end of an image in the midst of something, there is this core's alone.
        let _ = system.on_core(core, move |system| {
            for context in system.contexts() {
                tell_context(system, &context);
            }
        });
    }
    let metrics = system.metrics();
    metrics.declared(&mut tell_metric);
    metrics.own(&mut |sample| {
        if !matches!(sample.value, Value::Counter(0)) {
            tell_metric(sample);
        }
    });
}

/// What a context has: of its event memory what is used now, was at most, and is there; what of it others hold, and
/// how often it has refused; what was set aside for it beside that; its stack; what it has of the global heap.
fn tell_context(system: System, context: &ContextInfo) {
    // One that has ended since has nothing.
    let Ok(Usage { memory, aside, stack, heap }) = system.usage(context.id) else { return };
    let PoolStats { allocated, peak, capacity, lent, failures, .. } = memory;
    let (name, registrations) = (context.name, context.registrations);
    // The numbers of a core's contexts follow those of the core before.
    let index = context.id.core() * PLACES + u32::from(context.id.index);
    machine_line!(
        "context {index} used={allocated} peak={peak} of={capacity} lent={lent} refused={failures} \
         aside={aside} stack={stack} heap={heap} registrations={registrations} {name}"
    );
}

/// Numbers that contexts of a core have in these lines.
const PLACES: u32 = 256;

fn tell_metric(sample: Sample) {
    let name = Name(sample.name, sample.label);
    match sample.value {
        Value::Counter(count) => machine_line!("metric counter {count} {name}"),
        Value::Gauge(level) => machine_line!("metric gauge {level} {name}"),
        Value::Histogram(it) => {
            let (count, sum, max, p50, p99) = (it.count(), it.sum(), it.max(), it.p50(), it.p99());
            machine_line!(
                "metric histogram count={count} sum={sum} p50={p50} p99={p99} max={max} {name}"
            );
        }
    }
}

struct Line(Latency);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at_once={}", self.0.at_once)?;
        let waited = self.0.waited.iter().enumerate().filter(|(_, count)| **count > 0);
        for (bucket, count) in waited {
            write!(f, " {}={count}", 1u64 << bucket)?;
        }
        Ok(())
    }
}

impl System {
    /// How long activations of `priority` have waited for their handlers, in counts of the time
    /// stamp counter.
    pub fn latency(self, priority: Priority) -> Latency {
        self.kernel().latency(priority)
    }
}
