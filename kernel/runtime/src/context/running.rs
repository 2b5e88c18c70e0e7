//! What runs, for a crash report.

use crate::cpu;
use core::fmt;
use reflex_event::{ContextId, EventId};

/// What is running, for a crash report.
pub struct Running {
    context: Option<(&'static str, ContextId)>,
    event: Option<EventId>,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.context {
            None => f.write_str("no context (start-up or idle)"),
            Some((name, id)) => {
                write!(f, "context {} \"{name}\"", id.index)?;
                match self.event {
                    Some(event) => write!(f, ", event {}.{}", event.index, event.generation),
                    None => f.write_str(", between events"),
                }
            }
        }
    }
}

/// What is running now, and for what event. For a crash report: it looks without excluding
/// anything, because after a crash nothing else runs.
pub fn describe_running() -> Running {
    // SAFETY: as said above; a table caught in the middle of a change yields a wrong name at
    // worst, since all accesses below are checked.
    let (core, places) =
        unsafe { (&mut *cpu::this().core.as_ptr(), &*cpu::this().places.as_ptr()) };
    let running = core.running();
    let name = |id: ContextId| places.get(usize::from(id.index)).map(|place| (place.name, id));
    Running {
        context: running.and_then(name),
        event: running.and_then(|context| core.serving(context)),
    }
}
