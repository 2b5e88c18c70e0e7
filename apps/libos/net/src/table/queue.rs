//! Bounded queues of received frames, linked through one preallocated store.
//!
//! A queue is three numbers, so that every connection can have one; the store bounds them all
//! together. Nothing is allocated when a frame is queued.

use alloc::vec::Vec;
use reflex_hil::Frame;

const NONE: u32 = u32::MAX;

struct Node {
    frame: Option<Frame>,
    next: u32,
}

/// Where queued frames wait.
pub(crate) struct FrameStore {
    nodes: Vec<Node>,
    free: u32,
    /// How many are free.
    left: u32,
}

/// A first-in first-out queue in a [`FrameStore`].
#[derive(Debug)]
pub(crate) struct Queue {
    head: u32,
    tail: u32,
    length: u16,
    limit: u16,
}

/// Why a frame was not queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// The queue has as many as it may.
    Queue,
    /// The store has no node left.
    Store,
}

impl Queue {
    pub(crate) const fn new(limit: u16) -> Self {
        Self { head: NONE, tail: NONE, length: 0, limit }
    }

    /// Changes how many frames it may have; those it has stay.
    pub(crate) fn set_limit(&mut self, limit: u16) {
        self.limit = limit;
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    #[inline]
    pub(crate) const fn len(&self) -> u16 {
        self.length
    }
}

impl FrameStore {
    /// A store for `capacity` frames.
    pub(crate) fn new(capacity: u32) -> Self {
        let nodes = (1..=capacity)
            .map(|next| Node { frame: None, next: if next == capacity { NONE } else { next } })
            .collect();
        Self { nodes, free: if capacity == 0 { NONE } else { 0 }, left: capacity }
    }

    /// How many more frames can wait.
    pub(crate) const fn left(&self) -> u32 {
        self.left
    }

    /// Whether an owner that has so many frames queued may have one more: each may have as many as are left
    /// then, so that one alone has half of all at most, and however many take what they can get there is as much left
    /// for the next.
    #[inline]
    pub(crate) fn has_room_for(&self, queued: u32) -> bool {
        queued < self.left
    }

    /// Appends the frame, or leaves it where it is. A place without a frame is a mistake.
    #[inline]
    pub(crate) fn push(
        &mut self,
        queue: &mut Queue,
        frame: &mut Option<Frame>,
    ) -> Result<(), Full> {
        if queue.length >= queue.limit {
            return Err(Full::Queue);
        }
        let index = self.free;
        let Some(node) = self.nodes.get_mut(index as usize) else { return Err(Full::Store) };
        self.free = node.next;
        self.left -= 1;
        node.next = NONE;
        debug_assert!(frame.is_some() && node.frame.is_none());
        node.frame = frame.take();
        match self.nodes.get_mut(queue.tail as usize) {
            Some(last) => last.next = index,
            None => queue.head = index,
        }
        queue.tail = index;
        queue.length += 1;
        Ok(())
    }

    /// Moves all frames of `from` behind those of `to`, whatever its limit; they are then to be
    /// taken until there is none, for there may be more than can be counted.
    pub(crate) fn append(&mut self, to: &mut Queue, from: &mut Queue) {
        if from.length == 0 {
            return;
        }
        match self.nodes.get_mut(to.tail as usize) {
            Some(last) => last.next = from.head,
            None => to.head = from.head,
        }
        to.tail = from.tail;
        to.length = to.length.wrapping_add(from.length);
        *from = Queue::new(from.limit);
    }

    /// Takes the oldest frame.
    #[inline]
    pub(crate) fn pop(&mut self, queue: &mut Queue) -> Option<Frame> {
        let index = queue.head;
        let node = self.nodes.get_mut(index as usize)?;
        let frame = node.frame.take();
        queue.head = node.next;
        node.next = self.free;
        self.free = index;
        self.left += 1;
        queue.length = queue.length.wrapping_sub(1);
        if queue.head == NONE {
            queue.tail = NONE;
        }
        frame
    }
}
