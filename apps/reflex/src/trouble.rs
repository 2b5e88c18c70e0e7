//! Trouble inside the event system, told to its owner as an event (A-3.5.2, K-7).

use crate::{Context, Error, Registered, System, Timer};
use core::cell::Cell;
use core::time::Duration;
use reflex_event::{EventSystem as Kernel, Registration, Trouble};

/// How little memory is too little, in bytes; 0 is never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scarcity {
    /// Of the context's event memory: less is [`Trouble::PoolLow`].
    pub pool: usize,
    /// Of the machine's free memory and of the global heap: less of one of the two is
    /// [`Trouble::MemoryPressure`].
    pub machine: usize,
}

impl System {
    /// Looks every `period` how much memory is left, and reports to `context` when it has become
    /// scarce since the last look. The look is an event of the context's own; stopping or removing
    /// its timer ends it.
    ///
    /// # Errors
    /// When memory or a table does not allow one more registration.
    pub fn watch_memory<S: 'static>(
        self,
        context: Context<S>,
        scarcity: Scarcity,
        period: Duration,
    ) -> Result<Timer, Error> {
        let (kernel, id) = (self.kernel(), context.inner.id());
        let pool = kernel.pool(context.inner)?;
        let before = Cell::new((false, false));
        self.every(period).on(context, move |_: &mut S, _| {
            let machine = self.available_memory().min(self.heap().free());
            let now = (pool.available() < scarcity.pool, machine < scarcity.machine);
            let was = before.replace(now);
            for (scarce, trouble) in
                [(now.0 && !was.0, Trouble::PoolLow), (now.1 && !was.1, Trouble::MemoryPressure)]
            {
                if scarce {
                    // The context exists: this is its handler.
                    let _ = kernel.report(id, trouble);
                }
            }
        })
    }

    /// From now on `handler` is told of trouble that `context` has: a kind, and how often it
    /// occurred since it was last told. Telling needs no memory, and no limit keeps it back.
    /// Another handler may be named later, by the same call; then this one is not told any more.
    ///
    /// # Errors
    /// When memory or a table does not allow one more registration.
    pub fn on_trouble<S, F>(self, context: Context<S>, handler: F) -> Result<Registered, Error>
    where
        S: 'static,
        F: Fn(&mut S, Trouble, u32) + Send + 'static,
    {
        let (kernel, id) = (self.kernel(), context.inner.id());
        let registration = Registration { priority: context.priority, ..Registration::default() };
        let event = kernel.register(context.inner, registration, move |state, _| {
            for (trouble, count) in kernel.take_troubles(id).unwrap_or_default().iter() {
                handler(state, trouble, count);
            }
        })?;
        kernel.set_notice(id, Some(event))?;
        Ok(Registered::new(kernel, event))
    }
}
