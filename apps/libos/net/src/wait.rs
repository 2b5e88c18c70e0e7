//! What waits for a transmit buffer or for a neighbour's address: lists without memory of their
//! own, linked through their members.

use crate::record::Records;
use crate::shared::Shared;
use crate::udp::UdpRecord;
use alloc::boxed::Box;
use core::mem;
use reflex_event::{EventId, Kernel};

/// What waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    Connection(u32),
    Datagrams(u32),
    /// The protocol beside the stack, for a transmit buffer.
    BesideBuffer,
    /// As above, for a neighbour.
    BesideHop,
}

/// The mark of one that waits, and the next.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wait {
    waiting: bool,
    next: Option<Waiter>,
}

/// Those that wait for the same, in order of arrival. None waits for two things.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitList {
    first: Option<Waiter>,
    last: Option<Waiter>,
    length: u32,
}

impl WaitList {
    pub(crate) const EMPTY: Self = Self { first: None, last: None, length: 0 };

    pub(crate) const fn len(&self) -> u32 {
        self.length
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends `waiter`, unless it waits already. True when it was appended.
    fn push(&mut self, all: &mut Waiting<'_>, waiter: Waiter) -> bool {
        let Some((waiting, next)) = all.place(waiter) else { return false };
        if mem::replace(waiting, true) {
            return false;
        }
        *next = None;
        match self.last.replace(waiter).and_then(|last| all.place(last)) {
            Some((_, next)) => *next = Some(waiter),
            None => self.first = Some(waiter),
        }
        self.length += 1;
        true
    }

    fn pop(&mut self, all: &mut Waiting<'_>) -> Option<Waiter> {
        let waiter = self.first?;
        self.length -= 1;
        self.first = all.place(waiter).and_then(|(waiting, next)| {
            *waiting = false;
            next.take()
        });
        if self.first.is_none() {
            self.last = None;
        }
        Some(waiter)
    }
}

/// Where the marks and the links are.
struct Waiting<'a> {
    records: &'a mut Records,
    sockets: &'a mut [Box<UdpRecord>],
    beside: &'a mut [Wait; 2],
}

impl Waiting<'_> {
    fn place(&mut self, waiter: Waiter) -> Option<(&mut bool, &mut Option<Waiter>)> {
        match waiter {
            Waiter::Connection(index) => {
                let record = self.records.get_mut(index)?;
                Some((&mut record.waiting, &mut record.next_waiting))
            }
            Waiter::Datagrams(index) => {
                let socket = self.sockets.get_mut(index as usize)?;
                Some((&mut socket.waiting, &mut socket.next_waiting))
            }
            Waiter::BesideBuffer | Waiter::BesideHop => {
                let wait = &mut self.beside[usize::from(waiter == Waiter::BesideHop)];
                Some((&mut wait.waiting, &mut wait.next))
            }
        }
    }
}

impl<K: Kernel> Shared<K> {
    /// Lets `waiter` wait for a transmit buffer, if it does not wait already.
    pub(crate) fn wait_for_buffer(&mut self, waiter: Waiter) {
        let Self { records, sockets, beside_waits: beside, .. } = self;
        let all = &mut Waiting { records, sockets, beside };
        self.starved.push(all, waiter);
    }

    /// Lets `waiter` wait for a neighbour. True when it is the first to.
    pub(crate) fn wait_for_neighbour(&mut self, waiter: Waiter) -> bool {
        let Self { records, sockets, beside_waits: beside, .. } = self;
        let all = &mut Waiting { records, sockets, beside };
        self.unresolved.push(all, waiter) && self.unresolved.len() == 1
    }

    /// The event that lets the first go on that waits for a transmit buffer; `Some(None)` when that
    /// has none any more. It no longer waits.
    pub(crate) fn next_starved(&mut self) -> Option<Option<EventId>> {
        let Self { records, sockets, beside_waits: beside, .. } = self;
        let all = &mut Waiting { records, sockets, beside };
        let waiter = self.starved.pop(all)?;
        Some(self.going_on(waiter))
    }

    /// As [`next_starved`](Self::next_starved), of those that wait for a neighbour.
    pub(crate) fn next_unresolved(&mut self) -> Option<Option<EventId>> {
        let Self { records, sockets, beside_waits: beside, .. } = self;
        let all = &mut Waiting { records, sockets, beside };
        let waiter = self.unresolved.pop(all)?;
        Some(self.going_on(waiter))
    }

    fn going_on(&self, waiter: Waiter) -> Option<EventId> {
        match waiter {
            Waiter::Connection(index) => self.records.get(index)?.events.map(|it| it.segment),
            Waiter::Datagrams(index) => self.sockets.get(index as usize)?.send_event,
            Waiter::BesideBuffer | Waiter::BesideHop => self.beside_ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::shared::Owner;
    use proptest::prelude::*;
    use reflex_event::{ContextId, Priority};
    use std::collections::VecDeque;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn two_lists_are_queues_in_which_nobody_is_twice(
            steps in prop::collection::vec((0u8..4, 0u32..14), 0..200),
        ) {
            let (mut records, mut sockets) = (Records::new(), Vec::new());
            for group in 0..2 {
                records.add_group(Vec::with_capacity(4));
                for slot in 0..4 {
                    records.push(Record::new(group, slot, Priority::DEFAULT, 1));
                }
            }
            for _ in 0..4 {
                let buffer = Box::leak(Box::new([0; 16]));
                let owner = Owner { context: ContextId::new(0, 0), failures: 0 };
                sockets.push(Box::new(UdpRecord::new(owner, 9, Priority::LOW, 1, buffer)));
            }
            let mut beside = [Wait::default(); 2];
            let all =
                &mut Waiting { records: &mut records, sockets: &mut sockets, beside: &mut beside };
            let mut lists = [WaitList::EMPTY; 2];
            let mut models = [VecDeque::new(), VecDeque::new()];
            for (step, index) in steps {
                let list = usize::from(step & 1);
                let waiter = match index {
                    0..8 => Waiter::Connection(Records::index(index / 4, index % 4)),
                    8..12 => Waiter::Datagrams(index - 8),
                    12 => Waiter::BesideBuffer,
                    _ => Waiter::BesideHop,
                };
                if step < 2 {
                    let waits = models.iter().any(|model| model.contains(&waiter));
                    prop_assert_eq!(lists[list].push(all, waiter), !waits);
                    if !waits {
                        models[list].push_back(waiter);
                    }
                } else {
                    prop_assert_eq!(lists[list].pop(all), models[list].pop_front());
                }
                prop_assert_eq!(lists[list].len() as usize, models[list].len());
                prop_assert_eq!(lists[list].is_empty(), models[list].is_empty());
            }
        }
    }
}
