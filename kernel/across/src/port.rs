//! What one core has to do with one other: a ring each way, and what waits for room.

use crate::bell::Doorbell;
use crate::ring::{Consumer, Producer};
use core::fmt;
use reflex_event::Priority;
use reflex_memory::Ring;

/// One core's end of its pair with another. It belongs to that core: its sections keep it from being used twice.
///
/// `WAITING` messages wait, at most, behind a full ring; some of these places are [kept](Self::new) for answers. `O`
/// tells the core that sends a message which owner it is of.
pub struct Port<'m, T, O, const WAITING: usize> {
    own: usize,
    peer: &'m Doorbell,
    producer: Producer<'m, T>,
    consumer: Consumer<'m, T>,
    waiting: Ring<Waits<T, O>, WAITING>,
    /// Places that only answers take.
    kept: usize,
    /// No less urgent than anything that waits.
    urgent: Priority,
    /// A message was refused since [`finish`](Self::finish) last told of room.
    refused: bool,
}

/// A message that waits.
struct Waits<T, O> {
    message: T,
    priority: Priority,
    owner: O,
}

/// A message was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an interrupt that is due is to be sent"]
pub struct Sent {
    /// The peer is to be interrupted, now.
    pub interrupt: bool,
    /// The message waits for room in the ring; [`finish`](Port::finish) names its owner when it has gone.
    pub waits: bool,
}

/// What [`Port::finish`] leaves to its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use = "an interrupt that is due is to be sent"]
pub struct Served {
    /// The peer is to be interrupted, now.
    pub interrupt: bool,
    /// There is more to take: the peer's mark is to be put back.
    pub left: bool,
    /// A message was refused, and would not be any more.
    pub room: bool,
}

/// A message was not taken: as many wait as may. It comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<'m, T, O, const WAITING: usize> Port<'m, T, O, WAITING> {
    /// The end of the core of number `own`, towards the core that has `peer` as its doorbell, with the producer of the
    /// ring to it and the consumer of the ring from it. Of the places for messages that wait, `kept` are for
    /// [answers](Self::answer): as many as the peer has requests on their way.
    pub fn new(
        own: usize,
        peer: &'m Doorbell,
        producer: Producer<'m, T>,
        consumer: Consumer<'m, T>,
        kept: usize,
    ) -> Self {
        let (waiting, urgent) = (Ring::new(), Priority::LOWEST);
        Self { own, peer, producer, consumer, waiting, kept, urgent, refused: false }
    }

    /// Sends a message that is to be taken at this priority, on behalf of `owner`. Messages arrive in the order they
    /// were sent in.
    ///
    /// # Errors
    /// The message, when the ring is full and as many wait already as may.
    #[inline]
    pub fn send(&mut self, message: T, priority: Priority, owner: O) -> Result<Sent, Full<T>> {
        self.put(message, priority, owner, WAITING.saturating_sub(self.kept))
    }

    /// Sends the answer to a request. It may take a place that is kept for answers, so that it is not refused as long as
    /// each is to a request, and of these no more are on their way than places are kept.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn answer(&mut self, message: T, priority: Priority, owner: O) -> Result<Sent, Full<T>> {
        self.put(message, priority, owner, WAITING)
    }

    #[inline]
    fn put(
        &mut self,
        message: T,
        priority: Priority,
        owner: O,
        most: usize,
    ) -> Result<Sent, Full<T>> {
        let message = if self.waiting.is_empty() {
            match self.producer.push(message) {
                Ok(()) => {
                    let interrupt = self.peer.ring(self.own, priority);
                    return Ok(Sent { interrupt, waits: false });
                }
                Err(message) => message,
            }
        } else {
            message
        };
        self.wait(Waits { message, priority, owner }, most)
    }

    /// Has a message wait. The peer makes room as urgently as the message is.
    #[cold]
    fn wait(&mut self, waits: Waits<T, O>, most: usize) -> Result<Sent, Full<T>> {
        let priority = waits.priority;
        let waits = if self.waiting.len() < most { self.waiting.push(waits) } else { Err(waits) };
        let waits = waits.inspect_err(|_| self.refused = true).map_err(|waits| Full(waits.message));
        waits?;
        self.urgent = self.urgent.max(priority);
        self.producer.want_room(self.urgent);
        Ok(Sent { interrupt: self.peer.ring(self.own, priority), waits: true })
    }

    /// Takes the peer's oldest message. A core takes a bounded number of them, and then [finishes](Self::finish).
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        self.consumer.pop()
    }

    /// After the peer has rung and its messages were taken: tells the peer that there is room, if it waits for that, and
    /// sends what waits here, as far as it has room. `sent` is given the owner of each message that waited and now
    /// does not.
    pub fn finish(&mut self, mut sent: impl FnMut(O)) -> Served {
        let mut urgent = self.consumer.room_wanted();
        let waited = !self.waiting.is_empty();
        while !self.producer.is_full() {
            let Some(Waits { message, owner, .. }) = self.waiting.pop() else { break };
            let pushed = self.producer.push(message);
            debug_assert!(pushed.is_ok(), "there was room");
            sent(owner);
        }
        if waited {
            urgent = urgent.max(Some(self.urgent));
        }
        if self.waiting.is_empty() {
            self.urgent = Priority::LOWEST;
        } else {
            self.producer.want_room(self.urgent);
        }
        let interrupt = urgent.is_some_and(|priority| self.peer.ring(self.own, priority));
        let room = self.refused && self.waiting.len() + self.kept < WAITING;
        self.refused &= !room;
        Served { interrupt, left: !self.consumer.is_empty(), room }
    }

    /// How many messages wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as many messages wait for the other core as may")
    }
}

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full")
    }
}

impl<T> core::error::Error for Full<T> {}

impl<T, O, const WAITING: usize> fmt::Debug for Port<'_, T, O, WAITING> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut port = f.debug_struct("Port");
        port.field("own", &self.own).field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
