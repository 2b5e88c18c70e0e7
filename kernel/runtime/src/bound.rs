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

/// What every bound handler begins with, whatever its type.
#[repr(C)]
struct Header {
    /// First, where dispatch finds it without knowing this type.
    call: unsafe extern "C" fn(NonNull<Header>, u64, u32),
    release: unsafe fn(NonNull<Header>),
}

/// A handler and the state it is for, in its context's event memory.
#[repr(C)]
struct Bound<S: 'static, F> {
    header: Header,
    state: NonNull<StateCell<S>>,
    pool: &'static Pool,
    handler: F,
}

impl<S: 'static, F: Fn(&mut S, Activation) + 'static> Bound<S, F> {
    /// # Safety
    /// `header` is that of a live `Self`, and no other handler of its context runs.
    unsafe extern "C" fn call(header: NonNull<Header>, event: u64, count: u32) {
        // SAFETY: `Self` begins with its header; the cell lives for ever, in its context's pool.
        // Handlers of one context never run at the same time, so nobody else is at the `Cell`.
        let (bound, cell) = unsafe {
            let bound = header.cast::<Self>().as_ref();
            (bound, bound.state.as_ref())
        };
        if let Some(state) = cell.state.take() {
            let event = EventId::from_word(event);
            (bound.handler)(state, Activation { event, count });
            cell.state.set(Some(state));
        }
    }

    /// # Safety
    /// `header` is that of a live `Self` that [`Handler::bind`] made, which nobody uses again.
    unsafe fn release(header: NonNull<Header>) {
        let bound = header.cast::<Self>();
        // SAFETY: live, by the caller's duty.
        let pool = unsafe { bound.as_ref() }.pool;
        // SAFETY: `bind` made the pointer by `into_raw`, and it is given up here.
        drop(unsafe { PoolBox::from_raw(bound, pool) });
    }
}

/// A handler, as the event core keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Handler(NonNull<Header>);

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
        let header = Header { call: Bound::<S, F>::call, release: Bound::<S, F>::release };
        let bound = pool.alloc(Bound { header, state, pool, handler });
        let (bound, _) = bound.map_err(|_| BindError::OutOfMemory)?.into_raw();
        Ok(Self(bound.cast()))
    }

    /// The handler as a machine word: the address of a place that begins with the function to
    /// call, with that address, the event's word and the count.
    #[inline(always)]
    pub(crate) fn into_word(self) -> u64 {
        self.0.expose_provenance().get() as u64
    }

    /// Drops the handler and frees its memory.
    ///
    /// # Safety
    /// The handler is not running and nobody calls it again.
    pub(crate) unsafe fn release(self) {
        // SAFETY: the caller's duty.
        unsafe { (self.0.as_ref().release)(self.0) }
    }
}
