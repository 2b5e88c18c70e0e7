//! A handler bound to its context's state.

use super::handler::{Handle, Header};
use super::retired::Retired;
use core::any::TypeId;
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reflex_event::{Activation, Error, EventId};
use reflex_memory::Pool;

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

    /// A cell with a state that is yet to come.
    pub(crate) const fn empty() -> Self {
        Self { state: Cell::new(None) }
    }

    /// Takes the state out, for good.
    pub(crate) fn take(&self) -> Option<&'static mut S> {
        self.state.take()
    }

    /// Puts a state in.
    pub(crate) fn put(&self, state: &'static mut S) {
        self.state.set(Some(state));
    }
}

/// Which of all states that there have been: no two have the same number, wherever they lay and
/// whatever their types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateId(u64);

impl StateId {
    /// Of no state: in a handler, that it is for none.
    pub(crate) const NONE: Self = Self(0);

    /// Another than any before. There are more than can be used up.
    fn fresh() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Relaxed) + 1)
    }
}

/// A state: where its cell is, of what type it is, and which. An address serves one state after the
/// other, and so says nothing of either.
#[derive(Clone, Copy)]
pub(crate) struct AnyState {
    cell: NonNull<()>,
    of: TypeId,
    id: StateId,
}

// SAFETY: it is the cell's name. To look into the cell takes a proof that nobody else does, wherever
// the name has come from.
unsafe impl Send for AnyState {}

impl AnyState {
    /// The state that is, or is to be, in a cell that lives as long as there are handlers for it.
    /// To be called once a state: what it returns stands for that from then on.
    pub(crate) fn new<S: 'static>(cell: NonNull<StateCell<S>>) -> Self {
        Self { cell: cell.cast(), of: TypeId::of::<S>(), id: StateId::fresh() }
    }

    /// No state, of no type that a handler could be for.
    pub(crate) fn nothing() -> Self {
        enum Nothing {}
        Self { cell: NonNull::dangling(), of: TypeId::of::<Nothing>(), id: StateId(u64::MAX) }
    }

    /// Where the cell is: at the start of a block of its context's event memory.
    pub(crate) fn block(self) -> NonNull<()> {
        self.cell
    }

    /// Which it is.
    pub(crate) fn id(self) -> StateId {
        self.id
    }

    /// The state, if it is an `S`.
    #[inline(always)]
    pub(crate) fn typed<S: 'static>(self) -> Option<TypedState<S>> {
        Some(TypedState { cell: self.downcast()?, id: self.id })
    }

    /// The cell, if its state is an `S`.
    #[inline(always)]
    pub(crate) fn downcast<S: 'static>(self) -> Option<NonNull<StateCell<S>>> {
        (self.of == TypeId::of::<S>()).then(|| self.cell.cast())
    }
}

/// A state of a known type: where its cell is, and which.
pub(crate) struct TypedState<S: 'static> {
    pub(crate) cell: NonNull<StateCell<S>>,
    pub(crate) id: StateId,
}

/// A handler and the state it is for, in its context's event memory.
#[repr(C)]
pub(crate) struct Bound<S: 'static, F> {
    header: Header,
    state: NonNull<StateCell<S>>,
    handler: F,
}

// SAFETY: it begins with its header; `bind` asks that `handler` is `Send`, and the cell is not looked
// at when it is dropped.
unsafe impl<S: 'static, F: Fn(&mut S, Activation) + 'static> Handle for Bound<S, F> {
    #[inline(always)]
    unsafe fn call(&self, event: EventId, count: u32) {
        // SAFETY: the cell lives as long as a handler for it may be called. Handlers of one context
        // never run at the same time, so nobody else is at the `Cell`.
        let cell = unsafe { self.state.as_ref() };
        if let Some(state) = cell.state.take() {
            (self.handler)(state, Activation { event, count });
            cell.state.set(Some(state));
        }
    }
}

impl<S: 'static, F: Fn(&mut S, Activation) + Send + 'static> Bound<S, F> {
    /// Binds `handler` to the state in `cell`, in `pool`; gives it back when there is no memory.
    pub(crate) fn bind(
        state: NonNull<StateCell<S>>,
        handler: F,
        pool: &'static Pool,
    ) -> Result<Retired, (Error, F)> {
        let bound = Self { header: Header::of::<Self>(), state, handler };
        let bound = pool.alloc(bound).map_err(|bound| (Error::OutOfMemory, bound.value.handler))?;
        Ok(Retired::new(bound))
    }
}
