//! Channels between contexts, as events.

use crate::{Context, Error, Registered, System};
use core::marker::PhantomData;
use core::ops::Deref;
use reflex_event::Priority;
use reflex_runtime::Runtime;

pub use reflex_channel::{Counters, Reason, Refused};

/// The sending end of a channel; see [`System::channel`]. Its copies are in no way different from it; any context may
/// have one.
pub struct Sender<T: Send + 'static> {
    inner: reflex_channel::Sender<Runtime, T>,
    kernel: Runtime,
}

impl<T: Send + 'static> Sender<T> {
    /// Has `handler` given each message from now on, in `context`, at the context's priority, those included that
    /// wait already; and tells the senders that do. It ends with this life of the context: the constructor of the next
    /// may attach its own handler.
    ///
    /// While the registration is disabled its messages wait, whatever is to become of occurrences.
    ///
    /// # Errors
    /// [`EventError::Exclusive`](crate::EventError::Exclusive) when the channel has a receiving end; others when
    /// memory, a limit or the context's policy does not allow it.
    pub fn attach<S, F>(&self, context: Context<S>, handler: F) -> Result<Registered, Error>
    where
        S: 'static,
        F: Fn(&mut S, T) + Send + 'static,
    {
        let event = self.inner.attach(context, context.priority, handler)?;
        Ok(Registered::of_queue(self.kernel, event))
    }

    /// A sender to the same channel that is told, by `handler` in `context`, when it makes sense to send again
    /// after a message of it was refused: once, until one is refused again. Copies of it are told as one. It is
    /// told for as long as that registration lasts: with this life of the context, or to
    /// [`never_mind`](reflex_channel::Sender::never_mind).
    ///
    /// # Errors
    /// [`EventError::LimitReached`](crate::EventError::LimitReached) when as many are told as the channel was made
    /// for; others when memory or a table does not allow one registration more.
    pub fn when_room<S, F>(&self, context: Context<S>, handler: F) -> Result<Self, Error>
    where
        S: 'static,
        F: Fn(&mut S) + Send + 'static,
    {
        let inner = self.inner.when_room(context, context.priority, handler)?;
        Ok(Self { inner, kernel: self.kernel })
    }

    /// The registration of the receiving end, for control, if there is one.
    pub fn receiver(&self) -> Option<Registered> {
        self.inner.receiver().map(|event| Registered::of_queue(self.kernel, event))
    }

    /// The registration that is told of [room](Self::when_room), for control, if there is one.
    pub fn waiter(&self) -> Option<Registered> {
        self.inner.waiter().map(|event| Registered::new(self.kernel, event))
    }
}

impl<T: Send + 'static> Deref for Sender<T> {
    type Target = reflex_channel::Sender<Runtime, T>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl<T: Send + 'static> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), kernel: self.kernel }
    }
}

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
    /// ```
    /// # use reflex::{Sender, prelude::*, testing::Simulation};
    /// # type Order = &'static str;
    /// struct Waiter {
    ///     orders: Option<Sender<Order>>,
    ///     pending: Option<Order>,
    /// }
    ///
    /// impl Waiter {
    ///     fn send(&mut self, order: Order) {
    ///         if let Some(orders) = &self.orders
    ///             && let Err(refused) = orders.send(order)
    ///         {
    ///             self.pending = Some(refused.value);
    ///         }
    ///     }
    ///
    ///     fn send_again(&mut self) {
    ///         if let Some(order) = self.pending.take() {
    ///             self.send(order);
    ///         }
    ///     }
    /// }
    /// # #[derive(Default)]
    /// # struct Kitchen(Vec<Order>);
    /// # impl Kitchen {
    /// #     fn cook(&mut self, order: Order) {
    /// #         self.0.push(order);
    /// #     }
    /// # }
    ///
    /// # let mut sim = Simulation::new(|system| {
    /// # let kitchen = system.context("kitchen", Kitchen::default()).priority(Priority::LOW).build()?;
    /// # let waiter = system.context("waiter", Waiter { orders: None, pending: None }).build()?;
    /// let orders = system.channel::<Order>(2).on(kitchen, Kitchen::cook)?;
    /// let orders = orders.when_room(waiter, Waiter::send_again)?;
    /// # system.after(millis(1)).on(waiter, move |waiter, _| {
    /// #     waiter.orders = Some(orders.clone());
    /// #     ["soup", "fish", "cake"].into_iter().for_each(|order| waiter.send(order));
    /// #     assert_eq!(waiter.pending, Some("cake"));
    /// # })?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # sim.advance(millis(2));
    /// # let cooked = sim.state("kitchen", |kitchen: &mut Kitchen| kitchen.0.clone());
    /// # assert_eq!(cooked, ["soup", "fish", "cake"]);
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
        sender.inner.attach(context, priority, handler)?;
        Ok(sender)
    }

    /// Makes the channel in the memory of `home`, without a receiving end: for one that is attached by the
    /// constructor of a context, in each of its lives.
    ///
    /// # Errors
    /// When the context's memory does not allow it.
    pub fn unattached<S>(self, home: Context<S>) -> Result<Sender<T>, Error> {
        let Self { kernel, capacity, waiters, .. } = self;
        Ok(Sender { inner: reflex_channel::Sender::new(&kernel, home, capacity, waiters)?, kernel })
    }
}
