//! Bytes that others may write at any time.

use crate::{Lent, Pool};
use core::fmt;
use core::ptr::NonNull;

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// Bytes that several parties read and write without asking each other, as memory is that a peer on
/// a network may write. There is never a reference to them: they are copied, in and out, and what a
/// copy finds while somebody writes is some of the old bytes and some of the new.
///
/// The block goes back to its pool with the value.
pub struct Exposed {
    /// The first of `length` bytes of a lent block, which nothing else refers to.
    start: NonNull<u8>,
    length: usize,
    pool: &'static Pool,
}

// SAFETY: the bytes are only ever copied by volatile accesses, through whichever handle; the block
// is given back once, from wherever the value is dropped, which is what the pool's exclusion is for.
unsafe impl Send for Exposed {}

// SAFETY: as above.
unsafe impl Sync for Exposed {}

/// The place is not, or not wholly, among the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfBounds;

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the place lies outside of the memory")
    }
}

impl core::error::Error for OutOfBounds {}

impl Exposed {
    /// Exposes bytes.
    pub fn new(bytes: Lent<[u8]>) -> Self {
        let length = bytes.len();
        let (start, pool) = bytes.into_raw();
        Self { start: start.cast(), length, pool }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes again, to their last holder alone.
    pub fn into_bytes(self) -> Lent<[u8]> {
        let this = core::mem::ManuallyDrop::new(self);
        let bytes = NonNull::slice_from_raw_parts(this.start, this.length);
        // SAFETY: they were a box's, given up in `new`, and `self` was the only one to reach them;
        // it is not dropped.
        unsafe { Lent::from_raw(bytes, this.pool) }
    }

    /// Where `length` bytes from `offset` start.
    fn place(&self, offset: usize, length: usize) -> Result<NonNull<u8>, OutOfBounds> {
        match offset.checked_add(length) {
            // SAFETY: inside of the block, or at its end.
            Some(end) if end <= self.length => Ok(unsafe { self.start.add(offset) }),
            _ => Err(OutOfBounds),
        }
    }

    /// Copies the bytes from `offset` on.
    ///
    /// # Errors
    /// [`OutOfBounds`]; `into` is then as it was.
    #[inline]
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = self.place(offset, into.len())?.as_ptr();
        let head = from.align_offset(WORD).min(into.len());
        let (first, rest) = into.split_at_mut(head);
        let (words, last) = rest.as_chunks_mut::<WORD>();
        let tail = head + WORD * words.len();
        for (at, byte) in first.iter_mut().enumerate() {
            // SAFETY: `place` found all of these bytes inside of the block.
            *byte = unsafe { from.add(at).read_volatile() };
        }
        // SAFETY: as above; and `head` bytes on it is aligned, or there are no words.
        let source = unsafe { from.add(head) }.cast::<u64>();
        for (at, word) in words.iter_mut().enumerate() {
            // SAFETY: as above.
            *word = unsafe { source.add(at).read_volatile() }.to_ne_bytes();
        }
        for (at, byte) in last.iter_mut().enumerate() {
            // SAFETY: as above.
            *byte = unsafe { from.add(tail + at).read_volatile() };
        }
        Ok(())
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`]; nothing was then written.
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let to = self.place(offset, bytes.len())?.as_ptr();
        let head = to.align_offset(WORD).min(bytes.len());
        let (first, rest) = bytes.split_at(head);
        let (words, last) = rest.as_chunks::<WORD>();
        let tail = head + WORD * words.len();
        for (at, byte) in first.iter().enumerate() {
            // SAFETY: `place` found all of these bytes inside of the block.
            unsafe { to.add(at).write_volatile(*byte) };
        }
        // SAFETY: as above; and `head` bytes on it is aligned, or there are no words.
        let target = unsafe { to.add(head) }.cast::<u64>();
        for (at, word) in words.iter().enumerate() {
            // SAFETY: as above.
            unsafe { target.add(at).write_volatile(u64::from_ne_bytes(*word)) };
        }
        for (at, byte) in last.iter().enumerate() {
            // SAFETY: as above.
            unsafe { to.add(tail + at).write_volatile(*byte) };
        }
        Ok(())
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        let bytes = NonNull::slice_from_raw_parts(self.start, self.length);
        // SAFETY: as in `into_bytes`: whoever drops it is the last.
        drop(unsafe { Lent::from_raw(bytes, self.pool) });
    }
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exposed({} bytes)", self.length)
    }
}
