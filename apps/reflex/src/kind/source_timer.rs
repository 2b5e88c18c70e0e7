//! A timer of the kernel's own that feeds a source.

use super::Source;
use super::source_event::SourceEvent;
use crate::{Error, System};
use core::time::Duration;
use reflex_event::{EventSystem as Kernel, Instant, TimerId};

/// A timer that feeds a source.
pub(super) struct SourceTimer {
    expiry: SourceEvent,
    timer: TimerId,
}

impl SourceTimer {
    /// Has `expired` called with the number of expiries. It does not run yet.
    pub(super) fn new<T: Send + 'static>(
        system: System,
        source: &Source<T>,
        expired: impl Fn(u32) + Send + 'static,
    ) -> Result<Self, Error> {
        let expiry = SourceEvent::new(system, source, expired)?;
        let timer = expiry.kernel.timer(expiry.event)?;
        Ok(Self { expiry, timer })
    }

    /// Lets only expiries count of which `sample`, which is called in a job, says so.
    pub(super) fn sampling(
        self,
        sample: impl Fn() -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        self.expiry.kernel.filter(self.expiry.event, move |_| sample())?;
        Ok(self)
    }

    /// Expires at `deadline`, and every `period` from then on if there is one.
    pub(super) fn start(&self, deadline: Instant, period: Option<Duration>) {
        // The timer ends with its event.
        let _ = self.expiry.kernel.arm(self.timer, deadline, period);
    }

    /// As [`start`](Self::start), whatever was started before: of that nothing is told any more.
    pub(super) fn restart(&self, deadline: Instant, period: Option<Duration>) {
        self.stop();
        let _ = self.expiry.kernel.clean(self.expiry.event);
        self.start(deadline, period);
    }

    pub(super) fn stop(&self) {
        let _ = self.expiry.kernel.disarm(self.timer);
    }
}
