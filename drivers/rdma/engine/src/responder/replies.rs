//! Replies that are due, in the order of the requests they answer.
//!
//! They wait here while no buffer is free, so that there can never be too many of them: an
//! acknowledge takes the place of the one before it, which is all the coalescing there is to do,
//! and the answers to reads and atomics are as many as there are resources.

use alloc::boxed::Box;
use alloc::vec;
use reflex_rdma_wire::{Aeth, Nak, Psn, Syndrome};

/// A reply that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    Acknowledge {
        psn: Psn,
        aeth: Aeth,
    },
    /// The answer that a resource keeps.
    Answer {
        resource: u8,
        msn: u32,
    },
}

#[derive(Debug)]
pub(super) struct Replies {
    ring: Box<[Reply]>,
    head: u32,
    tail: u32,
}

impl Replies {
    /// Room for the answers of that many resources and the acknowledges between them.
    pub(super) fn new(resources: u8) -> Self {
        let capacity = (2 * u32::from(resources) + 2).next_power_of_two();
        let empty = Reply::Answer { resource: 0, msn: 0 };
        Self { ring: vec![empty; capacity as usize].into_boxed_slice(), head: 0, tail: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    #[inline]
    fn slot(&self, index: u32) -> usize {
        index as usize & (self.ring.len() - 1)
    }

    /// The one to be emitted next.
    #[inline]
    pub(super) fn front(&self) -> Option<Reply> {
        (!self.is_empty()).then(|| self.ring[self.slot(self.head)])
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        if !self.is_empty() {
            self.head = self.head.wrapping_add(1);
        }
    }

    pub(super) fn clear(&mut self) {
        self.head = self.tail;
    }

    /// Appends an answer. Each resource is in here at most once, so that there is room.
    #[inline]
    pub(super) fn answer(&mut self, resource: u8, msn: u32) {
        self.append(Reply::Answer { resource, msn });
    }

    /// Appends an acknowledge, or lets it take the place of the last.
    #[inline]
    pub(super) fn acknowledge(&mut self, psn: Psn, aeth: Aeth) {
        let reply = Reply::Acknowledge { psn, aeth };
        if !self.is_empty() {
            let last = self.slot(self.tail.wrapping_sub(1));
            if let Reply::Acknowledge { psn: was, aeth: before } = self.ring[last] {
                if takes_place(psn, aeth.syndrome, was, before.syndrome) {
                    self.ring[last] = reply;
                }
                return;
            }
        }
        self.append(reply);
    }

    /// Takes the answer of a resource out, so that the resource can be used for another.
    /// Acknowledges that come to lie side by side coalesce.
    #[cold]
    pub(super) fn remove(&mut self, resource: u8) {
        let (from, to) = (self.head, self.tail);
        self.tail = from;
        // What is kept never overtakes what is still to be looked at.
        for offset in 0..to.wrapping_sub(from) {
            match self.ring[self.slot(from.wrapping_add(offset))] {
                Reply::Answer { resource: other, .. } if other == resource => {}
                Reply::Acknowledge { psn, aeth } => self.acknowledge(psn, aeth),
                answer @ Reply::Answer { .. } => self.append(answer),
            }
        }
    }

    #[inline]
    fn append(&mut self, reply: Reply) {
        if self.tail.wrapping_sub(self.head) < self.ring.len() as u32 {
            let slot = self.slot(self.tail);
            self.ring[slot] = reply;
            self.tail = self.tail.wrapping_add(1);
        }
    }
}

/// Whether an acknowledge says all that the one before it did. If not, the one before says all of
/// it: a refusal acknowledges what is before it.
#[inline]
fn takes_place(psn: Psn, syndrome: Syndrome, was: Psn, before: Syndrome) -> bool {
    match (before, syndrome) {
        (_, Syndrome::Ack(_)) => !psn.is_before(was),
        // Having to wait is news even when the number is known; that a packet is missing is not
        // when the peer is to wait for another reason.
        (Syndrome::ReceiverNotReady(_), Syndrome::Nak(Nak::SequenceError)) => psn != was,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reflex_rdma_wire::{Credits, RnrTimer};

    const ACK: Syndrome = Syndrome::Ack(Credits::UNLIMITED);
    const GAP: Syndrome = Syndrome::Nak(Nak::SequenceError);

    fn replies(given: &[(u32, Syndrome)]) -> std::vec::Vec<(u32, Syndrome)> {
        let mut replies = Replies::new(1);
        for &(psn, syndrome) in given {
            replies.acknowledge(Psn::new(psn), Aeth { syndrome, msn: 0 });
        }
        std::iter::from_fn(|| {
            let Reply::Acknowledge { psn, aeth } = replies.front()? else { panic!("an answer") };
            replies.pop();
            Some((psn.get(), aeth.syndrome))
        })
        .collect()
    }

    #[test]
    fn acknowledges_coalesce() {
        assert_eq!(replies(&[(5, ACK), (6, ACK), (7, ACK)]), [(7, ACK)]);
        assert_eq!(replies(&[(7, ACK), (5, ACK)]), [(7, ACK)], "of a duplicate");
    }

    #[test]
    fn a_refusal_says_what_the_acknowledge_before_it_did() {
        let wait = Syndrome::ReceiverNotReady(RnrTimer::from_code(3));
        assert_eq!(replies(&[(5, ACK), (6, GAP)]), [(6, GAP)]);
        assert_eq!(replies(&[(6, GAP), (5, ACK)]), [(6, GAP)], "of a duplicate");
        assert_eq!(replies(&[(6, GAP), (6, ACK)]), [(6, ACK)], "the gap is closed");
        assert_eq!(replies(&[(6, wait), (6, GAP)]), [(6, wait)], "to wait is all that matters");
        assert_eq!(replies(&[(6, GAP), (6, wait)]), [(6, wait)]);
    }

    #[test]
    fn what_is_beside_a_removed_answer_coalesces() {
        let mut replies = Replies::new(2);
        let aeth = Aeth { syndrome: ACK, msn: 0 };
        for round in 0..100 {
            replies.acknowledge(Psn::new(3 * round), aeth);
            replies.answer(0, round);
            replies.acknowledge(Psn::new(3 * round + 1), aeth);
            replies.remove(0);
        }
        let psn = Psn::new(298);
        assert_eq!(replies.front(), Some(Reply::Acknowledge { psn, aeth }));
        replies.pop();
        assert!(replies.is_empty());
    }

    #[test]
    fn answers_keep_their_place() {
        let mut replies = Replies::new(2);
        let aeth = Aeth { syndrome: ACK, msn: 0 };
        for resource in 0..2 {
            replies.acknowledge(Psn::new(1), aeth);
            replies.answer(resource, 0);
        }
        replies.acknowledge(Psn::new(2), aeth);
        for resource in 0..2 {
            assert_eq!(replies.front(), Some(Reply::Acknowledge { psn: Psn::new(1), aeth }));
            replies.pop();
            assert_eq!(replies.front(), Some(Reply::Answer { resource, msn: 0 }));
            replies.pop();
        }
        assert_eq!(replies.front(), Some(Reply::Acknowledge { psn: Psn::new(2), aeth }));
        replies.pop();
        assert!(replies.is_empty());
    }
}
