//! Handlers that are their owners' alone: not registered yet, or not any more.

use super::deferral::Section;
use super::handler::{Handle, Handler, Header};
use super::home::Reuse;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use reflex_memory::{Lent, Pool};

/// A handler that is its owner's alone: it is not registered and does not run. One that is not dropped
/// explicitly keeps its memory.
pub(crate) struct Retired(Husk);

/// What is left of a handler when what it has captured is gone: its memory, and perhaps what is kept
/// beside it.
pub(crate) struct Husk {
    handler: Handler,
    pool: &'static Pool,
}

impl Retired {
    /// One that is new.
    pub(crate) fn new<T: Handle>(handler: Lent<T>) -> Self {
        let (handler, pool) = handler.into_raw();
        Self(Husk { handler: Handler(handler.cast()), pool })
    }

    /// One that the core has given back, or that has outlived its owner.
    ///
    /// # Safety
    /// Nobody else uses the handler any more, which is not registered and has captures that have neither
    /// been dropped nor forgotten; it lies in `pool`.
    pub(crate) unsafe fn take_over(handler: Handler, pool: &'static Pool) -> Self {
        Self(Husk { handler, pool })
    }

    /// Drops what it has captured, which is application's code.
    pub(crate) fn drop_captured(self) -> Husk {
        if let Some(drop) = self.header().kind.drop {
            // SAFETY: it is this one's alone, which is given up here: nobody uses what is dropped.
            unsafe { drop(self.0.handler.0) }
        }
        self.0
    }

    /// Forgets what it has captured, which may be half changed.
    pub(crate) fn forget(self) -> Husk {
        if let Some(forget) = self.header().kind.forget {
            // SAFETY: it is live.
            unsafe { forget(self.0.handler.0) }
        }
        self.0
    }
}

impl Deref for Retired {
    type Target = Husk;

    fn deref(&self) -> &Husk {
        &self.0
    }
}

impl Husk {
    /// What is left of a handler when the context that was dropping it has come to an end.
    ///
    /// # Safety
    /// Nobody else uses the handler any more, which is not registered; it lies in `pool`.
    pub(crate) unsafe fn take_over(handler: Handler, pool: &'static Pool) -> Self {
        Self { handler, pool }
    }

    /// Its name.
    pub(crate) fn handler(&self) -> Handler {
        self.handler
    }

    /// The memory it lies in.
    pub(crate) fn pool(&self) -> &'static Pool {
        self.pool
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: its memory is this one's; a header has nothing to drop, and stays.
        unsafe { self.handler.0.as_ref() }
    }

    /// Whether there is a filter beside it.
    pub(crate) fn has_filter(&self) -> bool {
        self.header().has_filter()
    }

    /// Frees what is kept beside the handler, if there is no filter in it.
    pub(crate) fn free_extras(&self, _: &Section) {
        if !self.has_filter()
            && let Some(attributes) = self.header().attributes.take()
        {
            // SAFETY: they were given up by `into_raw` when they were given; they are taken out above.
            drop(unsafe { Lent::from_raw(attributes, self.pool) });
        }
    }

    /// Frees the memory of what was forgotten, if it may be used again.
    pub(crate) fn leave(self, reuse: Reuse) {
        if reuse.is_at_once() {
            self.free();
        }
    }

    /// Frees the memory.
    pub(crate) fn free(self) {
        let block = self.handler.0.cast::<ManuallyDrop<Header>>();
        // SAFETY: the handler was bound in a block of the pool that was given up by `into_raw`, and is
        // given up here; nothing of it is dropped.
        drop(unsafe { Lent::from_raw(block, self.pool) });
    }
}
