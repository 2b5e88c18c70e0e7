//! A handler bound to its context's state.

use core::any::TypeId;
use core::cell::Cell;
use core::ptr::NonNull;
use reflex_event::{Activation, EventId};
use reflex_memory::{Pool, PoolBox};

/// A context's state. It is taken out for the time of a handler's run, which is what makes the
/// handler's `&mut S` exclusive; a run that never ends leaves the context without a state, so
/// that no later handler can see it half changed.
pub(crate) struct StateCell<S: 'static> {
    state: Cell<Option<&'static mut S>>,
}

impl<S: 'static> StateCell<S> {
    pub(crate) fn new(state: &'static mut S) -> Self {
        Self { state: Cell::new(Some(state)) }
    }
}

/// A pointer to a [`StateCell`] that remembers of what type.
#[derive(Clone, Copy)]
pub(crate) struct AnyState {
    cell: NonNull<()>,
    of: TypeId,
}

impl AnyState {
    pub(crate) fn new<S: 'static>(cell: &'static StateCell<S>) -> Self {
        Self { cell: NonNull::from(cell).cast(), of: TypeId::of::<S>() }
    }

    /// The cell, if its state is an `S`.
    fn downcast<S: 'static>(self) -> Option<NonNull<StateCell<S>>> {
        (self.of == TypeId::of::<S>()).then(|| self.cell.cast())
    }
}

/// What dispatch calls.
trait Call {
    fn call(&self, event: EventId, count: u32);

    /// Whose memory this lies in.
    fn pool(&self) -> &'static Pool;
}

struct Bound<S: 'static, F> {
    state: NonNull<StateCell<S>>,
    pool: &'static Pool,
    handler: F,
}

impl<S: 'static, F: Fn(&mut S, Activation)> Call for Bound<S, F> {
    #[inline]
    fn call(&self, event: EventId, count: u32) {
        // SAFETY: the cell lives for ever, in its context's pool; handlers of one context never
        // run at the same time, so nobody else is at the `Cell`.
        let cell = unsafe { self.state.as_ref() };
        if let Some(state) = cell.state.take() {
            (self.handler)(state, Activation { event, count });
            cell.state.set(Some(state));
        }
    }

    fn pool(&self) -> &'static Pool {
        self.pool
    }
}

/// A handler, as the event core keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Handler(NonNull<dyn Call>);

/// Why a handler could not be bound.
pub(crate) enum BindError {
    WrongState,
    OutOfMemory,
}

impl Handler {
    /// Binds `handler` to `state`, in `pool`.
    pub(crate) fn bind<S, F>(
        state: AnyState,
        handler: F,
        pool: &'static Pool,
    ) -> Result<Self, BindError>
    where
        S: Send + 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let state = state.downcast::<S>().ok_or(BindError::WrongState)?;
        let bound = pool.alloc(Bound { state, pool, handler });
        let (bound, _) = bound.map_err(|_| BindError::OutOfMemory)?.into_raw();
        Ok(Self(bound))
    }

    /// Runs the handler.
    ///
    /// # Safety
    /// The handler has not been released, and no other handler of its context runs.
    #[inline(always)]
    pub(crate) unsafe fn call(self, activation: Activation) {
        // SAFETY: not released, so the box is alive; the core gives a handler back for release
        // only when it is not running.
        unsafe { self.0.as_ref() }.call(activation.event, activation.count);
    }

    /// Drops the handler and frees its memory.
    ///
    /// # Safety
    /// The handler is not running and nobody calls it again.
    pub(crate) unsafe fn release(self) {
        // SAFETY: not running, not released before: the box is alive.
        let pool = unsafe { self.0.as_ref() }.pool();
        // SAFETY: `bind` made the pointer by `into_raw`, and it is given up here.
        drop(unsafe { PoolBox::from_raw(self.0, pool) });
    }
}
