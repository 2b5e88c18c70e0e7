//! A queue of outgoing datagrams in one block of bytes.
//!
//! A datagram is written, and read, in pieces, so that the sections in which this is done are short
//! whatever its length: a place is [reserved](DatagramQueue::reserve) for it, [written](DatagramQueue::write), and
//! [completed](DatagramQueue::complete). Datagrams leave in the order of their reservation.

use core::net::{Ipv4Addr, SocketAddrV4};

/// Bytes in front of each datagram: address, port, length. The port is 0 until the datagram is
/// complete.
const HEADER: usize = 8;

/// A place for a datagram, until the queue is cleared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    at: usize,
    epoch: u32,
}

/// The oldest datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: SocketAddrV4,
    /// Bytes of payload.
    pub(crate) length: usize,
    /// Where they are.
    place: usize,
}

/// A ring of datagrams, each in one piece.
pub(crate) struct DatagramQueue<B> {
    bytes: B,
    /// Where the oldest begins.
    head: usize,
    /// Behind the youngest.
    tail: usize,
    /// Where the bytes in use before `head` wraps end, while `tail` has wrapped already.
    wrapped_at: Option<usize>,
    count: usize,
    /// How often it was cleared.
    epoch: u32,
}

impl<B: AsMut<[u8]> + AsRef<[u8]>> DatagramQueue<B> {
    pub(crate) const fn new(bytes: B) -> Self {
        Self { bytes, head: 0, tail: 0, wrapped_at: None, count: 0, epoch: 0 }
    }

    /// Bytes it holds, headers included.
    pub(crate) fn size(&self) -> usize {
        self.bytes.as_ref().len()
    }

    /// Drops everything, places included.
    pub(crate) fn clear(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        (self.head, self.tail, self.wrapped_at, self.count) = (0, 0, None, 0);
    }

    /// Appends a place for `length` bytes. `None` when there is no room.
    pub(crate) fn reserve(&mut self, to: Ipv4Addr, length: usize) -> Option<Place> {
        let needed = HEADER + length;
        let length = u16::try_from(length).ok()?;
        let size = self.bytes.as_ref().len();
        if self.count == 0 {
            (self.head, self.tail, self.wrapped_at) = (0, 0, None);
        }
        let end = if self.wrapped_at.is_some() { self.head } else { size };
        if end - self.tail < needed {
            // Behind the youngest there is no room; perhaps there is before the oldest.
            if self.wrapped_at.is_some() || self.head < needed {
                return None;
            }
            self.wrapped_at = Some(self.tail);
            self.tail = 0;
        }
        let header = self.bytes.as_mut()[self.tail..].first_chunk_mut::<HEADER>()?;
        header[..4].copy_from_slice(&to.octets());
        header[4..6].copy_from_slice(&[0, 0]);
        header[6..].copy_from_slice(&length.to_be_bytes());
        let place = Place { at: self.tail + HEADER, epoch: self.epoch };
        self.tail += needed;
        self.count += 1;
        Some(place)
    }

    /// Writes a piece of what a place was reserved for, `from` so many bytes on.
    pub(crate) fn write(&mut self, place: Place, from: usize, piece: &[u8]) {
        let at = place.at + from;
        if place.epoch == self.epoch
            && let Some(bytes) = self.bytes.as_mut().get_mut(at..at + piece.len())
        {
            bytes.copy_from_slice(piece);
        }
    }

    /// A datagram is complete: it may go, to `port`, which is not 0.
    pub(crate) fn complete(&mut self, place: Place, port: u16) {
        if place.epoch != self.epoch {
            return;
        }
        let header = place.at - HEADER;
        self.bytes.as_mut()[header + 4..header + 6].copy_from_slice(&port.to_be_bytes());
    }

    /// The oldest datagram, if it is complete.
    pub(crate) fn front(&self) -> Option<Outgoing> {
        if self.count == 0 {
            return None;
        }
        let header = self.bytes.as_ref()[self.head..].first_chunk::<HEADER>()?;
        let address = Ipv4Addr::new(header[0], header[1], header[2], header[3]);
        let port = u16::from_be_bytes([header[4], header[5]]);
        let length = usize::from(u16::from_be_bytes([header[6], header[7]]));
        let to = SocketAddrV4::new(address, port);
        (port != 0).then_some(Outgoing { to, length, place: self.head + HEADER })
    }

    /// Reads a piece of the oldest datagram, `from` so many bytes on.
    pub(crate) fn read(&self, datagram: &Outgoing, from: usize, piece: &mut [u8]) {
        let at = datagram.place + from;
        if let Some(bytes) = self.bytes.as_ref().get(at..at + piece.len()) {
            piece.copy_from_slice(bytes);
        }
    }

    /// Drops the oldest datagram, which is complete.
    pub(crate) fn pop(&mut self) {
        let Some(datagram) = self.front() else { return };
        self.head += HEADER + datagram.length;
        self.count -= 1;
        if self.wrapped_at == Some(self.head) {
            self.head = 0;
            self.wrapped_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    proptest! {
        /// Datagrams are reserved by several, completed in any order, and leave in order.
        #[test]
        fn is_a_queue(size in 0usize..200, steps in prop::collection::vec(0usize..180, 0..200)) {
            let mut unsent = DatagramQueue::new(std::vec![0u8; size]);
            // Each with its payload, its place, and whether it is complete.
            let mut model: VecDeque<(u16, Vec<u8>, Place, bool)> = VecDeque::new();
            // A place from before the queue was cleared, which nobody may write to any more.
            let stale = unsent.reserve(Ipv4Addr::LOCALHOST, 1);
            unsent.clear();
            for (number, step) in steps.into_iter().enumerate() {
                if step < 60 {
                    let port = number as u16 + 1;
                    let payload = std::vec![number as u8; step];
                    let used: usize = model.iter().map(|(_, payload, ..)| payload.len() + HEADER).sum();
                    let place = unsent.reserve(Ipv4Addr::from(number as u32), step);
                    prop_assert!(place.is_none() || used + step + HEADER <= size);
                    prop_assert!(place.is_some() || used > 0 || step + HEADER > size, "empty and refused");
                    if let Some(place) = place {
                        for (at, piece) in payload.chunks(7).enumerate() {
                            unsent.write(place, at * 7, piece);
                        }
                        model.push_back((port, payload, place, false));
                    }
                    if let Some(stale) = stale {
                        unsent.write(stale, 0, &[0xee]);
                        unsent.complete(stale, 0xeeee);
                    }
                } else if step < 120 {
                    let incomplete = model.iter_mut().filter(|(.., complete)| !complete);
                    if let Some((port, _, place, complete)) = incomplete.last() {
                        unsent.complete(*place, *port);
                        *complete = true;
                    }
                } else {
                    unsent.pop();
                    model.pop_front_if(|(.., complete)| *complete);
                }
                let front = unsent.front().map(|datagram| {
                    let mut payload = std::vec![0; datagram.length];
                    for (at, piece) in payload.chunks_mut(11).enumerate() {
                        unsent.read(&datagram, at * 11, piece);
                    }
                    (datagram.to, payload)
                });
                let expected = model.front().filter(|(.., complete)| *complete);
                let expected = expected.map(|(port, payload, ..)| {
                    (SocketAddrV4::new(Ipv4Addr::from(u32::from(*port) - 1), *port), payload.clone())
                });
                prop_assert_eq!(front, expected);
            }
        }
    }
}
