//! What makes collections.

use crate::{Box, Keyed, Map, Set, Table, Vec};
use core::fmt;
use reflex_memory::{Error, Own, PoolAllocator, PoolStats, Refused, String};

/// A context's event memory, as its own collections are made in it. A small value that may be kept in the
/// context's state.
#[derive(Clone, Copy)]
pub struct Memory {
    allocator: PoolAllocator,
    hash: Keyed,
}

impl Memory {
    /// That of the pool's owner; its maps are hashed by `hash`.
    pub const fn new(own: Own<'_>, hash: Keyed) -> Self {
        Self { allocator: own.allocator(), hash }
    }

    /// An empty map; it takes memory with its first entry.
    pub fn map<K, V>(self) -> Map<K, V> {
        Map::with_hasher_in(self.hash, self.allocator)
    }

    /// An empty set; it takes memory with its first entry.
    pub fn set<T>(self) -> Set<T> {
        Set::with_hasher_in(self.hash, self.allocator)
    }

    /// An empty table; it takes memory with its first value.
    pub fn table<T>(self) -> Table<T> {
        Table::new_in(self.allocator)
    }

    /// The hash of its maps and sets, for the values of a table.
    pub const fn hash(self) -> Keyed {
        self.hash
    }

    /// An empty vector; it takes memory with its first element.
    pub fn vec<T>(self) -> Vec<T> {
        Vec::new_in(self.allocator)
    }

    /// An empty string; it takes memory with its first character.
    pub fn string(self) -> String {
        String::new_in(self.allocator)
    }

    /// Moves `value` into a block of its own.
    ///
    /// # Errors
    /// The value, when there is no room for it.
    pub fn boxed<T>(self, value: T) -> Result<Box<T>, Refused<T>> {
        match Box::try_new_uninit_in(self.allocator) {
            Ok(place) => Ok(Box::write(place, value)),
            Err(_) => Err(Refused { error: Error::Exhausted, value }),
        }
    }

    /// What allocates, for other collections.
    pub const fn allocator(self) -> PoolAllocator {
        self.allocator
    }

    /// Bytes that are free, in blocks of whatever size.
    pub fn available(self) -> usize {
        self.allocator.pool().available()
    }

    /// What has been counted.
    pub fn stats(self) -> PoolStats {
        self.allocator.pool().stats()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("pool", self.allocator.pool()).finish()
    }
}
