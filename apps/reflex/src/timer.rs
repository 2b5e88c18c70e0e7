//! Timers as sources of events.

use crate::kind::SharedTimer;
use crate::{Context, Error, Registered, System};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex_event::{EventId, EventSystem as Kernel, Instant, Priority, Registration, TimerId};
use reflex_runtime::Runtime;

/// A timer that has expired.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// The timer.
    pub timer: Timer,
    /// How often it has expired since its handler last ran: 1, or more when the handler could not
    /// keep up with the period.
    pub count: u32,
}

/// A timer. It can be stopped and started again at any time, in its own handler too.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    kernel: Runtime,
    id: TimerId,
    event: EventId,
}

impl Timer {
    /// Expires once, `delay` from now.
    ///
    /// # Errors
    /// When the timer was [removed](Timer::remove).
    pub fn after(self, delay: Duration) -> Result<(), Error> {
        Ok(self.kernel.arm(self.id, self.kernel.now() + delay, None)?)
    }

    /// Expires every `period`, first one period from now. Expiries of one microsecond come
    /// together, as one run of the handler that is told their count: so do those of a period
    /// shorter than that.
    ///
    /// # Errors
    /// When the timer was [removed](Timer::remove).
    pub fn every(self, period: Duration) -> Result<(), Error> {
        Ok(self.kernel.arm(self.id, self.kernel.now() + period, Some(period))?)
    }

    /// Expires once, at `deadline`.
    ///
    /// # Errors
    /// When the timer was [removed](Timer::remove).
    pub fn at(self, deadline: Instant) -> Result<(), Error> {
        Ok(self.kernel.arm(self.id, deadline, None)?)
    }

    /// Stops the timer; what has expired already is still delivered.
    ///
    /// # Errors
    /// When the timer was [removed](Timer::remove).
    pub fn stop(self) -> Result<(), Error> {
        Ok(self.kernel.disarm(self.id)?)
    }

    /// Ends the timer and its registration.
    ///
    /// # Errors
    /// When it was removed already.
    pub fn remove(self) -> Result<(), Error> {
        self.kernel.release(self.id)?;
        Ok(self.kernel.unregister(self.event)?)
    }

    /// The registration's identifier.
    pub fn event(self) -> EventId {
        self.event
    }

    /// The registration, for control.
    pub fn registration(self) -> Registered {
        Registered::new(self.kernel, self.event)
    }
}

#[derive(Clone, Copy)]
enum Start {
    Stopped,
    After(Duration),
    Every(Duration),
}

/// A timer about to be registered; see [`System::every`](crate::System::every).
#[must_use = "a timer is registered by `on`"]
#[derive(Clone, Copy)]
pub struct TimerBuilder {
    system: System,
    start: Start,
    priority: Option<Priority>,
}

impl TimerBuilder {
    pub(crate) fn stopped(system: System) -> Self {
        Self { system, start: Start::Stopped, priority: None }
    }

    pub(crate) fn after(system: System, delay: Duration) -> Self {
        Self { start: Start::After(delay), ..Self::stopped(system) }
    }

    pub(crate) fn every(system: System, period: Duration) -> Self {
        Self { start: Start::Every(period), ..Self::stopped(system) }
    }

    /// The priority of the handler's runs; the context's unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// Registers `handler` with `context`, and starts the timer.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn on<S, F>(self, context: Context<S>, handler: F) -> Result<Timer, Error>
    where
        S: 'static,
        F: Fn(&mut S, Tick) + Send + 'static,
    {
        let kernel = self.system.kernel();
        let priority = self.priority.unwrap_or(context.priority);
        let registration = Registration { priority, ..Registration::default() };
        // The handler is told its timer, which is made after it.
        let name = Arc::new(AtomicU64::new(0));
        let told = name.clone();
        let event = kernel.register(context.inner, registration, move |state, activation| {
            let id = unpack(told.load(Relaxed));
            let timer = Timer { kernel, id, event: activation.event };
            handler(state, Tick { timer, count: activation.count });
        })?;
        let id = kernel.timer(event).inspect_err(|_| {
            // It was registered just now, so that cannot be refused.
            let _ = kernel.unregister(event);
        })?;
        name.store(pack(id), Relaxed);
        let timer = Timer { kernel, id, event };
        match self.start {
            Start::Stopped => {}
            Start::After(delay) => timer.after(delay)?,
            Start::Every(period) => timer.every(period)?,
        }
        Ok(timer)
    }

    /// A timer that any number of handlers are told of: a kind of events, to [subscribe](System::subscribe) to. Each
    /// registration has its own priority.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn shared(self) -> Result<SharedTimer, Error> {
        let timer = SharedTimer::new(self.system)?;
        match self.start {
            Start::Stopped => {}
            Start::After(delay) => timer.after(delay),
            Start::Every(period) => timer.every(period),
        }
        Ok(timer)
    }
}

fn pack(id: TimerId) -> u64 {
    u64::from(id.generation) << 32 | u64::from(id.index)
}

fn unpack(name: u64) -> TimerId {
    TimerId { index: name as u32, generation: (name >> 32) as u32 }
}
