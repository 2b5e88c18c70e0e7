//! Bounded memory with an owner: a buddy allocator, pools over regions, and boxes in a pool.
//!
//! [`Buddy`] decides over block indices alone and contains no unsafe code. [`Pool`] joins it
//! with a region of memory and counts; [`PoolBox`] owns one value in a pool, [`PoolDyn`] the
//! same seen as a trait object. Every operation takes bounded time, so that event memory can
//! be taken and given back on the hot path. [`Ring`] is a bounded queue without a heap.
#![no_std]

#[cfg(test)]
extern crate std;

mod buddy;
mod error;
mod exclusion;
mod pool;
mod pool_box;
mod pool_dyn;
mod ring;

pub use buddy::{Buddy, Link, Table};
pub use error::{Error, Refused};
pub use exclusion::Exclusion;
pub use pool::{Content, Granule, Pool, PoolStats};
pub use pool_box::PoolBox;
pub use pool_dyn::PoolDyn;
pub use ring::Ring;
