//! A queue of outgoing datagrams in one block of bytes.

use core::net::{Ipv4Addr, SocketAddrV4};

/// Bytes in front of each datagram: address, port, length.
const HEADER: usize = 8;

/// A ring of datagrams, each in one piece.
pub(crate) struct Outbox<B> {
    bytes: B,
    /// Where the oldest begins.
    head: usize,
    /// Behind the youngest.
    tail: usize,
    /// Where the bytes in use before `head` wraps end, while `tail` has wrapped already.
    wrapped_at: Option<usize>,
    count: usize,
}

impl<B: AsMut<[u8]> + AsRef<[u8]>> Outbox<B> {
    pub(crate) const fn new(bytes: B) -> Self {
        Self { bytes, head: 0, tail: 0, wrapped_at: None, count: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes it holds, headers included.
    pub(crate) fn size(&self) -> usize {
        self.bytes.as_ref().len()
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        (self.head, self.tail, self.wrapped_at, self.count) = (0, 0, None, 0);
    }

    /// Appends a datagram. False when it does not fit.
    pub(crate) fn push(&mut self, to: SocketAddrV4, payload: &[u8]) -> bool {
        let needed = HEADER + payload.len();
        let Ok(length) = u16::try_from(payload.len()) else { return false };
        let size = self.bytes.as_ref().len();
        if self.count == 0 {
            (self.head, self.tail, self.wrapped_at) = (0, 0, None);
        }
        let end = if self.wrapped_at.is_some() { self.head } else { size };
        if end - self.tail < needed {
            // Behind the youngest there is no room; perhaps there is before the oldest.
            if self.wrapped_at.is_some() || self.head < needed {
                return false;
            }
            self.wrapped_at = Some(self.tail);
            self.tail = 0;
        }
        let place = &mut self.bytes.as_mut()[self.tail..self.tail + needed];
        place[..4].copy_from_slice(&to.ip().octets());
        place[4..6].copy_from_slice(&to.port().to_be_bytes());
        place[6..8].copy_from_slice(&length.to_be_bytes());
        place[HEADER..].copy_from_slice(payload);
        self.tail += needed;
        self.count += 1;
        true
    }

    /// The oldest datagram.
    pub(crate) fn front(&self) -> Option<(SocketAddrV4, &[u8])> {
        if self.count == 0 {
            return None;
        }
        let (header, rest) = self.bytes.as_ref()[self.head..].split_first_chunk::<HEADER>()?;
        let address = Ipv4Addr::new(header[0], header[1], header[2], header[3]);
        let port = u16::from_be_bytes([header[4], header[5]]);
        let length = usize::from(u16::from_be_bytes([header[6], header[7]]));
        Some((SocketAddrV4::new(address, port), &rest[..length]))
    }

    /// Drops the oldest datagram.
    pub(crate) fn pop(&mut self) {
        let Some((_, payload)) = self.front() else { return };
        self.head += HEADER + payload.len();
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
        #[test]
        fn is_a_queue(size in 0usize..200, steps in prop::collection::vec(0usize..120, 0..200)) {
            let mut outbox = Outbox::new(std::vec![0u8; size]);
            let mut model: VecDeque<(SocketAddrV4, Vec<u8>)> = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                if step < 60 {
                    let to = SocketAddrV4::new(Ipv4Addr::from(number as u32), step as u16);
                    let payload = std::vec![number as u8; step];
                    let used: usize = model.iter().map(|(_, payload)| payload.len() + HEADER).sum();
                    let pushed = outbox.push(to, &payload);
                    prop_assert!(!pushed || used + step + HEADER <= size);
                    prop_assert!(pushed || used > 0 || step + HEADER > size, "empty and refused");
                    if pushed {
                        model.push_back((to, payload));
                    }
                } else {
                    outbox.pop();
                    model.pop_front();
                }
                let front = outbox.front().map(|(to, payload)| (to, payload.to_vec()));
                prop_assert_eq!(front, model.front().cloned());
                prop_assert_eq!(outbox.is_empty(), model.is_empty());
            }
        }
    }
}
