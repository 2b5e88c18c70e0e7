//! Signals: occurrences the application brings about itself.

use crate::{Context, Error};
use reflex_event::Priority;
use reflex_runtime::Runtime;

pub use reflex_runtime::{Signal, SignalMode};

/// What a signal's handler is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fired {
    /// Firings this run stands for: 1 in semaphore mode.
    pub count: u32,
}

/// A signal about to be registered; see [`System::signal`](crate::System::signal).
#[must_use = "a signal is registered by `on`"]
#[derive(Clone, Copy)]
pub struct SignalBuilder {
    kernel: Runtime,
    mode: SignalMode,
    priority: Option<Priority>,
}

impl SignalBuilder {
    pub(crate) fn new(kernel: Runtime, mode: SignalMode) -> Self {
        Self { kernel, mode, priority: None }
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
        let priority = self.priority.unwrap_or(context.priority);
        let signal = Signal::new(
            self.kernel,
            context.inner,
            priority,
            self.mode,
            move |state, activation| {
                handler(state, Fired { count: activation.count });
            },
        )?;
        Ok(signal)
    }
}
