//! Timers that any number of handlers may be told of; see [`TimerBuilder::shared`](crate::TimerBuilder::shared).

use super::source_timer::SourceTimer;
use super::{Kind, Latest, Source};
use crate::{Error, Instant, Runtime, System};
use alloc::sync::Arc;
use core::time::Duration;
use reflex_event::{Ceiling, EventSystem as _};

/// A timer, shared: it is a kind of events, to [subscribe](System::subscribe) to. Copies are of the same timer, which
/// ends with the last of them and of its registrations.
#[derive(Clone)]
pub struct SharedTimer(Arc<TimerShared>);

/// What its copies share.
struct TimerShared {
    source: Source<Expired>,
    timer: SourceTimer,
    state: Arc<State>,
}

struct State {
    kernel: Runtime,
    plan: Ceiling<Plan>,
}

/// When it expires.
#[derive(Clone, Copy, Default)]
struct Plan {
    /// Next, or last if it has no period.
    due: Instant,
    period: Option<Duration>,
    /// It was to expire once, and has.
    over: bool,
}

/// A shared timer has expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expired {
    /// For when it was set; of several expiries, the last.
    pub due: Instant,
}

impl SharedTimer {
    pub(crate) fn new(system: System) -> Result<Self, Error> {
        let source: Source<Expired> = system.plain_source()?;
        let kernel = system.kernel();
        let state = Arc::new(State { kernel, plan: Ceiling::new(Plan::default()) });
        let (told, at) = (source.clone(), state.clone());
        let timer = SourceTimer::new(system, &source, move |count| {
            // Such a source takes everything.
            let _ = told.deliver_counted(at.expired(count), count);
        })?;
        Ok(Self(Arc::new(TimerShared { source, timer, state })))
    }

    /// Expires once, `delay` from now. A handler that is registered after that is told at once.
    pub fn after(&self, delay: Duration) {
        self.at(self.0.state.kernel.now() + delay);
    }

    /// Expires every `period`, first one period from now.
    pub fn every(&self, period: Duration) {
        self.start(self.0.state.kernel.now() + period, Some(period));
    }

    /// Expires once, at `deadline`; as [`after`](Self::after).
    pub fn at(&self, deadline: Instant) {
        self.start(deadline, None);
    }

    /// Stops the timer. What has been told of it already is not taken back.
    pub fn stop(&self) {
        self.0.timer.stop();
    }

    fn start(&self, due: Instant, period: Option<Duration>) {
        let TimerShared { timer, state, .. } = &*self.0;
        // In one section: no expiry is taken for one of the other plan.
        state.kernel.section(|| {
            state.plan.with(&state.kernel, |plan| *plan = Plan { due, period, over: false });
            timer.restart(due, period);
        });
    }
}

impl State {
    fn expired(&self, count: u32) -> Expired {
        self.plan.with(&self.kernel, |plan| {
            let Some(period) = plan.period else {
                plan.over = true;
                return Expired { due: plan.due };
            };
            let due = plan.due + period.saturating_mul(count - 1);
            plan.due = due + period;
            Expired { due }
        })
    }
}

impl Kind<Runtime> for SharedTimer {
    const NAME: &str = "timer";
    type Data = Expired;
    type Accumulation = Latest;

    fn source(&self) -> &Source<Expired> {
        &self.0.source
    }

    fn ready(&self) -> Option<Expired> {
        let State { kernel, plan } = &*self.0.state;
        let plan = plan.with(kernel, |plan| *plan);
        plan.over.then_some(Expired { due: plan.due })
    }
}
