//! A handler bound to its context's state.

use crate::extras::Extras;
use core::any::TypeId;
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
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

/// Which of all states that there have been: no two have the same number, wherever they lay and
/// whatever their types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateId(u64);

impl StateId {
    /// Of no state: in a handler, that it is for none.
    const NONE: Self = Self(0);

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
    /// First, where dispatch finds it without knowing this type. It follows from what the context
    /// and the registration ask for, and is never kept elsewhere: see [`crate::calls`].
    call: Cell<Call>,
    kind: &'static Kind,
    extras: Cell<Option<NonNull<Extras>>>,
}

/// What can be done with bound handlers of one type.
pub(crate) struct Kind {
    /// Calls it, and nothing else.
    pub(crate) call: Call,
    /// Drops what it has captured.
    pub(crate) drop: unsafe fn(NonNull<Header>),
    /// Does instead what is left to do about a handler whose call, or drop, was cut off.
    pub(crate) forget: unsafe fn(NonNull<Header>),
}

/// In what condition the captured values are of a handler that was cut off nobody knows: nobody is to
/// drop them.
///
/// # Safety
/// None.
pub(crate) unsafe fn forget(_: NonNull<Header>) {}

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

    const KIND: Kind = Kind { call: Self::call, drop: Self::drop, forget };

    /// # Safety
    /// `header` is that of a live `Self`, which nobody uses again.
    unsafe fn drop(header: NonNull<Header>) {
        // SAFETY: the caller's duty; `Self` begins with its header.
        unsafe { header.cast::<Self>().drop_in_place() }
    }
}

/// A handler that is no registration's: not yet, or not any more. It is released when it is dropped,
/// which is not to be in a section: what it has captured may be much.
pub(crate) struct Loose {
    handler: Handler,
    pool: &'static Pool,
    /// The state it is for; [`StateId::NONE`] when it reaches none, or one that the kernel keeps for
    /// the context beside its own.
    state: StateId,
}

/// What a loose handler has captured.
pub(crate) struct Captured(Handler);

/// The memory of a loose handler, without a look at what is in it.
pub(crate) struct Block {
    of: Handler,
    pool: &'static Pool,
}

// SAFETY: what handlers capture is `Send`, as `bind` and `beside` demand, and those of the kernel's
// own are safe to drop in any context; nobody else has it. Event memory is given back anywhere.
unsafe impl Send for Loose {}

// SAFETY: as for `Loose`, which it was a part of.
unsafe impl Send for Captured {}

// SAFETY: as for `Loose`, which it was a part of.
unsafe impl Send for Block {}

impl Drop for Loose {
    fn drop(&mut self) {
        drop(Captured(self.handler));
        drop(Block { of: self.handler, pool: self.pool });
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handler, so it does not run and is not called again.
        unsafe { self.0.drop_captured() }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handler, which was bound in this pool; nothing is kept beside it,
        // as that is done with a registration's only.
        unsafe { self.of.free(self.pool) }
    }
}

impl Loose {

    /// Binds `handler` to `state`, in `pool`.
    pub(crate) fn bind<S, F>(
        state: AnyState,
        handler: F,
        pool: &'static Pool,
    ) -> Result<Self, Error>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let cell = state.downcast::<S>().ok_or(Error::WrongState)?;
        let bound = Bound { header: Header::new(&Bound::<S, F>::KIND), state: cell, handler };
        let (bound, _) = pool.alloc(bound).map_err(|_| Error::OutOfMemory)?.into_raw();
        // SAFETY: a `Bound` begins with its header, which was made for it just now.
        let handler = unsafe { Handler::new(bound.cast()) };
        Ok(Self { handler, pool, state: state.id })
    }

    /// Binds `handler` to a state that the kernel keeps for a context beside the context's own, in
    /// `pool`, which is that context's.
    pub(crate) fn beside<S, F>(
        cell: &'static StateCell<S>,
        handler: F,
        pool: &'static Pool,
    ) -> Result<Self, Error>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let loose = Self::bind(AnyState::new(NonNull::from(cell)), handler, pool)?;
        Ok(Self { handler: loose.keep(), pool, state: StateId::NONE })
    }

    /// The handler of the kernel's own that `header` is the beginning of.
    ///
    /// # Safety
    /// As [`Handler::new`]; the block is one of `pool`'s, and the handler may be called whatever the
    /// state of the context is that the pool belongs to.
    pub(crate) unsafe fn own(header: NonNull<Header>, pool: &'static Pool) -> Self {
        // SAFETY: the caller's duty.
        Self { handler: unsafe { Handler::new(header) }, pool, state: StateId::NONE }
    }

    /// A handler that does nothing, for an event that is not called.
    pub(crate) fn nothing(pool: &'static Pool) -> Result<Self, Error> {
        /// Sound to call with anything.
        unsafe extern "C" fn call(_: NonNull<Header>, _: u64, _: u32) {}

        /// Sound to call with anything: there is nothing to drop.
        unsafe fn drop(_: NonNull<Header>) {}

        let header = Header::new(&Kind { call, drop, forget });
        let (header, _) = pool.alloc(header).map_err(|_| Error::OutOfMemory)?.into_raw();
        // SAFETY: a kind with nothing to drop, which reaches no state.
        Ok(unsafe { Self::own(header, pool) })
    }

    /// The handler, which stays whose it is.
    pub(crate) fn handler(&self) -> Handler {
        self.handler
    }

    /// The handler, which is a registration's from here on.
    pub(crate) fn keep(self) -> Handler {
        ManuallyDrop::new(self).handler()
    }

    /// What it has captured, and the block that this is in: to be dropped in this order, and if what is
    /// captured is not dropped to its end, it is forgotten with the block.
    pub(crate) fn split(self) -> (Captured, Block) {
        let Self { handler, pool, .. } = *ManuallyDrop::new(self);
        (Captured(handler), Block { of: handler, pool })
    }

    /// Whether it may be a handler of the context that has this memory and this state. Wherever a
    /// handler becomes a registration's, this is what is asked.
    ///
    /// # Errors
    /// [`Error::Foreign`] when it lies in another context's memory; [`Error::WrongState`] when it is
    /// for another state.
    pub(crate) fn fits(&self, pool: &'static Pool, state: AnyState) -> Result<(), Error> {
        if self.state == state.id {
            // Whose state it is, so is the memory that the handler was bound in for it.
            return Ok(());
        }
        if self.state != StateId::NONE {
            return Err(Error::WrongState);
        }
        if core::ptr::eq(self.pool, pool) { Ok(()) } else { Err(Error::Foreign) }
    }

    /// Becomes the handler of a registration in place of `former`, and takes over what is kept
    /// beside that, having nothing of the kind itself. The former one is returned.
    ///
    /// # Safety
    /// `former` is a registration's, lies in the same memory and does not run; nobody calls it again.
    /// The caller is in a section.
    pub(crate) unsafe fn succeed(self, former: Handler) -> Self {
        // SAFETY: both are live: one is loose, the other a registration's.
        let (header, old) = unsafe { (self.handler().0.as_ref(), former.0.as_ref()) };
        header.extras.set(old.extras.take());
        let pool = self.pool;
        self.keep();
        Self { handler: former, pool, state: StateId::NONE }
    }
}

/// A handler, as the event core keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Handler(NonNull<Header>);

impl Handler {
    /// The handler that `header` is the beginning of.
    ///
    /// # Safety
    /// It lies at the start of a lent block of its context's event memory, given up for this; its
    /// kind is right, and safe to drop in any context.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
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
    /// The handler has not been released; `extras` are in the pool it was bound in. The caller is
    /// in a section.
    pub(crate) unsafe fn give_extras(self, extras: Lent<Extras>) -> Option<Lent<Extras>> {
        // SAFETY: the caller's duty.
        let header = unsafe { self.0.as_ref() };
        if header.extras.get().is_some() {
            return Some(extras);
        }
        header.extras.set(Some(extras.into_raw().0));
        None
    }

    /// Has dispatch call `call`.
    ///
    /// # Safety
    /// The handler is live; `call` is its kind's, or does no more with the handler than calling that.
    pub(crate) unsafe fn set_call(self, call: Call) {
        // SAFETY: the caller's duty.
        unsafe { self.0.as_ref() }.call.set(call);
    }

    /// What can be done with handlers of its type.
    ///
    /// # Safety
    /// The handler has not been released.
    pub(crate) unsafe fn kind(self) -> &'static Kind {
        // SAFETY: the caller's duty.
        unsafe { self.0.as_ref() }.kind
    }

    /// Drops the handler and what is kept beside it, and frees their memory.
    ///
    /// # Safety
    /// The handler is not running and nobody calls it again; `pool` is the one it was bound in.
    /// The caller is in a section.
    pub(crate) unsafe fn release(self, pool: &'static Pool) {
        // SAFETY: the caller's duty.
        unsafe {
            self.drop_extras(pool);
            self.drop_captured();
            self.free(pool);
        }
    }

    /// Drops what is kept beside the handler. The first of the three parts of a
    /// [`release`](Self::release), of which each may be in a section of its own.
    ///
    /// # Safety
    /// Nobody but the caller uses the handler or its extras; the caller is in a section.
    pub(crate) unsafe fn drop_extras(self, pool: &'static Pool) {
        // SAFETY: the caller's duty; `extras_in` made the pointer by `into_raw`.
        unsafe {
            if let Some(extras) = self.0.as_ref().extras.take() {
                drop(Lent::from_raw(extras, pool));
            }
        }
    }

    /// Drops what the handler has captured: the second part, in a section or not. What does not
    /// have this part is forgotten.
    ///
    /// # Safety
    /// Nobody but the caller uses the handler, which does not run; it is not used again but for
    /// the third part.
    pub(crate) unsafe fn drop_captured(self) {
        // SAFETY: the caller's duty.
        unsafe { (self.kind().drop)(self.0) }
    }

    /// Does what is left to do about a handler whose call, or drop, was cut off: instead of the second
    /// part.
    ///
    /// # Safety
    /// As [`drop_captured`](Self::drop_captured); whoever called or dropped it does not go on.
    pub(crate) unsafe fn forget(self) {
        // SAFETY: the caller's duty.
        unsafe { (self.kind().forget)(self.0) }
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
