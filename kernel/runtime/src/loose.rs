//! Handlers that are no registration's: not yet, or not any more.

use crate::bound::{AnyState, Bound, Handler, Header, Kind, StateCell, StateId};
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use reflex_event::{Activation, Error};
use reflex_memory::Pool;

/// A handler with what must be known of it wherever it changes hands: in what memory it lies, and what
/// state it is for. It is discarded when it is dropped, which is to be outside of sections and guarded
/// calls, since what it has captured is the application's.
pub(crate) struct Loose {
    handler: Handler,
    pool: &'static Pool,
    /// [`StateId::NONE`] when it reaches no state, or one that the kernel keeps for the context beside
    /// the context's own.
    state: StateId,
}

impl Loose {
    /// Binds `handler` to `state`, in `pool`, which are one context's; gives it back with the reason
    /// when that cannot be done.
    pub(crate) fn bind<S, F>(
        state: AnyState,
        handler: F,
        pool: &'static Pool,
    ) -> Result<Self, (Error, F)>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let Some(cell) = state.downcast::<S>() else { return Err((Error::WrongState, handler)) };
        let handler = Bound::bind(cell, handler, pool)?;
        Ok(Self { handler, pool, state: state.id() })
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
        let handler = Bound::bind(NonNull::from(cell), handler, pool);
        let handler = handler.map_err(|(error, _)| error)?;
        Ok(Self { handler, pool, state: StateId::NONE })
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

        let header = Header::new(&Kind { call, drop: None, forget: None });
        let (header, _) = pool.alloc(header).map_err(|_| Error::OutOfMemory)?.into_raw();
        // SAFETY: a kind with nothing to drop, which reaches no state.
        Ok(unsafe { Self::own(header, pool) })
    }

    /// The handler, which stays loose.
    pub(crate) fn handler(&self) -> Handler {
        self.handler
    }

    /// The handler, which is whoever's it is given to from here on.
    pub(crate) fn keep(self) -> Handler {
        ManuallyDrop::new(self).handler
    }

    /// Whether it may be a handler of the context that has this memory and this state. Wherever a
    /// handler becomes a registration's, this is what is asked.
    ///
    /// # Errors
    /// [`Error::WrongState`] when it is for another state; [`Error::Foreign`] when it lies in another
    /// context's memory.
    pub(crate) fn fits(&self, pool: &'static Pool, state: AnyState) -> Result<(), Error> {
        if self.state == state.id() {
            // Whose state it is, so is the memory that the handler was bound in for it.
            return Ok(());
        }
        if self.state != StateId::NONE {
            return Err(Error::WrongState);
        }
        if core::ptr::eq(self.pool, pool) { Ok(()) } else { Err(Error::Foreign) }
    }
}

impl Drop for Loose {
    fn drop(&mut self) {
        // SAFETY: nobody else has it, so it does not run and is not called again; it was bound in this
        // pool.
        unsafe { self.handler.discard(self.pool) }
    }
}
