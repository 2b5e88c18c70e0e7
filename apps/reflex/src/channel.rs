//! Channels between contexts, as events.

use crate::{Context, Error, System};
use core::marker::PhantomData;
use reflex_event::Priority;
use reflex_runtime::Runtime;

pub use reflex_channel::{Counters, Reason, Refused};

/// The sending end of a channel of `T`.
pub type Sender<T> = reflex_channel::Sender<Runtime, T>;

/// Senders that can be told of room, unless said otherwise.
const WAITERS: usize = 8;

/// A channel about to be made; see [`System::channel`].
#[must_use = "a channel is made by `on` or `unattached`"]
pub struct ChannelBuilder<T> {
    kernel: Runtime,
    capacity: usize,
    waiters: usize,
    priority: Option<Priority>,
    message: PhantomData<fn(T)>,
}

impl System {
    /// A channel for at most `capacity` messages, which lie in the event memory of the context that receives.
    ///
    /// ```ignore
    /// let orders = system.channel::<Order>(64).on(kitchen, Kitchen::cook)?;
    /// let orders = orders.when_room(waiter, waiter.priority(), Waiter::send_again)?;
    /// // In a handler of the waiter's:
    /// if let Err(refused) = self.orders.send(order) {
    ///     self.pending = Some(refused.value);
    /// }
    /// ```
    pub fn channel<T: Send + 'static>(self, capacity: usize) -> ChannelBuilder<T> {
        let kernel = self.kernel();
        ChannelBuilder { kernel, capacity, waiters: WAITERS, priority: None, message: PhantomData }
    }
}

impl<T: Send + 'static> ChannelBuilder<T> {
    /// The priority of the handler's runs; the context's unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// How many senders can be told that there is [room](Sender::when_room); 8 unless said here, 64 at most.
    pub fn waiters(self, most: usize) -> Self {
        Self { waiters: most, ..self }
    }

    /// Makes the channel, and has `handler` given each message in `context`.
    ///
    /// # Errors
    /// When the context's memory, a limit or its policy does not allow it.
    pub fn on<S, F>(self, context: Context<S>, handler: F) -> Result<Sender<T>, Error>
    where
        S: 'static,
        F: Fn(&mut S, T) + Send + 'static,
    {
        let priority = self.priority.unwrap_or(context.priority);
        let sender = self.unattached(context)?;
        sender.attach(context, priority, handler)?;
        Ok(sender)
    }

    /// Makes the channel in the memory of `home`, without a receiving end: for one that is attached by the
    /// constructor of a context, in each of its lives.
    ///
    /// # Errors
    /// When the context's memory does not allow it.
    pub fn unattached<S>(self, home: Context<S>) -> Result<Sender<T>, Error> {
        Ok(Sender::new(&self.kernel, home, self.capacity, self.waiters)?)
    }
}
