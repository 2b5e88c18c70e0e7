//! Signals: occurrences the application brings about itself.

use crate::kind::SharedSignal;
use crate::{Context, Error, EventError, EventId, Registered, Runtime, System};
use core::fmt;
use reflex_event::{Activation, Priority};

pub use reflex_runtime::SignalMode;

/// What a signal's handler is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fired {
    /// Firings this run stands for: 1 in semaphore mode.
    pub count: u32,
}

/// A signal: [`fire`](Self::fire) runs its handler, from any context, any handler and any interrupt. Copies are of
/// the same signal.
///
/// ```
/// # use reflex::{SignalMode, prelude::*, testing::Simulation};
/// # let mut sim = Simulation::new(|system| {
/// let log = system.context("log", 0_u32).priority(Priority::LOW).build()?;
/// let sensor = system.context("sensor", ()).build()?;
/// let flush = system.signal(SignalMode::Counter).on(log, |lines, fired| *lines += fired.count)?;
/// system.every(millis(10)).on(sensor, move |(), _| {
///     if let Err(error) = flush.fire() {
///         warn!("{error}");
///     }
/// })?;
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// # sim.advance(millis(55));
/// # assert_eq!(sim.state("log", |lines: &mut u32| *lines), 5);
/// ```
#[derive(Clone, Copy)]
pub struct Signal {
    kernel: Runtime,
    inner: reflex_runtime::Signal,
}

impl Signal {
    /// One that activates `event`, which is registered already.
    pub(crate) fn of(kernel: Runtime, event: EventId) -> Self {
        Self { kernel, inner: reflex_runtime::Signal::of(kernel, event) }
    }

    /// Fires the signal. Constant time; legal in interrupt context.
    ///
    /// # Errors
    /// [`EventError::Stale`] when it was unregistered, [`EventError::Overrun`] when 2^32 firings wait.
    /// Neither is seen in interrupt context.
    #[inline]
    pub fn fire(&self) -> Result<(), EventError> {
        self.inner.fire()
    }

    /// The registration's identifier.
    pub fn event(&self) -> EventId {
        self.inner.event()
    }

    /// The registration, for control.
    pub fn registration(&self) -> Registered {
        Registered::new(self.kernel, self.event())
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({:?})", self.event())
    }
}

/// A signal about to be registered; see [`System::signal`](crate::System::signal).
#[must_use = "a signal is registered by `on`"]
#[derive(Clone, Copy)]
pub struct SignalBuilder {
    system: System,
    mode: SignalMode,
    priority: Option<Priority>,
}

impl SignalBuilder {
    pub(crate) fn new(system: System, mode: SignalMode) -> Self {
        Self { system, mode, priority: None }
    }

    /// The priority of the handler's runs; the context's unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// Registers `handler` with `context`.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn on<S, F>(self, context: Context<S>, handler: F) -> Result<Signal, Error>
    where
        S: 'static,
        F: Fn(&mut S, Fired) + Send + 'static,
    {
        let Self { system, mode, priority } = self;
        let (kernel, priority) = (system.kernel(), priority.unwrap_or(context.priority));
        let run = move |state: &mut S, activation: Activation| {
            handler(state, Fired { count: activation.count });
        };
        let inner = reflex_runtime::Signal::new(kernel, context.inner, priority, mode, run)?;
        Ok(Signal { kernel, inner })
    }

    /// A signal that any number of handlers are told of: a kind of events, to [subscribe](System::subscribe) to. Each
    /// registration has its own priority.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn shared(self) -> Result<SharedSignal, Error> {
        SharedSignal::new(self.system, self.mode)
    }
}
