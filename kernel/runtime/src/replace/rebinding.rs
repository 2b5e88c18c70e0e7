//! The registrations of a context that is to be replaced: which it has, and their handlers to come.

use crate::cpu::bound::{AnyState, StateCell};
use crate::cpu::loose::Loose;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::section;
use crate::event::retire;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ptr::NonNull;
use reflex_event::{Activation, Context, ContextId, Error, EventId};
use reflex_memory::Pool;

/// Something that registers with a context as it needs to, like an open port with a registration a
/// connection, and takes part in the replacement of that context.
pub trait Service<New: 'static>: Send {
    /// Gives each of its registrations that has none yet a new handler. Called twice or more.
    ///
    /// # Errors
    /// Those of [`Rebinding::bind`].
    fn bind(&mut self, rebinding: &mut Rebinding<New>) -> Result<(), Error>;

    /// From here on it registers with the new context. Called in a section.
    fn hand_over(&mut self, context: Context<New>);
}

/// Registrations, each with its handler to come; without, it is to be ended.
pub(crate) type Named = Vec<(EventId, Option<Loose>)>;

/// The registrations of a context, each with its handler to come.
pub struct Rebinding<New: 'static> {
    context: ContextId,
    pool: &'static Pool,
    /// The state to come.
    state: AnyState,
    /// Sorted by identifier when `sorted` says so. Without a handler they are to be ended.
    named: Named,
    sorted: usize,
    of: PhantomData<fn(&mut New)>,
}

impl<New: 'static> Rebinding<New> {
    /// Without any yet, for a state in a cell of `pool`, which is the context's.
    pub(crate) fn new(
        context: ContextId,
        pool: &'static Pool,
        cell: NonNull<StateCell<New>>,
    ) -> Self {
        let (state, named, of) = (AnyState::new(cell), Vec::new(), PhantomData);
        Self { context, pool, state, named, sorted: 0, of }
    }

    /// The context, as it will be.
    pub fn context(&self) -> Context<New> {
        Context::new(self.context)
    }

    /// Gives a registration `handler`, unless it has been named before, or has ended.
    ///
    /// # Errors
    /// [`Error::Foreign`] when it is another context's; [`Error::NoContext`] when the context has
    /// ended; [`Error::OutOfMemory`] when the context's event memory, or the heap, is exhausted.
    pub fn bind(
        &mut self,
        event: EventId,
        handler: impl Fn(&mut New, Activation) + Send + 'static,
    ) -> Result<(), Error> {
        if self.is_to_be_named(event)? {
            let state = self.state.typed().ok_or(Error::WrongState)?;
            let handler = Loose::bind(state, handler, self.pool);
            self.named.push((event, Some(handler.map_err(|(error, _)| error)?)));
        }
        Ok(())
    }

    /// Names a registration as one to be ended, unless it has been named before, or has ended.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn end(&mut self, event: EventId) -> Result<(), Error> {
        if self.is_to_be_named(event)? {
            self.named.push((event, None));
        }
        Ok(())
    }

    /// Whether a registration is the context's and has not been named: then there is room for it.
    fn is_to_be_named(&mut self, event: EventId) -> Result<bool, Error> {
        if self.names(event) {
            return Ok(false);
        }
        match section(|cs| with_core(cs, |core| core.owns(self.context, event))) {
            Ok(()) => self.named.try_reserve(1).map_err(|_| Error::OutOfMemory).map(|()| true),
            Err(Error::Stale) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The state to come.
    pub(crate) fn state(&self) -> AnyState {
        self.state
    }

    /// What has been named.
    pub(crate) fn take(&mut self) -> Named {
        core::mem::take(&mut self.named)
    }

    /// Whether a registration has been named.
    pub(crate) fn names(&self, event: EventId) -> bool {
        let (sorted, rest) = self.named.split_at(self.sorted);
        sorted.binary_search_by_key(&event.into_word(), |(event, _)| event.into_word()).is_ok()
            || rest.iter().any(|(named, _)| *named == event)
    }

    /// Has those found fast that have been named so far.
    pub(crate) fn sort(&mut self) {
        self.named.sort_unstable_by_key(|(event, _)| event.into_word());
        self.sorted = self.named.len();
    }
}

impl<New: 'static> Drop for Rebinding<New> {
    fn drop(&mut self) {
        for (_, handler) in self.named.drain(..) {
            if let Some(handler) = handler {
                retire::unseen(handler, self.context);
            }
        }
    }
}
