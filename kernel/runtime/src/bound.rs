//! A handler bound to its context's state.

use crate::extras::Extras;
use crate::section::{Section, section};
use core::any::TypeId;
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use reflex_event::{Activation, Error, EventId};
use reflex_memory::{Lent, Pool};

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

    /// A cell whose state is yet to come.
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

/// A pointer to a [`StateCell`] that remembers of what type.
#[derive(Clone, Copy)]
pub(crate) struct AnyState {
    cell: NonNull<()>,
    of: TypeId,
}

// SAFETY: it is the cell's name. To look into the cell takes a proof that nobody else does, wherever
// the name has come from.
unsafe impl Send for AnyState {}

impl AnyState {
    pub(crate) fn new<S: 'static>(cell: &'static StateCell<S>) -> Self {
        Self { cell: NonNull::from(cell).cast(), of: TypeId::of::<S>() }
    }

    /// The state in a cell that lives as long as there are handlers for it.
    pub(crate) fn at<S: 'static>(cell: NonNull<StateCell<S>>) -> Self {
        Self { cell: cell.cast(), of: TypeId::of::<S>() }
    }

    /// No state, of no type that a handler could be for.
    pub(crate) fn nothing() -> Self {
        enum Nothing {}
        Self { cell: NonNull::dangling(), of: TypeId::of::<Nothing>() }
    }

    /// Where the cell is: at the start of a block of its context's event memory.
    pub(crate) fn block(self) -> NonNull<()> {
        self.cell
    }

    /// The cell, if its state is an `S`.
    pub(crate) fn downcast<S: 'static>(self) -> Option<NonNull<StateCell<S>>> {
        (self.of == TypeId::of::<S>()).then(|| self.cell.cast())
    }
}

/// What dispatch calls: with the handler's header, the event's word and the count.
pub(crate) type Call = unsafe extern "C" fn(NonNull<Header>, u64, u32);

/// What every bound handler begins with, whatever its type.
#[repr(C)]
pub(crate) struct Header {
    /// First, where dispatch finds it without knowing this type.
    call: Cell<Call>,
    kind: &'static Kind,
    extras: Cell<Option<NonNull<Extras>>>,
}

/// What can be done with bound handlers of one type.
pub(crate) struct Kind {
    /// Calls it: what dispatch calls unless that was [diverted](Handler::divert).
    pub(crate) call: Call,
    /// Drops what it has captured, if that is more than forgetting it.
    pub(crate) drop: Option<unsafe fn(NonNull<Header>)>,
}

impl Header {
    pub(crate) const fn new(kind: &'static Kind) -> Self {
        Self { call: Cell::new(kind.call), kind, extras: Cell::new(None) }
    }
}

/// A handler and the state it is for, in its context's event memory.
#[repr(C)]
struct Bound<S: 'static, F> {
    header: Header,
    state: NonNull<StateCell<S>>,
    handler: F,
}

impl<S: 'static, F: Fn(&mut S, Activation) + 'static> Bound<S, F> {
    /// # Safety
    /// `header` is that of a live `Self`, and no other handler of its context runs.
    unsafe extern "C" fn call(header: NonNull<Header>, event: u64, count: u32) {
        // SAFETY: `Self` begins with its header; the cell lives as long as a handler may be
        // called. Handlers of one context never run at the same time, so nobody else is at the
        // `Cell`.
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

    const KIND: Kind = Kind {
        call: Self::call,
        drop: if core::mem::needs_drop::<F>() { Some(Self::drop) } else { None },
    };

    /// # Safety
    /// `header` is that of a live `Self`, which nobody uses again.
    unsafe fn drop(header: NonNull<Header>) {
        // SAFETY: the caller's duty; `Self` begins with its header.
        unsafe { header.cast::<Self>().drop_in_place() }
    }
}

/// A handler, as the event core keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Handler(NonNull<Header>);

// SAFETY: what a handler has captured may be dropped in any context, since it is `Send` or by the
// duty of whoever made the handler; what lies beside it is reached in sections, and it is called in
// its own context alone.
unsafe impl Send for Handler {}

impl Handler {
    /// Binds `handler` to `state`, in `pool`.
    pub(crate) fn bind<S, F>(
        state: AnyState,
        handler: F,
        pool: &'static Pool,
    ) -> Result<Self, (Error, F)>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let Some(state) = state.downcast::<S>() else { return Err((Error::WrongState, handler)) };
        let bound = Bound { header: Header::new(&Bound::<S, F>::KIND), state, handler };
        let bound = pool.alloc(bound).map_err(|bound| (Error::OutOfMemory, bound.value.handler))?;
        let (bound, _) = bound.into_raw();
        // SAFETY: a `Bound` begins with its header, which was made for it just now.
        Ok(unsafe { Self::new(bound.cast()) })
    }

    /// The handler that `header` is the beginning of.
    ///
    /// # Safety
    /// It lies at the start of a lent block of its context's event memory, given up for this; its
    /// kind is right, and safe to drop in any context.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// A handler that does nothing, for an event that is not called.
    pub(crate) fn nothing(pool: &'static Pool) -> Result<Self, Error> {
        /// Sound to call with anything.
        unsafe extern "C" fn call(_: NonNull<Header>, _: u64, _: u32) {}

        let header = Header::new(&Kind { call, drop: None });
        let header = pool.alloc(header).map_err(|_| Error::OutOfMemory)?;
        Ok(Self(header.into_raw().0))
    }

    /// The handler as a machine word: the address of a place that begins with the function to
    /// call, with that address, the event's word and the count.
    #[inline(always)]
    pub(crate) fn into_word(self) -> u64 {
        self.0.expose_provenance().get() as u64
    }

    /// What is kept beside the handler, if anything.
    ///
    /// # Safety
    /// The handler has not been released, and is not while the result is in use.
    pub(crate) unsafe fn extras<'a>(self) -> Option<&'a Extras> {
        // SAFETY: the handler is live, by the caller's duty, and so are its extras.
        unsafe { self.0.as_ref().extras.get().map(|extras| extras.as_ref()) }
    }

    /// What is kept beside the handler, made in `pool` if there is nothing yet.
    ///
    /// # Safety
    /// As [`extras`](Self::extras); `pool` is the one it was bound in.
    pub(crate) unsafe fn extras_in<'a>(self, pool: &'static Pool) -> Result<&'a Extras, Error> {
        // SAFETY: the caller's duty.
        let header = unsafe { self.0.as_ref() };
        if header.extras.get().is_none() {
            let extras = pool.alloc(Extras::default()).map_err(|_| Error::OutOfMemory)?;
            header.extras.set(Some(extras.into_raw().0));
        }
        // SAFETY: the caller's duty.
        unsafe { self.extras() }.ok_or(Error::OutOfMemory)
    }

    /// Keeps `extras` beside the handler; hands them back if there are some already.
    ///
    /// # Safety
    /// The handler has not been released; `extras` are in the pool it was bound in.
    pub(crate) unsafe fn give_extras(
        self,
        _: &Section,
        extras: Lent<Extras>,
    ) -> Option<Lent<Extras>> {
        // SAFETY: the caller's duty.
        let header = unsafe { self.0.as_ref() };
        if header.extras.get().is_some() {
            return Some(extras);
        }
        header.extras.set(Some(extras.into_raw().0));
        None
    }

    /// Makes dispatch call `call` instead of what it called, which is returned.
    ///
    /// # Safety
    /// The handler is live; `call` is sound to call where the former was.
    pub(crate) unsafe fn divert(self, call: Call) -> Call {
        // SAFETY: the caller's duty.
        unsafe { self.0.as_ref() }.call.replace(call)
    }

    /// Whether dispatch calls `call`.
    ///
    /// # Safety
    /// The handler has not been released.
    pub(crate) unsafe fn calls(self, call: Call) -> bool {
        // SAFETY: the caller's duty.
        core::ptr::fn_addr_eq(unsafe { self.0.as_ref() }.call.get(), call)
    }

    /// What can be done with handlers of its type.
    ///
    /// # Safety
    /// The handler has not been released.
    pub(crate) unsafe fn kind(self) -> &'static Kind {
        // SAFETY: the caller's duty.
        unsafe { self.0.as_ref() }.kind
    }

    /// Takes over what is kept beside `old`, having nothing of the kind itself.
    ///
    /// # Safety
    /// Both are live and bound in the same pool.
    pub(crate) unsafe fn adopt(self, _: &Section, old: Self) {
        // SAFETY: the caller's duty.
        let (header, old) = unsafe { (self.0.as_ref(), old.0.as_ref()) };
        header.extras.set(old.extras.take());
    }

    /// Ends what is kept beside the handler, but for a filter. The first of three parts in which a
    /// handler is released.
    ///
    /// # Safety
    /// Nobody but the caller uses the handler or its extras; `pool` is the one it was bound in.
    pub(crate) unsafe fn drop_extras(self, cs: &Section, pool: &'static Pool) {
        // SAFETY: the caller's duty.
        let header = unsafe { self.0.as_ref() };
        let Some(extras) = header.extras.get() else { return };
        // SAFETY: they are live as long as the handler has them.
        let filtered = unsafe {
            extras.as_ref().end_timers(cs);
            extras.as_ref().has_filter()
        };
        if !filtered {
            header.extras.set(None);
            // SAFETY: whoever gave them gave them up by `into_raw`; they are taken out above.
            drop(unsafe { Lent::from_raw(extras, pool) });
        }
    }

    /// Whether there is application's code to be run when it is dropped.
    ///
    /// # Safety
    /// The handler has not been released.
    pub(crate) unsafe fn must_drop(self) -> bool {
        // SAFETY: the caller's duty.
        unsafe { self.kind().drop.is_some() || self.has_filter() }
    }

    /// Whether there is a filter beside it.
    ///
    /// # Safety
    /// The handler has not been released.
    pub(crate) unsafe fn has_filter(self) -> bool {
        // SAFETY: the caller's duty.
        unsafe { self.extras() }.is_some_and(Extras::has_filter)
    }

    /// Drops the filter beside the handler, if there is one, and what the handler has captured: the
    /// second part, which is application's code. What does not have this part is forgotten.
    ///
    /// # Safety
    /// Nobody but the caller uses the handler, which does not run and had the first part; it is not used
    /// again but for the third. `pool` is the one it was bound in.
    pub(crate) unsafe fn drop_all(self, pool: &'static Pool) {
        // SAFETY: the caller's duty.
        unsafe {
            self.drop_filter(pool);
            self.drop_captured();
        }
    }

    /// Drops the filter beside the handler, if there is one.
    ///
    /// # Safety
    /// As for [`drop_all`](Self::drop_all).
    pub(crate) unsafe fn drop_filter(self, pool: &'static Pool) {
        // SAFETY: the caller's duty.
        if let Some(extras) = unsafe { self.extras() } {
            drop(section(|cs| extras.take_filter(cs)));
            // SAFETY: the caller's duty: without a filter, they are freed.
            section(|cs| unsafe { self.drop_extras(cs, pool) });
        }
    }

    /// Drops what the handler has captured.
    ///
    /// # Safety
    /// As for [`drop_all`](Self::drop_all), but for the filter.
    pub(crate) unsafe fn drop_captured(self) {
        // SAFETY: the caller's duty.
        unsafe {
            if let Some(drop) = self.kind().drop {
                drop(self.0);
            }
        }
    }

    /// Drops a handler that was never registered, and frees its memory. Not in a section.
    ///
    /// # Safety
    /// Nobody else has seen it; `pool` is the one it was bound in.
    pub(crate) unsafe fn discard(self, pool: &'static Pool) {
        // SAFETY: the caller's duty: it has nothing beside it.
        unsafe {
            self.drop_captured();
            self.free(pool);
        }
    }

    /// Frees the handler's memory: the third part, in a section or not.
    ///
    /// # Safety
    /// Nobody uses the handler any more; `pool` is the one it was bound in.
    pub(crate) unsafe fn free(self, pool: &'static Pool) {
        // SAFETY: it was bound in a block of the pool, given up by `into_raw`, and is given up
        // here; nothing of it is dropped.
        drop(unsafe { Lent::from_raw(self.0.cast::<ManuallyDrop<Header>>(), pool) });
    }
}
