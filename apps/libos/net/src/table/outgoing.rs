//! What an application has written and its connection's socket had no room for: a ring of bytes.
//!
//! Bytes are put in, and taken out, in pieces, so that the sections in which this is done are short whatever
//! there is to write: a place is [reserved](Outgoing::reserve), [filled](Outgoing::fill), and
//! [completed](Outgoing::complete). Writes that come upon each other leave in the order of their reservation, each
//! in one piece, and none before those in front of it are complete.

use core::ops::DerefMut;

/// Most bytes copied in one section.
pub(crate) const PIECE: usize = 256;

/// A ring of bytes that wait to be sent.
pub(crate) struct Outgoing<B> {
    bytes: B,
    /// Where the oldest is.
    start: usize,
    /// Bytes that can be sent.
    ready: usize,
    /// Bytes in use: those, and those behind them that are reserved.
    used: usize,
    /// Places that are not complete.
    incomplete: u32,
}

impl<B: DerefMut<Target = [u8]>> Outgoing<B> {
    pub(crate) const fn new(bytes: B) -> Self {
        Self { bytes, start: 0, ready: 0, used: 0, incomplete: 0 }
    }

    /// Bytes it holds at most.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Drops everything, places included.
    pub(crate) fn clear(&mut self) {
        (self.start, self.ready, self.used, self.incomplete) = (0, 0, 0, 0);
    }

    /// Reserves a place for `length` bytes, behind all others: where it begins. `None` when there is no room.
    pub(crate) fn reserve(&mut self, length: usize) -> Option<usize> {
        let used = self.used.checked_add(length).filter(|used| *used <= self.size())?;
        let place = (self.start + self.used) % self.size();
        (self.used, self.incomplete) = (used, self.incomplete + 1);
        Some(place)
    }

    /// Writes a piece of what a place was reserved for, `offset` bytes behind its beginning.
    pub(crate) fn fill(&mut self, place: usize, offset: usize, piece: &[u8]) {
        let at = (place + offset) % self.size();
        let bytes = &mut *self.bytes;
        let (first, rest) = piece.split_at(piece.len().min(bytes.len() - at));
        bytes[at..at + first.len()].copy_from_slice(first);
        bytes[..rest.len()].copy_from_slice(rest);
    }

    /// A place has been filled.
    pub(crate) fn complete(&mut self) {
        self.incomplete -= 1;
        // One that was interrupted is in front of others that are complete.
        if self.incomplete == 0 {
            self.ready = self.used;
        }
    }

    /// The oldest bytes that can be sent, as far as they are in one part and a piece; empty when there are none.
    pub(crate) fn piece(&self) -> &[u8] {
        let length = self.ready.min(self.size() - self.start).min(PIECE);
        &self.bytes[self.start..self.start + length]
    }

    /// So many of these have been handed on.
    pub(crate) fn took(&mut self, bytes: usize) {
        self.start = (self.start + bytes) % self.size();
        (self.ready, self.used) = (self.ready - bytes, self.used - bytes);
    }
}

#[cfg(test)]
mod tests;
