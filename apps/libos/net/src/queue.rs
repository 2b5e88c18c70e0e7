//! Bounded queues of received frames, linked through one preallocated store.
//!
//! A queue is three numbers, so that every connection can have one; the store bounds them all
//! together. Nothing is allocated when a frame is queued.

use alloc::vec::Vec;
use reflex_driver_api::Frame;

const NONE: u32 = u32::MAX;

struct Node {
    frame: Option<Frame>,
    next: u32,
}

/// Where queued frames wait.
pub(crate) struct FrameStore {
    nodes: Vec<Node>,
    free: u32,
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
        Self { nodes, free: if capacity == 0 { NONE } else { 0 } }
    }

    /// Appends `frame`, or hands it back.
    #[inline]
    pub(crate) fn push(&mut self, queue: &mut Queue, frame: Frame) -> Result<(), (Frame, Full)> {
        if queue.length >= queue.limit {
            return Err((frame, Full::Queue));
        }
        let index = self.free;
        let Some(node) = self.nodes.get_mut(index as usize) else {
            return Err((frame, Full::Store));
        };
        self.free = node.next;
        node.next = NONE;
        node.frame = Some(frame);
        match self.nodes.get_mut(queue.tail as usize) {
            Some(last) => last.next = index,
            None => queue.head = index,
        }
        queue.tail = index;
        queue.length += 1;
        Ok(())
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
        queue.length -= 1;
        if queue.head == NONE {
            queue.tail = NONE;
        }
        frame
    }
}
