//! What waits for a transmit buffer or for a neighbour's address: lists without memory of their
//! own, linked through their members.

use crate::table::records::Records;
use crate::table::socket_record::UdpRecord;
use crate::table::waiter::{Wait, Waiter};
use alloc::boxed::Box;
use core::mem;

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
    pub(crate) fn push(&mut self, all: &mut Waiting<'_>, waiter: Waiter) -> bool {
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

    pub(crate) fn pop(&mut self, all: &mut Waiting<'_>) -> Option<Waiter> {
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
pub(crate) struct Waiting<'a> {
    pub(crate) records: &'a mut Records,
    pub(crate) sockets: &'a mut [Box<UdpRecord>],
    pub(crate) attached: &'a mut [Wait; 2],
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
            Waiter::AttachedBuffer | Waiter::AttachedHop => {
                let wait = &mut self.attached[usize::from(waiter == Waiter::AttachedHop)];
                Some((&mut wait.waiting, &mut wait.next))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::connection_record::Record;
    use proptest::prelude::*;
    use reflex_event::{ContextId, Owner, Priority};
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
            let mut attached = [Wait::default(); 2];
            let all =
                &mut Waiting { records: &mut records, sockets: &mut sockets, attached: &mut attached };
            let mut lists = [WaitList::EMPTY; 2];
            let mut models = [VecDeque::new(), VecDeque::new()];
            for (step, index) in steps {
                let list = usize::from(step & 1);
                let waiter = match index {
                    0..8 => Waiter::Connection(Records::index(index / 4, index % 4)),
                    8..12 => Waiter::Datagrams(index - 8),
                    12 => Waiter::AttachedBuffer,
                    _ => Waiter::AttachedHop,
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
