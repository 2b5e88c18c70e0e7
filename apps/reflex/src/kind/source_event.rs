//! An event of the kernel's own that feeds a source, as a signal does and a timer's expiry.

use super::Source;
use crate::{Error, System};
use reflex_event::{EventId, EventSystem as Kernel, Registration};
use reflex_runtime::Runtime;

/// A registration behind the scenes, with a handler that delivers to a source, at the priority of
/// the highest of the source's own registrations. It ends when this is dropped.
pub(super) struct SourceEvent {
    pub(super) kernel: Runtime,
    pub(super) event: EventId,
}

impl SourceEvent {
    /// Has `occurred` called with the number of occurrences.
    pub(super) fn new<T: Send + 'static>(
        system: System,
        source: &Source<T>,
        occurred: impl Fn(u32) + Send + 'static,
    ) -> Result<Self, Error> {
        let kernel = system.kernel();
        let handler = move |_: &mut (), activation: crate::Activation| occurred(activation.count);
        let event = kernel.register(system.system_context()?, Registration::default(), handler)?;
        source.follow_priority(event);
        Ok(Self { kernel, event })
    }

    /// Takes charge of a registration that has been made already.
    pub(super) fn over<T: Send + 'static>(
        system: System,
        source: &Source<T>,
        event: EventId,
    ) -> Self {
        source.follow_priority(event);
        Self { kernel: system.kernel(), event }
    }
}

impl Drop for SourceEvent {
    fn drop(&mut self) {
        // It is registered for as long as this is there.
        let _ = self.kernel.unregister(self.event);
    }
}
