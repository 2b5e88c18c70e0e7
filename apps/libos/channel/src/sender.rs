//! The sending end.

use crate::channel::{Channel, Counters, Receiver};
use crate::queue::Queue;
use crate::receive::Receiving;
use crate::refused::{Reason, Refused};
use crate::waiting::{Ticket, Waiting};
use core::fmt;
use reflex_event::{Accumulation, Context, Error, EventId, Kernel, Owner, Priority, Registration};
use reflex_memory::Shared;

/// The sending end of a channel. Its copies are in no way different from it; any context may have one.
pub struct Sender<K: Kernel, T: Send + 'static> {
    channel: Shared<Channel<K, T>>,
    /// What is told when there is room, if anything is.
    ticket: Option<Ticket>,
}

impl<K: Kernel, T: Send + 'static> Sender<K, T> {
    /// Makes a channel for `capacity` messages, 1 at least, in the event memory of `home`, of which up to
    /// `waiters` senders can be [told](Self::when_room), 64 at most. It has no receiving end yet: see
    /// [`attach`](Self::attach).
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::OutOfMemory`].
    pub fn new<S>(
        kernel: &K,
        home: impl Into<Context<S>>,
        capacity: usize,
        waiters: usize,
    ) -> Result<Self, Error> {
        let pool = kernel.pool(home.into())?;
        let queue = Queue::new(pool, capacity.max(1)).map_err(|_| Error::OutOfMemory)?;
        let waiting = Waiting::new(pool, waiters).map_err(|_| Error::OutOfMemory)?;
        let channel = Shared::new(pool, Channel::new(kernel.clone(), queue, waiting));
        Ok(Self { channel: channel.map_err(|_| Error::OutOfMemory)?, ticket: None })
    }

    /// Has `handler` given each message from now on, in `context`, at `priority`, those included that wait
    /// already; and tells the senders that do. Returns the registration, for control. It ends with this life of
    /// the context: the constructor of the next may attach its own handler.
    ///
    /// While the registration is disabled its messages wait, whatever is to become of occurrences.
    ///
    /// # Errors
    /// [`Error::Exclusive`] when the channel has a receiving end; those of
    /// [`register`](reflex_event::EventSystem::register).
    pub fn attach<S: 'static, F>(
        &self,
        context: impl Into<Context<S>>,
        priority: Priority,
        handler: F,
    ) -> Result<EventId, Error>
    where
        F: Fn(&mut S, T) + Send + 'static,
    {
        let (channel, context) = (&*self.channel, context.into());
        let kernel = &channel.kernel;
        kernel.permit(context.id(), "channel")?;
        let owner = Owner::of(kernel, context.id())?;
        let number = self.reserve()?;
        let receiving = Receiving { channel: self.channel.clone(), number };
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let event = kernel.register(context, registration, move |state: &mut S, activation| {
            receiving.run(activation.event, |message| handler(state, message));
        })?;
        let attached = channel.with(|state| {
            if state.receiver.is_some() {
                return Err(Error::Exclusive);
            }
            state.receiver = Some(Receiver { event, owner, number });
            Ok((state.waiting.take(), state.queue.len()))
        });
        let (waiting, queued) = attached.inspect_err(|_| {
            // Another context came in between.
            let _ = kernel.unregister(event);
        })?;
        if queued > 0 {
            kernel.activate(event, 1)?;
        }
        channel.tell(waiting);
        Ok(event)
    }

    /// The number of a receiving end to come.
    fn reserve(&self) -> Result<u64, Error> {
        let channel = &*self.channel;
        channel.with(|state| {
            if state.receiver.is_some_and(|there| there.owner.is_alive(&channel.kernel)) {
                return Err(Error::Exclusive);
            }
            state.receiver = None;
            state.attached += 1;
            Ok(state.attached)
        })
    }

    /// A sender to the same channel that is told, by `handler` in `context`, when it makes sense to send again
    /// after a message of it was refused: once, until one is refused again. Copies of it are told as one. It is
    /// told for as long as that registration lasts: with this life of the context, or to
    /// [`never_mind`](Self::never_mind).
    ///
    /// # Errors
    /// [`Error::LimitReached`] when as many are told as the channel was made for; those of
    /// [`register`](reflex_event::EventSystem::register).
    pub fn when_room<S: 'static, F>(
        &self,
        context: impl Into<Context<S>>,
        priority: Priority,
        handler: F,
    ) -> Result<Self, Error>
    where
        F: Fn(&mut S) + Send + 'static,
    {
        let (kernel, context) = (&self.channel.kernel, context.into());
        let owner = Owner::of(kernel, context.id())?;
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let event = kernel.register(context, registration, move |state, _| handler(state))?;
        let ticket = self.channel.with(|state| state.waiting.join(kernel, event, owner));
        let ticket = ticket.inspect_err(|_| {
            // It was registered just now, so that cannot be refused.
            let _ = kernel.unregister(event);
        })?;
        let mut sender = self.clone();
        sender.ticket = Some(ticket);
        Ok(sender)
    }

    /// From now on neither this sender nor its copies are told of room.
    pub fn never_mind(&self) {
        if let Some(ticket) = self.ticket {
            self.channel.with(|state| state.waiting.leave(ticket.event));
            // It may have been unregistered already.
            let _ = self.channel.kernel.unregister(ticket.event);
        }
    }

    /// Sends a message. When it is taken it is given to a handler of the receiving end, once and in turn; it is
    /// so before this returns if that one has a higher priority than the caller.
    ///
    /// # Errors
    /// The message, and why it was not taken.
    pub fn send(&self, message: T) -> Result<(), Refused<T>> {
        let kernel = &self.channel.kernel;
        // One section: nothing of this core comes between the queue and the activation.
        kernel.section(|| {
            let (receiver, position) = self.push(message)?;
            let activated = kernel.activate(receiver.event, 1);
            activated.or_else(|error| self.withdraw(receiver, position, error))
        })
    }

    /// Returns also the message's position in the queue.
    fn push(&self, message: T) -> Result<(Receiver, u64), Refused<T>> {
        let channel = &*self.channel;
        channel.with(|state| {
            let (reason, value) = match state.receiver {
                None => {
                    state.counters.closed += 1;
                    (Reason::Closed, message)
                }
                Some(receiver) => match state.queue.push(message) {
                    Ok(position) => {
                        state.counters.sent += 1;
                        return Ok((receiver, position));
                    }
                    Err(message) => {
                        state.counters.full += 1;
                        (Reason::Full, message)
                    }
                },
            };
            if let Some(ticket) = self.ticket {
                state.waiting.add(ticket);
            }
            Err(Refused { reason, value })
        })
    }

    /// The receiving end cannot be activated: takes back the message that was sent just now, at this position. Another core may
    /// have sent one behind it since, or taken it, for an earlier activation: then it has arrived.
    #[cold]
    fn withdraw(&self, receiver: Receiver, position: u64, error: Error) -> Result<(), Refused<T>> {
        let value = self.channel.with(|state| {
            let value = state.queue.withdraw(position)?;
            state.counters.sent -= 1;
            let counter = match error {
                Error::Stale => &mut state.counters.closed,
                _ => &mut state.counters.refused,
            };
            *counter += 1;
            Some(value)
        });
        let reason = if error == Error::Stale {
            self.channel.close(receiver.number);
            Reason::Closed
        } else {
            Reason::Kernel(error)
        };
        value.map_or(Ok(()), |value| Err(Refused { reason, value }))
    }

    /// Takes a message back that was sent and that no handler will be given unless another receiving end is
    /// attached: the first; none while there is a receiving end.
    pub fn take_back(&self) -> Option<T> {
        let channel = &*self.channel;
        channel.with(|state| {
            if state.receiver.is_some_and(|there| there.owner.is_alive(&channel.kernel)) {
                return None;
            }
            let message = state.queue.pop();
            state.counters.taken_back += u64::from(message.is_some());
            message
        })
    }

    /// The receiving end's registration, for control, if there is one.
    pub fn receiver(&self) -> Option<EventId> {
        self.channel.with(|state| state.receiver.map(|receiver| receiver.event))
    }

    /// The registration that is told of room, for control, if there is one.
    pub fn waiter(&self) -> Option<EventId> {
        self.ticket.map(|ticket| ticket.event)
    }

    /// Messages that wait.
    pub fn queued(&self) -> usize {
        self.channel.with(|state| state.queue.len())
    }

    /// Messages that can wait at most.
    pub fn capacity(&self) -> usize {
        self.channel.with(|state| state.queue.capacity())
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.channel.with(|state| state.counters)
    }
}

impl<K: Kernel, T: Send + 'static> Clone for Sender<K, T> {
    fn clone(&self) -> Self {
        self.channel.with(|state| state.senders += 1);
        Self { channel: self.channel.clone(), ticket: self.ticket }
    }
}

impl<K: Kernel, T: Send + 'static> Drop for Sender<K, T> {
    fn drop(&mut self) {
        self.channel.with(|state| state.senders -= 1);
        self.channel.end_if_unused();
    }
}

impl<K: Kernel, T: Send + 'static> fmt::Debug for Sender<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({} of {})", self.queued(), self.capacity())
    }
}
