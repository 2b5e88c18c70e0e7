//! What the kernel offers those above it, without saying which kernel.

use crate::{
    Activation, Context, ContextId, Error, EventId, Instant, Priority, Registration, TimerId,
    Trouble,
};
use core::time::Duration;
use reflex_memory::{Content, Lend, Pool};

/// The event system as applications have it, too.
///
/// Every call is bounded and legal from any handler, any filter and any job. None is legal from
/// interrupt context, where only a job may be posted.
pub trait EventSystem: Clone + Send + Sync + 'static {
    /// Time since the machine started.
    fn now(&self) -> Instant;

    /// Runs `work` with dispatch deferred: no other handler and no job runs meanwhile, though
    /// interrupts are still taken. Sections nest. Keep them short and bounded.
    ///
    /// It hands out no token, as the kernel's own sections do: this trait is safe to implement, so
    /// that one would prove nothing, and what a library keeps in a section is guarded from a second
    /// entry by a lock that such a token could not spare.
    fn section<R>(&self, work: impl FnOnce() -> R) -> R;

    /// The event memory of a context.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    fn pool<S>(&self, context: Context<S>) -> Result<&'static Pool, Error>;

    /// Registers `handler` with `context`: from now on every activation of the identifier runs
    /// it there, with the context's state exclusively its own meanwhile.
    ///
    /// The handler is kept in the context's event memory. A cold path.
    ///
    /// What it captures is `Send`, so that no [collection](reflex_memory::PoolAllocator) of another context's own
    /// is among it:
    ///
    /// ```compile_fail,E0277
    /// # use reflex_event::{Context, Error, EventId, EventSystem, Registration};
    /// # use reflex_memory::String;
    /// fn count(kernel: &impl EventSystem, of: Context<usize>, word: String) -> Result<EventId, Error> {
    ///     kernel.register(of, Registration::default(), move |sum: &mut usize, _| *sum += word.len())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::WrongState`], [`Error::LimitReached`], [`Error::NotAllowed`],
    /// [`Error::TableFull`], [`Error::OutOfMemory`]; [`Error::Busy`] when the context has been given
    /// up and not been restarted.
    fn register<S, F>(
        &self,
        context: Context<S>,
        registration: Registration,
        handler: F,
    ) -> Result<EventId, Error>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static;

    /// Says that a context is about to register for a kind of events, which its policy may not
    /// allow (A-3.5.3). Without policies everything is allowed.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::NoContext`].
    fn permit(&self, context: ContextId, kind: &'static str) -> Result<(), Error> {
        let _ = (context, kind);
        Ok(())
    }

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
    /// [`Error::Stale`], [`Error::Overrun`]; [`Error::LimitReached`] when the event's filter cannot be asked, as
    /// too many are being asked already, one in the other.
    fn activate(&self, event: EventId, count: u32) -> Result<(), Error>;

    /// Reserves a timer for `event`, which has none yet; the two end together. A cold path: arming
    /// and disarming cannot fail afterwards.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Exclusive`], [`Error::OutOfMemory`], [`Error::TableFull`],
    /// [`Error::HeapExhausted`].
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

    /// Tells a context of trouble, by an activation of the registration it has named for that.
    /// Needs no memory. Constant time.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    fn report(&self, context: ContextId, trouble: Trouble) -> Result<(), Error>;

    /// From now on `event` is activated whenever the context's handlers and registrations have been
    /// given up: after a panic, a fault or an overrun in one of its handlers, and when the context
    /// ends. What is kept for the context elsewhere is then to be given up too.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::LimitReached`].
    fn on_end(&self, context: ContextId, event: EventId) -> Result<(), Error>;

    /// How often a context has been given up: code that keeps something for it finds out by this that it is in
    /// another life.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    fn failures(&self, context: ContextId) -> Result<u64, Error>;

    /// Runs `work`, in which the calling context is not given up for having used up its time: for
    /// code that holds what is not the context's own. A panic or a fault in there is the kernel's
    /// own affair and ends the image. Application's code is called from there by
    /// [`Kernel::keep`] and [`Kernel::hand`] alone.
    fn guarded<R>(&self, work: impl FnOnce() -> R) -> R;

    /// Fills `bytes` from the kernel's cryptographic generator.
    fn random(&self, bytes: &mut [u8]);
}

/// What may become of memory that a computation had borrowed which was given up. Such a computation never
/// goes on, so what it borrowed stays borrowed: it may have left pointers to it where others find them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Borrowed {
    /// It may be used again: the context's builder has said that nothing points to it.
    Reusable,
    /// It stays as it is for as long as the image runs.
    Quarantined,
}

/// What has become of an activation that was [chosen](Kernel::yield_by).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chosen {
    /// There was none.
    Nothing,
    /// The handler was begun on the spot, and the caller has gone on since.
    Begun,
    /// Anything else: the handler runs when its turn comes, or nobody was to be told.
    Queued,
}

/// The kernel as the library OS sees it: `kernel/runtime` in an image, a simulator on the host.
///
/// What it has beyond the [`EventSystem`] is for code that calls application's code in the middle of
/// its own work, and is to be left in order when that is given up and never goes on. Each call is one
/// piece of such work, guarded but for the application's part of it; it lifts no other's guard. So there is
/// nothing here that could leave another's work undone, whichever code calls it.
///
/// Applications have the [`EventSystem`] alone. With the whole kernel this is possible:
///
/// ```
/// use reflex_event::Kernel;
///
/// fn length(kernel: &impl Kernel, word: Box<[u8]>) -> usize {
///     let leave = |word: Box<[u8]>, _| drop(Box::leak(word));
///     kernel.keep(|| Ok(word), |word| word, leave, |bytes| bytes.len(), |_, length| length)
/// }
/// ```
///
/// And with the event system it is not:
///
/// ```compile_fail,E0599
/// use reflex_event::EventSystem;
///
/// fn length(kernel: &impl EventSystem, word: Box<[u8]>) -> usize {
///     let leave = |word: Box<[u8]>, _| drop(Box::leak(word));
///     kernel.keep(|| Ok(word), |word| word, leave, |bytes| bytes.len(), |_, length| length)
/// }
/// ```
pub trait Kernel: EventSystem {
    /// Runs `choose` in a section, and activates what it has named, so many times, in the same one: neither
    /// happens without the other. True when it has named something.
    ///
    /// An event that has ended has nobody to be told, and a full counter says as much as a counter can.
    fn activate_by(&self, choose: impl FnOnce() -> Option<(EventId, u32)>) -> bool;

    /// [`activate_by`](Self::activate_by) of a caller that yields to its equals: a handler of its own priority
    /// runs first as one of a higher priority does, unless others of that priority are ready, which have waited
    /// longer. So a caller that goes through many handlers comes back after each.
    fn yield_by(&self, choose: impl FnOnce() -> Option<(EventId, u32)>) -> Chosen;

    /// Takes a value, runs the application's `work` on bytes of it, and finishes with the two. Should
    /// the code be given up in `work`, `cleanup` gets the value, which is whole: nothing could reach
    /// more of it than bytes that do not change. `cleanup` is told what may
    /// become of these bytes, and [quarantines](Self::quarantine) them if need be.
    ///
    /// All but `work` is [guarded](EventSystem::guarded). `cleanup` runs where it may keep others
    /// waiting, so it is to be short, and bounded.
    fn keep<T: Send + 'static, V, R>(
        &self,
        take: impl FnOnce() -> Result<T, R>,
        bytes: fn(&mut T) -> &[u8],
        cleanup: fn(T, Borrowed),
        work: impl FnOnce(&[u8]) -> V,
        finish: impl FnOnce(T, V) -> R,
    ) -> R;

    /// As [`keep`](Self::keep), for a value a part of which [can be lent](Lend) to code that may never go
    /// on.
    fn hand<T: Send + 'static, L: Lend + ?Sized, V, R>(
        &self,
        take: impl FnOnce() -> Result<T, R>,
        part: fn(&mut T) -> &mut L,
        cleanup: fn(T, Borrowed),
        work: impl FnOnce(L::View<'_>) -> V,
        finish: impl FnOnce(T, V) -> R,
    ) -> R;

    /// Runs `work` on a value in a section: code of `context`, on behalf of the code that has activated an
    /// event of its. Fails when it has panicked, faulted, or used up its time or its stack, and that is the
    /// context's own failure: it is given up then. The value is forgotten, and counted: it may be half changed.
    ///
    /// # Errors
    /// What may become of the memory that the work had borrowed.
    fn contained<T, R>(
        &self,
        context: ContextId,
        value: T,
        work: impl FnOnce(&T) -> R,
    ) -> Result<(T, R), Borrowed>;

    /// Says that so many bytes of a pool were borrowed by a computation that was given up, and are not
    /// used again. That is counted, bounded, and told to the pool's owner as
    /// [`Trouble::MemoryQuarantined`].
    ///
    /// # Panics
    /// When more is quarantined than may be.
    fn quarantine(&self, pool: &'static Pool, bytes: usize);

    /// A pool of the machine's memory with room for so many bytes, its bookkeeping included, and with the
    /// owner that `of` has, of which so much was quarantined.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    fn replacement(
        &self,
        of: &'static Pool,
        bytes: usize,
        content: Content,
    ) -> Result<&'static Pool, Error>;

    /// A pool of so many bytes of the machine's memory, its bookkeeping included, for what is kept for a
    /// context beside its own event memory. It counts as the context's: one that was made by another context never
    /// has more than that.
    ///
    /// # Errors
    /// How many bytes it may have at most.
    fn extend(&self, context: ContextId, bytes: usize) -> Result<&'static Pool, usize>;
}
