//! Collections of a context's own: a [`Map`], a [`Set`], a [`Table`], a [`Vec`], a [`String`] and a [`Box`] that lie in its
//! event memory, and not in the global heap.
//!
//! So they are bounded by the context's limit, and are given back with it: the next life of a context that has
//! failed begins with its whole memory. [`Memory`] makes them. They are those of `hashbrown` and
//! `allocator-api2`, with all their methods; what cannot find room is an error of `try_reserve` and its like, and
//! a panic, which is the context's own failure, of the calls that cannot return one.
//!
//! # They stay in their context
//! None of them is `Send`, and neither is `Memory`: a state that holds some is made in its context, by a
//! constructor, and nothing that takes values to other contexts takes one of them, or a reference to one.
//!
//! ```compile_fail,E0277
//! # use reflex_collections::Map;
//! fn send<T: Send>(_: T) {}
//! fn channel(map: &'static Map<u32, u32>) {
//!     send(map);
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod keyed;
mod memory;

pub use keyed::Keyed;
pub use memory::Memory;
pub use reflex_memory::{Own, PoolAllocator, String};

/// A map with a hash that is keyed by chance, so that no peer can choose keys that meet.
pub type Map<K, V> = hashbrown::HashMap<K, V, Keyed, PoolAllocator>;

/// A table of values that know their own hashes, for what a [`Map`] cannot do: a look at a place by chance, keys that
/// lie inside their values.
pub type Table<T> = hashbrown::HashTable<T, PoolAllocator>;

/// A set, hashed as a [`Map`] is.
pub type Set<T> = hashbrown::HashSet<T, Keyed, PoolAllocator>;

/// A vector.
pub type Vec<T> = allocator_api2::vec::Vec<T, PoolAllocator>;

/// A value in a block of its own.
pub type Box<T> = allocator_api2::boxed::Box<T, PoolAllocator>;
