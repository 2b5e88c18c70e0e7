//! What is measured on a core, with the feature `measure`.

use core::sync::atomic::AtomicU64;

/// What is measured on a core.
pub(crate) struct Measured {
    pub(crate) deferred_since: AtomicU64,
    pub(crate) deferred_from: AtomicU64,
    pub(crate) masked_since: AtomicU64,
    pub(crate) masked: AtomicU64,
    /// Found by where they end. There are fewer sections in the code than places here; those that
    /// find none share the last.
    pub(crate) sites: [Site; 512],
}

impl Measured {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            deferred_since: AtomicU64::new(NEVER),
            deferred_from: AtomicU64::new(0),
            masked_since: AtomicU64::new(NEVER),
            masked: AtomicU64::new(0),
            sites: [const {
                Site {
                    from: AtomicU64::new(0),
                    until: AtomicU64::new(0),
                    longest: AtomicU64::new(0),
                }
            }; 512],
        }
    }
}

/// No time.
pub(crate) const NEVER: u64 = u64::MAX;

/// A place in the code where dispatch was deferred.
pub(crate) struct Site {
    pub(crate) from: AtomicU64,
    pub(crate) until: AtomicU64,
    pub(crate) longest: AtomicU64,
}
