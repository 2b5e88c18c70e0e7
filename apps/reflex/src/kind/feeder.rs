//! Occurrences of the kernel's own that feed a source: timers and signals.

use super::Source;
use crate::{Error, System};
use core::time::Duration;
use reflex_event::{EventId, EventSystem as Kernel, Instant, Registration, TimerId};
use reflex_runtime::Runtime;

/// A registration behind the scenes, with a handler that delivers to a source, at the priority of
/// the highest of the source's own registrations. It ends when this is dropped.
pub(super) struct Feeder {
    kernel: Runtime,
    event: EventId,
}

impl Feeder {
    /// Has `occurred` called with the number of occurrences.
    pub(super) fn new<T: Send + 'static>(
        system: System,
        source: &Source<T>,
        occurred: impl Fn(u32) + Send + 'static,
    ) -> Result<Self, Error> {
        let kernel = system.kernel();
        let handler = move |_: &mut (), activation: crate::Activation| occurred(activation.count);
        let event = kernel.register(system.backstage()?, Registration::default(), handler)?;
        source.led_by(event);
        Ok(Self { kernel, event })
    }

    /// Takes charge of a registration that has been made already.
    pub(super) fn over<T: Send + 'static>(
        system: System,
        source: &Source<T>,
        event: EventId,
    ) -> Self {
        source.led_by(event);
        Self { kernel: system.kernel(), event }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // It is registered for as long as this is there.
        let _ = self.kernel.unregister(self.event);
    }
}

/// A timer that feeds a source.
pub(super) struct Clockwork {
    feeder: Feeder,
    timer: TimerId,
}

impl Clockwork {
    /// Has `expired` called with the number of expiries. It stands still.
    pub(super) fn new<T: Send + 'static>(
        system: System,
        source: &Source<T>,
        expired: impl Fn(u32) + Send + 'static,
    ) -> Result<Self, Error> {
        let feeder = Feeder::new(system, source, expired)?;
        let timer = feeder.kernel.timer(feeder.event)?;
        Ok(Self { feeder, timer })
    }

    /// Lets only expiries count of which `sample`, which is called in a job, says so.
    pub(super) fn sampling(
        self,
        sample: impl Fn() -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        self.feeder.kernel.filter(self.feeder.event, move |_| sample())?;
        Ok(self)
    }

    /// Expires at `deadline`, and every `period` from then on if there is one.
    pub(super) fn start(&self, deadline: Instant, period: Option<Duration>) {
        // The timer ends with the feeder.
        let _ = self.feeder.kernel.arm(self.timer, deadline, period);
    }

    pub(super) fn stop(&self) {
        let _ = self.feeder.kernel.disarm(self.timer);
    }
}
