//! Text in a pool.

use crate::PoolAllocator;
use allocator_api2::collections::TryReserveError;
use allocator_api2::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;

/// A string that grows in its owner's pool: what `alloc`'s is in the global heap.
///
/// Writing to it by [`write!`] refuses when the pool is exhausted; the other calls that need room and cannot
/// refuse panic then.
#[derive(Clone)]
pub struct String {
    /// UTF-8.
    bytes: Vec<u8, PoolAllocator>,
}

impl String {
    /// An empty string, without a block.
    pub const fn new_in(allocator: PoolAllocator) -> Self {
        Self { bytes: Vec::new_in(allocator) }
    }

    /// A copy of `text`.
    ///
    /// # Errors
    /// When the pool has no room.
    pub fn try_from_in(text: &str, allocator: PoolAllocator) -> Result<Self, TryReserveError> {
        let mut string = Self::new_in(allocator);
        string.try_push_str(text)?;
        Ok(string)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // SAFETY: nothing but whole texts is put behind each other, and it is cut between characters.
        unsafe { core::str::from_utf8_unchecked(&self.bytes) }
    }

    /// Bytes for which it has room.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Makes room for so many bytes more.
    ///
    /// # Errors
    /// When the pool has none.
    pub fn try_reserve(&mut self, bytes: usize) -> Result<(), TryReserveError> {
        self.bytes.try_reserve(bytes)
    }

    /// Puts `text` behind what there is.
    ///
    /// # Errors
    /// When the pool has no room; the string is as before.
    pub fn try_push_str(&mut self, text: &str) -> Result<(), TryReserveError> {
        self.bytes.try_reserve(text.len())?;
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Puts `text` behind what there is.
    ///
    /// # Panics
    /// When the pool has no room.
    pub fn push_str(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Puts a character behind what there is.
    ///
    /// # Panics
    /// When the pool has no room.
    pub fn push(&mut self, character: char) {
        self.push_str(character.encode_utf8(&mut [0; 4]));
    }

    /// Takes the last character.
    pub fn pop(&mut self) -> Option<char> {
        let last = self.chars().next_back()?;
        self.bytes.truncate(self.bytes.len() - last.len_utf8());
        Some(last)
    }

    /// Cuts off what is behind the first `bytes` bytes; nothing when it is no longer than that.
    ///
    /// # Panics
    /// When that is in the middle of a character.
    pub fn truncate(&mut self, bytes: usize) {
        if bytes < self.len() {
            assert!(self.is_char_boundary(bytes), "a string is cut between characters");
            self.bytes.truncate(bytes);
        }
    }

    /// Empties it; its block stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

impl Deref for String {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for String {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for String {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Write for String {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.try_push_str(text).map_err(|_| fmt::Error)
    }
}

impl Extend<char> for String {
    fn extend<I: IntoIterator<Item = char>>(&mut self, characters: I) {
        characters.into_iter().for_each(|character| self.push(character));
    }
}

impl PartialEq for String {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl PartialEq<str> for String {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for String {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Eq for String {}

impl PartialOrd for String {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for String {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other)
    }
}

impl Hash for String {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for String {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for String {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
