//! Timers that any number of handlers may be told of. A handler with a timer of its own has that
//! cheaper by [`System::every`] and [`System::after`].

use super::source_timer::SourceTimer;
use super::{Kind, Latest, Source};
use crate::{Error, Instant, Runtime, System};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use reflex_event::Ceiling;

/// A timer, shared. Copies are of the same timer, which ends with the last of them and of its
/// registrations.
#[derive(Clone)]
pub struct Alarm(Arc<AlarmShared>);

/// What its copies share.
struct AlarmShared {
    source: Source<Expired>,
    timer: SourceTimer,
    state: Arc<State>,
}

struct State {
    kernel: Runtime,
    period: Option<Duration>,
    /// When it expires next, or did last if it has no period.
    due: Ceiling<Instant>,
    /// It was to expire once, and has.
    over: AtomicBool,
}

/// An alarm has gone off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expired {
    /// For when it was set; of several expiries, the last.
    pub due: Instant,
}

impl Alarm {
    /// An alarm that goes off every `period`, from now on.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn every(system: System, period: Duration) -> Result<Self, Error> {
        Self::new(system, system.now() + period, Some(period))
    }

    /// An alarm that goes off once, `delay` from now. A handler that is registered later is told at
    /// once.
    ///
    /// # Errors
    /// As [`every`](Self::every).
    pub fn after(system: System, delay: Duration) -> Result<Self, Error> {
        Self::new(system, system.now() + delay, None)
    }

    fn new(system: System, due: Instant, period: Option<Duration>) -> Result<Self, Error> {
        let source: Source<Expired> = system.plain_source()?;
        let kernel = system.kernel();
        let over = AtomicBool::new(false);
        let state = Arc::new(State { kernel, period, due: Ceiling::new(due), over });
        let (told, at) = (source.clone(), state.clone());
        let timer = SourceTimer::new(system, &source, move |count| {
            // Such a source takes everything.
            let _ = told.deliver_counted(at.expired(count), count);
        })?;
        timer.start(due, period);
        Ok(Self(Arc::new(AlarmShared { source, timer, state })))
    }

    /// Stops the alarm for good. What has been told of it already is not taken back.
    pub fn stop(&self) {
        self.0.timer.stop();
    }
}

impl State {
    fn expired(&self, count: u32) -> Expired {
        self.due.with(&self.kernel, |next| {
            let Some(period) = self.period else {
                self.over.store(true, Relaxed);
                return Expired { due: *next };
            };
            let due = *next + period.saturating_mul(count - 1);
            *next = due + period;
            Expired { due }
        })
    }
}

impl Kind<Runtime> for Alarm {
    const NAME: &str = "timer";
    type Data = Expired;
    type Accumulation = Latest;

    fn source(&self) -> &Source<Expired> {
        &self.0.source
    }

    fn ready(&self) -> Option<Expired> {
        let state = &self.0.state;
        state.over.load(Relaxed).then(|| state.due.with(&state.kernel, |due| Expired { due: *due }))
    }
}
