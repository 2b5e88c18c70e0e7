//! What the two ends of a channel share.

use crate::queue::Queue;
use crate::waiting::{Told, Waiting};
use reflex_event::{Ceiling, EventId, Kernel, Owner};

/// What a channel has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Messages that were taken.
    pub sent: u64,
    /// Messages that a handler was given.
    pub received: u64,
    /// Messages that were refused since the channel was full.
    pub full: u64,
    /// Messages that were refused since there was no receiving end.
    pub closed: u64,
    /// Messages that were refused by the kernel.
    pub refused: u64,
    /// Messages that a sender has taken back.
    pub taken_back: u64,
}

/// A channel, in the event memory of the context that it was made for.
pub(crate) struct Channel<K: Kernel, T: Send + 'static> {
    pub(crate) kernel: K,
    state: Ceiling<State<T>>,
}

pub(crate) struct State<T: 'static> {
    pub(crate) queue: Queue<T>,
    pub(crate) receiver: Option<Receiver>,
    /// Receiving ends there have been.
    pub(crate) attached: u64,
    pub(crate) senders: usize,
    pub(crate) waiting: Waiting,
    pub(crate) counters: Counters,
}

/// The receiving end.
#[derive(Clone, Copy)]
pub(crate) struct Receiver {
    pub(crate) event: EventId,
    pub(crate) owner: Owner,
    /// Which of all that there have been.
    pub(crate) number: u64,
}

impl<K: Kernel, T: Send + 'static> Channel<K, T> {
    pub(crate) fn new(kernel: K, queue: Queue<T>, waiting: Waiting) -> Self {
        let state = State {
            queue,
            receiver: None,
            attached: 0,
            senders: 1,
            waiting,
            counters: Counters::default(),
        };
        Self { kernel, state: Ceiling::new(state) }
    }

    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State<T>) -> R) -> R {
        self.state.with(&self.kernel, work)
    }

    /// The receiving end of this number has come to its end. The senders that wait are told, since they would
    /// wait for nothing.
    pub(crate) fn close(&self, number: u64) {
        let waiting = self.with(|state| {
            state.receiver.take_if(|receiver| receiver.number == number)?;
            Some(state.waiting.take())
        });
        waiting.into_iter().for_each(|waiting| self.tell(waiting));
    }

    /// Tells senders: a section each, so that the highest of them runs first.
    pub(crate) fn tell(&self, mut told: Told) {
        while !told.is_empty() {
            if let Some(event) = self.with(|state| state.waiting.next(&mut told)) {
                // A sender that has ended meanwhile is none to be told.
                let _ = self.kernel.activate(event, 1);
            }
        }
    }

    /// Unregisters the receiving end when there is nothing that it could be given any more.
    pub(crate) fn end_if_unused(&self) {
        let unused = self.with(|state| {
            let unused = state.senders == 0 && state.queue.len() == 0;
            state.receiver.filter(|_| unused)
        });
        if let Some(receiver) = unused {
            // It may have been unregistered already.
            let _ = self.kernel.unregister(receiver.event);
        }
    }
}
