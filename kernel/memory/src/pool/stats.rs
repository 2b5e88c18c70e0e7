//! What is told of a pool.

/// What a pool is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// Values of any type, and bytes that are zeroed when they are taken.
    Objects,
    /// Bytes only, zeroed once when the pool is made: what is taken later holds whatever the
    /// last owner left there. For buffers that are written before they are read, such as
    /// frames.
    Bytes,
}

/// What a pool has counted, in bytes where no unit is named. Allocated bytes are those of
/// whole blocks: a request counts as the power of two of granules that serves it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolStats {
    /// All there is to allocate; the pool's own bookkeeping is not in it.
    pub capacity: usize,
    /// Allocated now.
    pub allocated: usize,
    /// The most that ever was allocated at once.
    pub peak: usize,
    /// Held back for [`Pool::alloc_reserved`](crate::Pool::alloc_reserved).
    pub reserved: usize,
    /// The largest request that can be served now, were nothing reserved.
    pub largest_free: usize,
    /// Number of blocks allocated now.
    pub blocks: usize,
    /// What of the allocated bytes is [lent](crate::Lent). When nothing of the owner is left, this
    /// is in quarantine: taken until its holders give it back.
    pub lent: usize,
    /// Number of blocks that are lent.
    pub lent_blocks: usize,
    /// Number of allocations that were refused.
    pub failures: u64,
}
