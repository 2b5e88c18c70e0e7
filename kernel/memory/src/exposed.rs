//! Bytes that others may write at any time.

use crate::{Lent, Pool};
use core::fmt;
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Bytes of a word.
const WORD: usize = size_of::<AtomicU64>();
/// Words that are copied at a time, while there are so many: a loop's own steps are few then.
const STRIDE: usize = 8;

/// Bytes that several parties read and write without asking each other, as memory is that a peer on
/// a network may write. There is never a reference to them: they are copied, in and out, and what a
/// copy finds while somebody writes is some of the old bytes and some of the new.
///
/// Accesses that race are defined for atomics only, and only for those of one size at one place. So
/// the bytes are whole words, as far as they go, and single bytes behind the last word, and each is
/// only ever accessed as what it is: bytes that are not all of their word are written by exchanging
/// the word. On x86-64, relaxed loads and stores are ordinary ones.
///
/// The block goes back to its pool with the value.
pub struct Exposed {
    /// The first of `length` initialised bytes at the start of a lent block, which nothing else
    /// refers to.
    start: NonNull<u8>,
    length: usize,
    pool: &'static Pool,
}

// SAFETY: a thread that has it can reach the bytes, by `words` and `rest` as atomics, of which all
// threads may; it can also give the block back: from another thread that is what the pool's exclusion is for, and from
// another core it goes by a list for that.
unsafe impl Send for Exposed {}

// SAFETY: `&Exposed` gives the bytes out as atomics alone, and neither moves nor frees them.
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
        // SAFETY: they were a box's, given up in `new`, and `self`, the only one to reach them, is
        // here and not dropped.
        unsafe { Lent::from_raw(bytes, this.pool) }
    }

    /// The whole words.
    #[inline]
    fn words(&self) -> &[AtomicU64] {
        let words = self.start.cast::<AtomicU64>();
        // SAFETY: so many words are within the `length` bytes, which are initialised and stay as
        // long as `self`. They are aligned: blocks begin at multiples of 16 bytes. Every other
        // access is through here, too, so by atomics of the same size.
        unsafe { slice::from_raw_parts(words.as_ptr(), self.length / WORD) }
    }

    /// The bytes behind the last whole word.
    #[inline]
    fn rest(&self) -> &[AtomicU8] {
        let rest = self.length % WORD;
        // SAFETY: they are the last of the `length` bytes, which are initialised and stay as long as
        // `self`. None is in a whole word, so every other access is through here, too.
        unsafe {
            let start = self.start.add(self.length - rest).cast::<AtomicU8>();
            slice::from_raw_parts(start.as_ptr(), rest)
        }
    }

    /// Whether all of `length` bytes from `offset` on are there.
    #[inline]
    fn check(&self, offset: usize, length: usize) -> Result<(), OutOfBounds> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(OutOfBounds),
        }
    }

    /// Copies the bytes from `offset` on.
    ///
    /// # Errors
    /// [`OutOfBounds`]; `into` is then as it was.
    // Not in line: this crate is optimised for speed, and its callers may not be.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.check(offset, into.len())?;
        let head = to_word(offset).min(into.len());
        let (first, rest) = into.split_at_mut(head);
        let (whole, last) = rest.as_chunks_mut::<WORD>();
        self.read_part(offset, first);
        let from = &self.words()[(offset + head) / WORD..][..whole.len()];
        let behind = offset + head + WORD * whole.len();
        let (strides, singles) = whole.as_chunks_mut::<STRIDE>();
        let (from_strides, from_singles) = from.as_chunks::<STRIDE>();
        for (bytes, words) in strides.iter_mut().zip(from_strides) {
            load(bytes, words);
        }
        load(singles, from_singles);
        self.read_part(behind, last);
        Ok(())
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`]; nothing was then written.
    // Not in line, as `read`.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfBounds> {
        self.check(offset, bytes.len())?;
        let head = to_word(offset).min(bytes.len());
        let (first, rest) = bytes.split_at(head);
        let (whole, last) = rest.as_chunks::<WORD>();
        self.write_part(offset, first);
        let to = &self.words()[(offset + head) / WORD..][..whole.len()];
        let (strides, singles) = whole.as_chunks::<STRIDE>();
        let (to_strides, to_singles) = to.as_chunks::<STRIDE>();
        for (bytes, words) in strides.iter().zip(to_strides) {
            store(bytes, words);
        }
        store(singles, to_singles);
        self.write_part(offset + head + WORD * whole.len(), last);
        Ok(())
    }

    /// Copies bytes that lie within one word.
    #[inline]
    fn read_part(&self, offset: usize, into: &mut [u8]) {
        if into.is_empty() {
            return;
        }
        let at = offset % WORD;
        match self.words().get(offset / WORD) {
            Some(word) => {
                let bytes = word.load(Relaxed).to_ne_bytes();
                into.iter_mut().zip(&bytes[at..]).for_each(|(byte, from)| *byte = *from);
            }
            None => {
                let bytes = &self.rest()[at..];
                into.iter_mut().zip(bytes).for_each(|(byte, from)| *byte = from.load(Relaxed));
            }
        }
    }

    /// Copies to bytes that lie within one word; what others write to the rest of it stays.
    #[inline]
    fn write_part(&self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let at = offset % WORD;
        match self.words().get(offset / WORD) {
            Some(word) => {
                let merge = |old: u64| {
                    let mut merged = old.to_ne_bytes();
                    merged[at..].iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
                    Some(u64::from_ne_bytes(merged))
                };
                // Never refused.
                let _ = word.fetch_update(Relaxed, Relaxed, merge);
            }
            None => {
                let to = &self.rest()[at..];
                to.iter().zip(bytes).for_each(|(to, byte)| to.store(*byte, Relaxed));
            }
        }
    }
}

#[inline(always)]
fn load(bytes: &mut [[u8; WORD]], words: &[AtomicU64]) {
    for (bytes, word) in bytes.iter_mut().zip(words) {
        *bytes = word.load(Relaxed).to_ne_bytes();
    }
}

#[inline(always)]
fn store(bytes: &[[u8; WORD]], words: &[AtomicU64]) {
    for (bytes, word) in bytes.iter().zip(words) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
}

/// Bytes from `offset` to the next word's start.
#[inline]
fn to_word(offset: usize) -> usize {
    offset.wrapping_neg() % WORD
}

impl Drop for Exposed {
    fn drop(&mut self) {
        let bytes = NonNull::slice_from_raw_parts(self.start, self.length);
        // SAFETY: they were a box's, given up in `new`; nothing reaches them but `self`, which is
        // not used again: this is `drop`.
        drop(unsafe { Lent::from_raw(bytes, self.pool) });
    }
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exposed({} bytes)", self.length)
    }
}
