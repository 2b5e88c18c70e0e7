//! Periodic monitoring: a condition that is looked at again and again.

use super::source_timer::SourceTimer;
use super::{Kind, Latest, Source};
use crate::{Error, Instant, Runtime, Subscription, System};
use alloc::sync::Arc;
use core::time::Duration;
use reflex_event::{Ceiling, Error as EventError, EventSystem as _};

/// A condition that a job samples as long as there is a registration. Copies are of the same
/// monitor.
pub struct Monitor<T: Clone + Send + 'static>(Arc<MonitorShared<T>>);

/// What its copies share.
struct MonitorShared<T: Clone + Send + 'static> {
    kernel: Runtime,
    source: Source<T>,
    timer: SourceTimer,
    period: Duration,
}

impl<T: Clone + Send + 'static> Monitor<T> {
    /// A monitor that looks every `period` whether `condition` holds, and if so at what. The
    /// condition is looked at in a job, with dispatch deferred: it is to be short, and a panic in
    /// it ends the image.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn new(
        system: System,
        period: Duration,
        condition: impl Fn() -> Option<T> + Send + 'static,
    ) -> Result<Self, Error> {
        let source: Source<T> = system.source()?;
        let kernel = system.kernel();
        let seen: Arc<Ceiling<Option<T>>> = Arc::new(Ceiling::new(None));
        let (told, found) = (source.clone(), seen.clone());
        let timer = SourceTimer::new(system, &source, move |_| {
            if let Some(data) = found.with(&kernel, Option::take) {
                // Such a source takes everything.
                let _ = told.deliver(data);
            }
        })?;
        let timer = timer.sampling(move || {
            let Some(data) = condition() else { return false };
            let _older = seen.with(&kernel, |seen| seen.replace(data));
            true
        })?;
        Ok(Self(Arc::new(MonitorShared { kernel, source, timer, period })))
    }
}

impl<T: Clone + Send + 'static> Kind<Runtime> for Monitor<T> {
    const NAME: &str = "monitor";
    type Data = T;
    type Accumulation = Latest;

    fn source(&self) -> &Source<T> {
        &self.0.source
    }

    fn attached(&self, registrations: u32) -> Result<(), EventError> {
        if registrations == 1 {
            let first: Instant = self.0.kernel.now() + self.0.period;
            self.0.timer.start(first, Some(self.0.period));
        }
        Ok(())
    }

    fn detached(&self, registrations: u32) {
        if registrations == 0 {
            self.0.timer.stop();
        }
    }
}

impl<T: Clone + Send + 'static> Clone for Monitor<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl System {
    /// Prepares to have a handler told whenever `condition` holds, which a job samples every
    /// `period`; see [`Monitor::new`].
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn monitor<T: Clone + Send + 'static>(
        self,
        period: Duration,
        condition: impl Fn() -> Option<T> + Send + 'static,
    ) -> Result<Subscription<Monitor<T>, Latest>, Error> {
        Ok(self.subscribe(Monitor::new(self, period, condition)?))
    }
}
