//! User signals: occurrences the application itself brings about.

use crate::context::policy;
use crate::cpu::line::PendingSignal;
use crate::cpu::runtime::Runtime;
use crate::dispatch::section::section;
use crate::dispatch::{pending_signals, send, vector};
use crate::event::{activate, table};
use reflex_event::{Accumulation, Activation, Context, Error, EventId, Priority, Registration};

/// How firings that arrive before the handler ran are delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalMode {
    /// The handler runs once a firing.
    Semaphore,
    /// The handler runs once for all firings since its last run and is told how many.
    Counter,
}

/// A signal: `fire` runs its handler, from any context, any handler and any interrupt. What is kept
/// for it is kept as long as its registration lasts, and then is another's.
#[derive(Clone, Copy)]
pub struct Signal {
    event: EventId,
    pending: &'static PendingSignal,
}

impl Signal {
    /// Makes a signal with a `handler` that runs in `context`. It is told the number of firings,
    /// which is 1 in semaphore mode.
    ///
    /// # Errors
    /// Those of [`EventSystem::register`](reflex_event::EventSystem::register).
    pub fn new<S, F>(
        kernel: Runtime,
        context: Context<S>,
        priority: Priority,
        mode: SignalMode,
        handler: F,
    ) -> Result<Self, Error>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let core = context.id().core();
        if send::is_elsewhere(core) {
            return kernel
                .on_core(core, move || Self::new(kernel, context, priority, mode, handler))?;
        }
        let accumulation = match mode {
            SignalMode::Semaphore => Accumulation::Each,
            SignalMode::Counter => Accumulation::Count,
        };
        section(|cs| policy::permit_kind(cs, context.id(), "signal"))?;
        let event = table::bind(context, Registration { priority, accumulation }, handler)?;
        Ok(Self { event, pending: PendingSignal::of(event) })
    }

    /// A signal that activates `event`, which is registered already.
    pub fn of(_: Runtime, event: EventId) -> Self {
        Self { event, pending: PendingSignal::again(event) }
    }

    /// The signal's registration.
    pub fn event(&self) -> EventId {
        self.event
    }

    /// Fires the signal, from any core. Constant time; legal in interrupt context.
    ///
    /// # Errors
    /// [`Error::Stale`] when it was unregistered, [`Error::Overrun`] when 2^32 firings wait.
    /// Neither is seen in interrupt context, nor from another core, from which there is [`Error::CoreBusy`]; and in interrupt
    /// context on another core [`Error::OtherCore`]: a vector is [given](crate::interrupt::Vector::activate) the event there.
    #[inline]
    pub fn fire(&self) -> Result<(), Error> {
        if vector::in_interrupt() {
            if send::is_elsewhere(self.event.core()) {
                return Err(Error::OtherCore);
            }
            pending_signals::fire(self.pending, self.event);
            return Ok(());
        }
        activate::activate(self.event, 1)
    }
}
