//! Failures are told when what the peer is told of them has been sent: an application that ends because of one does
//! not leave its peer without a word.

use core::cell::Cell;
use reflex_event::EventId;

/// Of which a failure may be told: the handlers of a queue pair's two completion queues, and its own.
const HANDLERS: usize = 3;

/// Events of handlers that are to be told of a queue pair's failures.
#[derive(Default)]
pub(crate) struct Withheld(Cell<[Option<EventId>; HANDLERS]>);

impl Withheld {
    /// Keeps the event of one of the handlers, which is the same each time.
    #[cold]
    pub(crate) fn keep(&self, handler: usize, event: EventId) {
        let mut events = self.0.get();
        events[handler] = Some(event);
        self.0.set(events);
    }

    /// Has the handlers told.
    #[inline]
    pub(crate) fn tell(&self, activate: impl FnMut(EventId)) {
        let events = self.0.get();
        if events != [None; HANDLERS] {
            self.0.take();
            events.into_iter().flatten().for_each(activate);
        }
    }
}
