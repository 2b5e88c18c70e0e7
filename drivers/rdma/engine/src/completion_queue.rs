//! A completion queue: a ring of fixed size, and the one notification it can be armed for.

use crate::{Completion, Kind, Status};
use alloc::boxed::Box;
use alloc::vec;
use core::fmt;
use reflex_rdma_wire::Qpn;

/// For which completion a queue is to notify.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Arm {
    /// The next.
    Any,
    /// The next that the sender solicited, or that failed.
    Solicited,
}

/// What a push brings about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use = "an armed queue notifies once"]
pub enum Pushed {
    /// The queue was not armed for it.
    Quiet,
    /// Its owner is to be told, and has to arm it again.
    Notify,
}

/// The queue was full. From now on it is unusable: a completion is lost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the completion queue overflowed")
    }
}

impl core::error::Error for Overflow {}

/// A ring of completions.
///
/// To make [`Overflow`] impossible, let the sizes of all work queues that complete here sum up to
/// no more than its size.
#[derive(Debug)]
pub struct CompletionQueue {
    ring: Box<[Completion]>,
    capacity: u32,
    head: u32,
    tail: u32,
    armed: Option<Arm>,
    overflowed: bool,
}

impl CompletionQueue {
    /// An empty queue for `capacity` completions, at most 2^20.
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity.clamp(1, 1 << 20);
        let empty = Completion::new(0, Qpn::default(), Kind::Send, Status::Flushed);
        let ring = vec![empty; capacity.next_power_of_two() as usize].into_boxed_slice();
        Self { ring, capacity, head: 0, tail: 0, armed: None, overflowed: false }
    }

    /// How many it holds at most.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How many it holds.
    #[inline]
    pub fn count(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    #[inline]
    fn slot(&self, index: u32) -> usize {
        index as usize & (self.ring.len() - 1)
    }

    /// Appends a completion.
    ///
    /// # Errors
    /// [`Overflow`], then and ever after: the queue pairs that complete here have to be stopped.
    #[inline]
    pub fn push(&mut self, completion: Completion) -> Result<Pushed, Overflow> {
        if self.count() == self.capacity {
            self.overflowed = true;
        }
        if self.overflowed {
            return Err(Overflow);
        }
        let slot = self.slot(self.tail);
        self.ring[slot] = completion;
        self.tail = self.tail.wrapping_add(1);
        let notify = match self.armed {
            None => false,
            Some(Arm::Any) => true,
            Some(Arm::Solicited) => completion.solicited || completion.status != Status::Success,
        };
        if notify {
            self.armed = None;
        }
        Ok(if notify { Pushed::Notify } else { Pushed::Quiet })
    }

    /// Takes the oldest completion.
    #[inline]
    pub fn poll(&mut self) -> Option<Completion> {
        if self.head == self.tail {
            return None;
        }
        let completion = self.ring[self.slot(self.head)];
        self.head = self.head.wrapping_add(1);
        Some(completion)
    }

    /// Asks for one notification. True when completions are waiting already, for which there will
    /// be none: poll first.
    #[must_use = "completions may be waiting for which no notification will come"]
    pub fn arm(&mut self, what: Arm) -> bool {
        // Armed for any is more than armed for solicited ones.
        if self.armed != Some(Arm::Any) {
            self.armed = Some(what);
        }
        self.head != self.tail
    }

    /// Whether a completion was lost.
    pub fn is_overflowed(&self) -> bool {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(id: u64, status: Status, solicited: bool) -> Completion {
        let new = Completion::new(id, Qpn::new(7), Kind::Receive, status);
        Completion { solicited, ..new }
    }

    #[test]
    fn is_first_in_first_out_across_the_wrap() {
        let mut queue = CompletionQueue::new(3);
        for id in 0..100 {
            assert_eq!(queue.push(completion(id, Status::Success, false)), Ok(Pushed::Quiet));
            assert_eq!(queue.poll().map(|it| it.id), Some(id));
        }
        assert_eq!(queue.poll(), None);
    }

    #[test]
    fn overflow_is_told_and_stays() {
        let mut queue = CompletionQueue::new(1);
        assert_eq!(queue.push(completion(1, Status::Success, false)), Ok(Pushed::Quiet));
        assert_eq!(queue.push(completion(2, Status::Success, false)), Err(Overflow));
        assert_eq!(queue.poll().map(|it| it.id), Some(1));
        assert_eq!(queue.push(completion(3, Status::Success, false)), Err(Overflow));
        assert!(queue.is_overflowed());
    }

    #[test]
    fn notifies_once_when_armed() {
        let mut queue = CompletionQueue::new(8);
        assert!(!queue.arm(Arm::Any));
        assert_eq!(queue.push(completion(1, Status::Success, false)), Ok(Pushed::Notify));
        assert_eq!(queue.push(completion(2, Status::Success, false)), Ok(Pushed::Quiet));
        assert!(queue.arm(Arm::Any), "two are waiting");
    }

    #[test]
    fn armed_for_solicited_lets_others_pass() {
        let mut queue = CompletionQueue::new(8);
        assert!(!queue.arm(Arm::Solicited));
        assert_eq!(queue.push(completion(1, Status::Success, false)), Ok(Pushed::Quiet));
        assert_eq!(queue.push(completion(2, Status::Success, true)), Ok(Pushed::Notify));
        let _ = queue.arm(Arm::Solicited);
        assert_eq!(queue.push(completion(3, Status::Flushed, false)), Ok(Pushed::Notify));
        let _ = queue.arm(Arm::Any);
        let _ = queue.arm(Arm::Solicited);
        assert_eq!(queue.push(completion(4, Status::Success, false)), Ok(Pushed::Notify));
    }
}
