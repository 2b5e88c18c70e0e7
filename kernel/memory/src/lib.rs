//! Bounded memory with an owner: a buddy allocator, pools over regions, and boxes in a pool.
//!
//! [`Buddy`] decides over block indices alone and contains no unsafe code. [`Pool`] joins it
//! with a region of memory and counts; a [`Scheme`] of the owner's may take its place. Every
//! operation takes bounded time, so that event memory can be taken and given back on the hot
//! path.
//!
//! There are two kinds of boxes in a pool. [`Lent`] (and [`LentDyn`], the same seen as a trait
//! object) may be anywhere and comes back when it is dropped. [`PoolBox`] never leaves the code of
//! the pool's owner, which makes it by an [`Own`]; so when the owner is killed in the middle of its
//! work, [`Pool::reclaim`] takes all of these back at once. A [`PoolAllocator`], made by an [`Own`] too, is for
//! whole collections of the owner's own, and for a [`String`].
//!
//! [`Heap`] is for what has no owner here: blocks of any size, of regions that are given to it.
//!
//! [`Custody`] is for bytes that are handed to code which may never go on.
//!
//! [`Exposed`] is memory that others, a peer on a network say, may write at any time: it is copied in
//! and out, and there is never a reference to it.
//!
//! [`Ring`] is a bounded queue without a heap; a [completion ring](completion) is one that several
//! contexts take from without ever waiting for each other.
#![no_std]

#[cfg(test)]
extern crate std;

mod allocator;
mod buddy;
pub mod completion;
mod custody;
mod error;
mod exclusion;
mod exposed;
mod heap;
mod lent;
mod lent_dyn;
mod magazine;
mod own;
mod pool;
mod pool_box;
mod returned;
mod ring;
mod scheme;
mod shared;
mod string;
mod sync;

pub use allocator::PoolAllocator;
pub use buddy::{Buddy, Link, Table};
pub use custody::{Custody, Lend, Taking};
pub use error::{Error, Refused};
pub use exclusion::Exclusion;
pub use exposed::{Exposed, OutOfBounds};
pub use heap::Heap;
pub use lent::Lent;
pub use lent_dyn::LentDyn;
pub use own::Own;
pub use pool::{Content, Cursor, Granule, Pool, PoolStats};
pub use pool_box::PoolBox;
pub use ring::Ring;
pub use scheme::Scheme;
pub use shared::Shared;
pub use string::String;
