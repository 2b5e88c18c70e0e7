//! What a context's state is made with.

use crate::context::Context;
use reflex_collections::{Keyed, Memory};
use reflex_event::EventSystem as _;
use reflex_memory::Own;
use reflex_runtime::Runtime;

/// What a constructor has to make a state with.
pub struct Setup<'run, S> {
    pub(crate) context: Context<S>,
    pub(crate) own: Own<'run>,
    pub(crate) kernel: Runtime,
}

impl<S> Clone for Setup<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Setup<'_, S> {}

impl<'run, S> Setup<'run, S> {
    /// The context, to register handlers with. They end with this life of it.
    pub fn context(self) -> Context<S> {
        self.context
    }

    /// The right to boxes in the context's event memory that are its own: when it fails they are
    /// all taken back.
    pub fn own(self) -> Own<'run> {
        self.own
    }

    /// The context's event memory, for [collections](crate::collections) of its own. Keys of its maps and sets
    /// are hashed with a key that is drawn here.
    pub fn memory(self) -> Memory {
        let mut key = [0; 16];
        self.kernel.random(&mut key);
        Memory::new(self.own, Keyed::new(key))
    }
}
