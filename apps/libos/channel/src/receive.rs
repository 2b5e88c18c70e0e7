//! The receiving end: what its handler does.

use crate::channel::Channel;
use core::cell::Cell;
use reflex_event::{Error, EventId, Kernel};
use reflex_memory::Shared;

/// The receiving end's share of the channel. Dropping it closes the channel.
pub(crate) struct Receiving<K: Kernel, T: Send + 'static> {
    pub(crate) channel: Shared<Channel<K, T>>,
    pub(crate) number: u64,
}

impl<K: Kernel, T: Send + 'static> Receiving<K, T> {
    /// Gives `handler` the message that came first. When more wait, the event is activated again, so that others
    /// of the same priority run in between; unless a limit of the context forbids that.
    pub(crate) fn run(&self, event: EventId, mut handler: impl FnMut(T)) {
        while self.step(event, &mut handler) {}
    }

    /// Gives `handler` a message; true when the next is to be given by this run.
    ///
    /// All but the handler is guarded: no message is lost between queue and handler. When the context is given
    /// up in the handler nobody drops what that has captured, so the cleanup closes the channel.
    fn step(&self, event: EventId, handler: &mut impl FnMut(T)) -> bool {
        let message = Cell::new(None);
        self.channel.kernel.keep(
            || {
                let Some((taken, again)) = self.take(event) else { return Err(false) };
                message.set(Some(taken));
                Ok((self.channel.clone(), self.number, again))
            },
            |_| &[],
            |(channel, number, _), _| channel.close(number),
            |_| message.take().into_iter().for_each(handler),
            |(channel, _, again), ()| {
                channel.end_if_unused();
                again
            },
        )
    }

    /// Takes the message that came first, and tells the senders that wait when there is room. Says also whether
    /// more wait for which the event cannot be activated.
    fn take(&self, event: EventId) -> Option<(T, bool)> {
        let (message, more, waiting) = self.channel.with(|state| {
            let message = state.queue.pop()?;
            state.counters.received += 1;
            let left = state.queue.len();
            let drained = left <= state.queue.capacity() / 2;
            let waiting = drained.then(|| state.waiting.take());
            Some((message, left > 0, waiting))
        })?;
        let activated = if more { self.channel.kernel.activate(event, 1) } else { Ok(()) };
        waiting.into_iter().for_each(|waiting| self.channel.tell(waiting));
        // When it has just been unregistered, what waits is not for it.
        Some((message, activated.is_err_and(|error| error != Error::Stale)))
    }
}

impl<K: Kernel, T: Send + 'static> Drop for Receiving<K, T> {
    fn drop(&mut self) {
        self.channel.close(self.number);
    }
}
