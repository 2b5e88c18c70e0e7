//! A ring of bytes with one writer and one reader, either of which may interrupt the other.

use core::sync::atomic::{
    AtomicU8, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// At most `N` bytes, `N` a power of two. The counts run on for ever; their difference is what the
/// ring holds, and their remainders are places.
pub(crate) struct ByteRing<const N: usize> {
    bytes: [AtomicU8; N],
    /// Moved by the writer, after the byte is in its place.
    pushed: AtomicUsize,
    /// Moved by the reader, after it has its bytes.
    popped: AtomicUsize,
}

impl<const N: usize> ByteRing<N> {
    pub(crate) const fn new() -> Self {
        const { assert!(N.is_power_of_two()) };
        Self {
            bytes: [const { AtomicU8::new(0) }; N],
            pushed: AtomicUsize::new(0),
            popped: AtomicUsize::new(0),
        }
    }

    /// How many bytes fit: at least that, as the writer sees it; at most, as the reader does.
    pub(crate) fn room(&self) -> usize {
        let popped = self.popped.load(Acquire);
        N - self.pushed.load(Acquire).wrapping_sub(popped)
    }

    /// Appends a byte. For the writer, when there is [room](Self::room).
    pub(crate) fn push(&self, byte: u8) {
        let pushed = self.pushed.load(Relaxed);
        debug_assert!(self.room() > 0);
        self.bytes[pushed % N].store(byte, Relaxed);
        self.pushed.store(pushed.wrapping_add(1), Release);
    }

    /// Takes the first bytes, as many as there are and fit. For the reader.
    pub(crate) fn pop(&self, buffer: &mut [u8]) -> usize {
        let popped = self.popped.load(Relaxed);
        let held = self.pushed.load(Acquire).wrapping_sub(popped);
        let count = held.min(buffer.len());
        for (offset, to) in buffer[..count].iter_mut().enumerate() {
            *to = self.bytes[popped.wrapping_add(offset) % N].load(Relaxed);
        }
        self.popped.store(popped.wrapping_add(count), Release);
        count
    }
}
