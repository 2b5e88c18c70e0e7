//! Waiting for a transmit buffer, or for a neighbour's address, and going on.

use crate::table::tables::Shared;
use crate::table::wait_list::Waiting;
use crate::table::waiter::Waiter;
use reflex_event::EventId;

impl Shared {
    /// Lets `waiter` wait for a transmit buffer, if it does not wait already.
    pub(crate) fn wait_for_buffer(&mut self, waiter: Waiter) {
        let Self { records, sockets, attached_waits: attached, .. } = self;
        let all = &mut Waiting { records, sockets, attached };
        self.starved.push(all, waiter);
    }

    /// Lets `waiter` wait for a neighbour. True when it is the first to.
    pub(crate) fn wait_for_neighbour(&mut self, waiter: Waiter) -> bool {
        let Self { records, sockets, attached_waits: attached, .. } = self;
        let all = &mut Waiting { records, sockets, attached };
        self.unresolved.push(all, waiter) && self.unresolved.len() == 1
    }

    /// The event that lets the first go on that waits for a transmit buffer; `Some(None)` when that
    /// has none any more. It no longer waits.
    pub(crate) fn next_starved(&mut self) -> Option<Option<EventId>> {
        let Self { records, sockets, attached_waits: attached, .. } = self;
        let all = &mut Waiting { records, sockets, attached };
        let waiter = self.starved.pop(all)?;
        Some(self.going_on(waiter))
    }

    /// As [`next_starved`](Self::next_starved), of those that wait for a neighbour.
    pub(crate) fn next_unresolved(&mut self) -> Option<Option<EventId>> {
        let Self { records, sockets, attached_waits: attached, .. } = self;
        let all = &mut Waiting { records, sockets, attached };
        let waiter = self.unresolved.pop(all)?;
        Some(self.going_on(waiter))
    }

    fn going_on(&self, waiter: Waiter) -> Option<EventId> {
        match waiter {
            Waiter::Connection(index) => self.records.get(index)?.events.map(|it| it.segment),
            Waiter::Datagrams(index) => self.sockets.get(index as usize)?.send_event,
            Waiter::AttachedBuffer | Waiter::AttachedHop => self.attached_ready,
        }
    }
}
