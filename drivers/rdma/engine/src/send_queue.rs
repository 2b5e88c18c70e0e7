//! Posted sends, from the oldest that is not complete to the newest.
//!
//! ```text
//!   head <= next <= assigned <= tail
//!     |      |         |         `-- the next to be posted
//!     |      |         `------------ the first that has no sequence numbers yet
//!     |      `---------------------- the one to be transmitted next
//!     `----------------------------- the oldest that is not complete
//! ```
//! Going back moves `next` back to `head`. For UC and UD, `head`, `next` and `assigned` are never
//! more than one apart.

use crate::gather::total;
use crate::{
    Attachment, Completion, Destination, Error, Flags, MAX_MESSAGE, Report, Segment, SendRequest,
    Status, Work,
};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use reflex_rdma_wire::{Envelope, Gid, PathMtu, Psn, QKey, Qpn, Transport};

/// A posted send: an element of the work queue (WQE).
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendWqe {
    pub(crate) id: u64,
    pub(crate) work: Work,
    /// Bytes of its segments.
    pub(crate) length: u32,
    /// Its first packet's number, once assigned.
    pub(crate) first: Psn,
    /// Numbers it takes, once assigned: those of its packets, or of the answer's.
    pub(crate) packets: u32,
    segments: u32,
    pub(crate) flags: Flags,
}

impl SendWqe {
    /// The number behind its last.
    #[inline]
    pub(crate) fn end(&self) -> Psn {
        self.first.plus(self.packets)
    }
}

/// A ring of posted sends of fixed size.
#[derive(Debug)]
pub(crate) struct SendQueue {
    elements: Box<[SendWqe]>,
    /// `width` for each element.
    segments: Box<[Segment]>,
    width: u32,
    /// One for each element, for UD; else none.
    destinations: Box<[Destination]>,
    capacity: u32,
    pub(crate) head: u32,
    pub(crate) next: u32,
    pub(crate) assigned: u32,
    pub(crate) tail: u32,
}

impl SendQueue {
    /// Takes the oldest request off the queue, and tells of it where that was asked for.
    #[inline]
    pub(crate) fn finish<R: Report>(
        &mut self,
        number: Qpn,
        report: &mut R,
        status: Status,
        vendor: u8,
    ) {
        let wqe = self.wqe(self.head);
        if status != Status::Success || wqe.flags.contains(Flags::SIGNALLED) {
            let kind = wqe.work.kind();
            report.complete(Completion {
                length: wqe.length,
                vendor_error: vendor,
                ..Completion::new(wqe.id, number, kind, status)
            });
        }
        self.head = self.head.wrapping_add(1);
    }

    pub(crate) fn new(transport: Transport, capacity: u32, segments: u32) -> Self {
        let capacity = capacity.min(1 << 16);
        let width = segments.min(1 << 8);
        let ring = capacity.next_power_of_two();
        let wqe = SendWqe {
            id: 0,
            work: Work::Send(Attachment::None),
            length: 0,
            first: Psn::default(),
            packets: 0,
            segments: 0,
            flags: Flags::NONE,
        };
        let nobody = Destination {
            envelope: Envelope::new(Gid::default(), Gid::default(), 0),
            queue_pair: Qpn::default(),
            key: QKey::default(),
        };
        let destinations = match transport {
            Transport::Datagram => vec![nobody; ring as usize],
            _ => Vec::new(),
        };
        Self {
            elements: vec![wqe; ring as usize].into_boxed_slice(),
            segments: vec![Segment::default(); (ring * width) as usize].into_boxed_slice(),
            width,
            destinations: destinations.into_boxed_slice(),
            capacity,
            head: 0,
            next: 0,
            assigned: 0,
            tail: 0,
        }
    }

    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    #[inline]
    fn slot(&self, index: u32) -> usize {
        index as usize & (self.elements.len() - 1)
    }

    /// The element at `index`, which is from `head` to before `tail`.
    #[inline]
    pub(crate) fn wqe(&self, index: u32) -> &SendWqe {
        &self.elements[self.slot(index)]
    }

    #[inline]
    pub(crate) fn wqe_mut(&mut self, index: u32) -> &mut SendWqe {
        let slot = self.slot(index);
        &mut self.elements[slot]
    }

    #[inline]
    pub(crate) fn segments(&self, index: u32) -> &[Segment] {
        let slot = self.slot(index);
        let start = slot * self.width as usize;
        let count = self.elements[slot].segments as usize;
        self.segments.get(start..start + count).unwrap_or(&[])
    }

    /// Where a datagram goes; `None` for others.
    #[inline]
    pub(crate) fn destination(&self, index: u32) -> Option<&Destination> {
        self.destinations.get(self.slot(index))
    }

    /// Appends a request that `transport` can carry out.
    #[inline]
    pub(crate) fn post(
        &mut self,
        transport: Transport,
        mtu: PathMtu,
        request: &SendRequest<'_>,
    ) -> Result<(), Error> {
        let count = request.segments.len();
        if count > self.width as usize {
            return Err(Error::TooManySegments);
        }
        if self.count() == self.capacity {
            return Err(Error::QueueFull);
        }
        let length = total(request.segments).ok_or(Error::MessageTooLong)?;
        let most = match transport {
            Transport::Datagram => mtu.bytes() as u32,
            _ => MAX_MESSAGE,
        };
        if length > most {
            return Err(Error::MessageTooLong);
        }
        check(transport, &request.work)?;
        if request.work.is_atomic() && length != 8 {
            return Err(Error::AtomicLength);
        }
        let slot = self.slot(self.tail);
        match (self.destinations.get_mut(slot), request.destination) {
            (Some(to), Some(from)) if one_family(&from.envelope) => *to = *from,
            (None, None) => {}
            _ => return Err(Error::Destination),
        }
        let start = slot * self.width as usize;
        if count == 1 {
            self.segments[start] = request.segments[0];
        } else {
            self.segments[start..start + count].copy_from_slice(request.segments);
        }
        self.elements[slot] = SendWqe {
            id: request.id,
            work: request.work,
            length,
            first: Psn::default(),
            packets: 0,
            segments: count as u32,
            flags: request.flags,
        };
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        (self.head, self.next, self.assigned) = (self.tail, self.tail, self.tail);
    }
}

/// Whether an IP packet can have both addresses.
#[inline]
pub(crate) fn one_family(envelope: &Envelope) -> bool {
    envelope.source.ipv4_bytes().is_some() == envelope.destination.ipv4_bytes().is_some()
}

/// Which operations a transport has (IBA volume 1, table of supported operations).
#[inline]
fn check(transport: Transport, work: &Work) -> Result<(), Error> {
    let has = match (transport, work) {
        (Transport::Reliable, _) => true,
        (Transport::Unreliable, Work::Write { .. }) => true,
        (_, Work::Send(attachment)) => !matches!(attachment, Attachment::Invalidate(_)),
        _ => false,
    };
    if has { Ok(()) } else { Err(Error::Unsupported) }
}
