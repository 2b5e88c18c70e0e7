//! Handlers that are no registration's: not yet, or not any more.

use super::bound::{AnyState, Bound, StateCell, StateId, TypedState};
use super::handler::{Handle, Header, Stateless};
use super::retired::Retired;
use core::ptr::NonNull;
use reflex_event::{Activation, Error, EventId};
use reflex_memory::{Lent, Pool};

/// A handler with what must be known of it wherever it changes hands: in what memory it lies, and what
/// state it is for. It is discarded when it is dropped, which is to be outside of sections and guarded
/// calls, since what it has captured is the application's.
pub(crate) struct Loose {
    /// Until it is given away.
    handler: Option<Retired>,
    /// [`StateId::NONE`] when it reaches no state, or one that the kernel keeps for the context beside
    /// the context's own.
    state: StateId,
}

impl Loose {
    /// Binds `handler` to `state`, in `pool`, which are one context's; gives it back with the reason
    /// when that cannot be done.
    #[inline(always)]
    pub(crate) fn bind<S, F>(
        state: TypedState<S>,
        handler: F,
        pool: &'static Pool,
    ) -> Result<Self, (Error, F)>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let handler = Bound::bind(state.cell, handler, pool)?;
        Ok(Self { handler: Some(handler), state: state.id })
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
        Ok(Self { handler: Some(handler), state: StateId::NONE })
    }

    /// A handler of the kernel's own.
    pub(crate) fn own<T: Stateless>(handler: Lent<T>) -> Self {
        Self { handler: Some(Retired::new(handler)), state: StateId::NONE }
    }

    /// A handler that does nothing, for an event that is not called.
    pub(crate) fn nothing(pool: &'static Pool) -> Result<Self, Error> {
        let nothing = Nothing { _header: Header::of::<Nothing>() };
        Ok(Self::own(pool.alloc(nothing).map_err(|_| Error::OutOfMemory)?))
    }

    /// The handler, which stays loose.
    pub(crate) fn handler(&self) -> &Retired {
        self.handler.as_ref().expect("it is there until it is kept")
    }

    /// The handler, which is the receiver's from here on.
    pub(crate) fn keep(mut self) -> Retired {
        self.handler.take().expect("it is kept once")
    }

    /// Whether it may be a handler of the context that has this memory and this state. Wherever a
    /// handler becomes a registration's, this is what is asked.
    ///
    /// # Errors
    /// [`Error::WrongState`] when it is for another state; [`Error::Foreign`] when it lies in another
    /// context's memory.
    pub(crate) fn fits(&self, pool: &'static Pool, state: AnyState) -> Result<(), Error> {
        if self.state == state.id() {
            // The state is the context's, and so is the memory that the handler was bound in for it.
            return Ok(());
        }
        if self.state != StateId::NONE {
            return Err(Error::WrongState);
        }
        if core::ptr::eq(self.handler().pool(), pool) { Ok(()) } else { Err(Error::Foreign) }
    }
}

impl Drop for Loose {
    fn drop(&mut self) {
        if let Some(handler) = self.handler.take() {
            handler.drop_captured().free();
        }
    }
}

/// A handler that does nothing.
#[repr(C)]
struct Nothing {
    _header: Header,
}

// SAFETY: it is its header.
unsafe impl Handle for Nothing {
    unsafe fn call(&self, _: EventId, _: u32) {}
}

// SAFETY: it reaches nothing.
unsafe impl Stateless for Nothing {}
