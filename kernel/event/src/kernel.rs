//! What the kernel offers those above it, without saying which kernel.

use crate::{Activation, Context, Error, EventId, Instant, Priority, Registration, TimerId};
use core::time::Duration;
use reflex_memory::Pool;

/// The kernel as the library OS sees it: `kernel/runtime` in an image, a simulator on the host.
///
/// Every call is bounded and legal from any handler and any job. None is legal from interrupt
/// context, where only a job may be posted.
pub trait Kernel: Clone + Send + Sync + 'static {
    /// Time since the machine started.
    fn now(&self) -> Instant;

    /// Runs `work` with dispatch deferred: no other handler and no job runs meanwhile, though
    /// interrupts are still taken. Sections nest. Keep them short and bounded.
    fn section<R>(&self, work: impl FnOnce() -> R) -> R;

    /// The event memory of a context.
    ///
    /// # Errors
    /// [`Error::Stale`] when there is no such context.
    fn pool<S>(&self, context: Context<S>) -> Result<&'static Pool, Error>;

    /// Registers `handler` with `context`: from now on every activation of the identifier runs
    /// it there, with the context's state exclusively its own meanwhile.
    ///
    /// The handler is kept in the context's event memory. A cold path.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::WrongState`], [`Error::TableFull`], [`Error::OutOfMemory`].
    fn register<S, F>(
        &self,
        context: Context<S>,
        registration: Registration,
        handler: F,
    ) -> Result<EventId, Error>
    where
        S: Send + 'static,
        F: Fn(&mut S, Activation) + Send + 'static;

    /// Ends a registration. Its pending activations are dropped, and its handler never runs
    /// again; when it is running now (it may unregister itself) it ends its run.
    ///
    /// # Errors
    /// [`Error::Stale`].
    fn unregister(&self, event: EventId) -> Result<(), Error>;

    /// Changes a registration's priority; pending activations move with it.
    ///
    /// # Errors
    /// [`Error::Stale`].
    fn set_priority(&self, event: EventId, priority: Priority) -> Result<(), Error>;

    /// Says that `count` occurrences of `event` have happened. Constant time.
    ///
    /// Unless dispatch is deferred, a handler of higher priority than the caller's has run when
    /// this returns.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Overrun`].
    fn activate(&self, event: EventId, count: u32) -> Result<(), Error>;

    /// Reserves a timer for `event`. A cold path: arming and disarming cannot fail afterwards.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::TableFull`], [`Error::HeapExhausted`].
    fn timer(&self, event: EventId) -> Result<TimerId, Error>;

    /// Sets `timer` to activate its event at `deadline`, never earlier, and then every `period`
    /// if one is given. A deadline set before is forgotten.
    ///
    /// # Errors
    /// [`Error::Stale`].
    fn arm(&self, timer: TimerId, deadline: Instant, period: Option<Duration>)
    -> Result<(), Error>;

    /// Stops `timer`; a disarmed one stays so. An activation already made is not taken back.
    ///
    /// # Errors
    /// [`Error::Stale`].
    fn disarm(&self, timer: TimerId) -> Result<(), Error>;

    /// Gives a timer back.
    ///
    /// # Errors
    /// [`Error::Stale`].
    fn release(&self, timer: TimerId) -> Result<(), Error>;

    /// Fills `bytes` from the kernel's cryptographic generator.
    fn random(&self, bytes: &mut [u8]);
}
