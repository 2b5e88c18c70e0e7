//! Posted receives: a queue pair's own, or one shared by many.

use crate::gather::total;
use crate::{Error, MAX_MESSAGE, ReceiveRequest, Segment};
use alloc::boxed::Box;
use alloc::vec;

/// A posted receive: an element of the work queue (WQE).
#[derive(Clone, Copy, Debug, Default)]
struct ReceiveWqe {
    id: u64,
    length: u32,
    segments: u32,
}

/// A ring of receives of fixed size.
///
/// A queue pair has one of its own, unless it is made to take its receives from a shared one,
/// which is then an argument wherever a packet is received.
#[derive(Debug)]
pub struct ReceiveQueue {
    elements: Box<[ReceiveWqe]>,
    /// `width` for each element.
    segments: Box<[Segment]>,
    width: u32,
    capacity: u32,
    head: u32,
    tail: u32,
    /// Fewer than these raise an event, once.
    limit: u32,
}

impl ReceiveQueue {
    /// A queue for `capacity` receives, at most 2^16, of at most `segments` segments each.
    pub fn new(capacity: u32, segments: u32) -> Self {
        let capacity = capacity.min(1 << 16);
        let width = segments.min(1 << 8);
        let ring = capacity.next_power_of_two();
        Self {
            elements: vec![ReceiveWqe::default(); ring as usize].into_boxed_slice(),
            segments: vec![Segment::default(); (ring * width) as usize].into_boxed_slice(),
            width,
            capacity,
            head: 0,
            tail: 0,
            limit: 0,
        }
    }

    /// How many receives it holds.
    #[inline]
    pub fn count(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    /// Raises [`Event::ReceiveLimitReached`](crate::Event::ReceiveLimitReached) once, when a
    /// queue pair takes a receive and fewer than `limit` are left. 0 disarms.
    pub fn arm_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Appends a receive. It takes messages of at most [`MAX_MESSAGE`] bytes, however much longer
    /// it is.
    ///
    /// # Errors
    /// [`Error::QueueFull`], [`Error::TooManySegments`], [`Error::MessageTooLong`].
    #[inline]
    pub fn post(&mut self, request: &ReceiveRequest<'_>) -> Result<(), Error> {
        let count = request.segments.len();
        if count > self.width as usize {
            return Err(Error::TooManySegments);
        }
        if self.count() == self.capacity {
            return Err(Error::QueueFull);
        }
        let length = total(request.segments).ok_or(Error::MessageTooLong)?.min(MAX_MESSAGE);
        let slot = self.slot(self.tail);
        let start = slot * self.width as usize;
        self.segments[start..start + count].copy_from_slice(request.segments);
        self.elements[slot] = ReceiveWqe { id: request.id, length, segments: count as u32 };
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    #[inline]
    fn slot(&self, index: u32) -> usize {
        index as usize & (self.elements.len() - 1)
    }

    /// Moves the oldest receive to `current`. False when there is none.
    #[inline]
    pub(crate) fn take(&mut self, current: &mut CurrentReceive) -> bool {
        if self.head == self.tail {
            return false;
        }
        let slot = self.slot(self.head);
        let ReceiveWqe { id, length, segments } = self.elements[slot];
        let count = segments as usize;
        let Some(to) = current.segments.get_mut(..count) else { return false };
        let start = slot * self.width as usize;
        // Nearly all have one: that is no call of a copying function.
        if count == 1 {
            to[0] = self.segments[start];
        } else {
            to.copy_from_slice(&self.segments[start..start + count]);
        }
        (current.id, current.length, current.count, current.is_taken) =
            (id, length, segments, true);
        self.head = self.head.wrapping_add(1);
        true
    }

    /// Takes the oldest receive off, which nothing will come to.
    pub(crate) fn pop(&mut self) -> Option<u64> {
        if self.head == self.tail {
            return None;
        }
        let id = self.elements[self.slot(self.head)].id;
        self.head = self.head.wrapping_add(1);
        Some(id)
    }

    /// Whether the limit is now reached; it is then disarmed.
    #[inline]
    pub(crate) fn reaches_limit(&mut self) -> bool {
        let reached = self.count() < self.limit;
        if reached {
            self.limit = 0;
        }
        reached
    }
}

/// The receive that the message that is arriving goes to.
#[derive(Debug)]
pub(crate) struct CurrentReceive {
    pub(crate) id: u64,
    pub(crate) length: u32,
    count: u32,
    pub(crate) is_taken: bool,
    segments: Box<[Segment]>,
}

impl CurrentReceive {
    /// Nothing yet, with room for that many segments.
    pub(crate) fn new(width: u32) -> Self {
        let segments = vec![Segment::default(); width as usize].into_boxed_slice();
        Self { id: 0, length: 0, count: 0, is_taken: false, segments }
    }

    #[inline]
    pub(crate) fn segments(&self) -> &[Segment] {
        self.segments.get(..self.count as usize).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::{CurrentReceive, ReceiveQueue};
    use crate::{MAX_MESSAGE, ReceiveRequest, Region, Segment};

    #[test]
    fn a_receive_takes_no_more_than_the_longest_message() {
        let mut queue = ReceiveQueue::new(2, 2);
        let half = |length| Segment { region: Region(0), offset: 0, length };
        for (segments, takes) in [
            ([half(MAX_MESSAGE / 2), half(MAX_MESSAGE / 2)], MAX_MESSAGE),
            ([half(MAX_MESSAGE / 2), half(MAX_MESSAGE)], MAX_MESSAGE),
            ([half(MAX_MESSAGE / 2), half(MAX_MESSAGE / 2 - 1)], MAX_MESSAGE - 1),
        ] {
            queue.post(&ReceiveRequest { id: 1, segments: &segments }).expect("there is room");
            let mut current = CurrentReceive::new(2);
            assert!(queue.take(&mut current));
            assert_eq!(current.length, takes);
        }
    }
}
