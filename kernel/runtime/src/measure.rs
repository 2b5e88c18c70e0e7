//! The longest interrupt-masked and dispatch-deferred stretches, with the feature `measure`.
//! Without it everything here is empty, and the hot paths carry nothing of it.

#[cfg(feature = "measure")]
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The longest stretches seen, in time stamp counts (guest instructions under `-icount`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// With interrupts masked, from an interrupt's entry into Rust to its leaving it.
    pub masked: u64,
    /// With dispatch deferred.
    pub deferred: u64,
}

#[cfg(feature = "measure")]
static DEFERRED_FROM: AtomicU64 = AtomicU64::new(u64::MAX);
#[cfg(feature = "measure")]
static DEFERRED: AtomicU64 = AtomicU64::new(0);
#[cfg(feature = "measure")]
static MASKED_FROM: AtomicU64 = AtomicU64::new(u64::MAX);
#[cfg(feature = "measure")]
static MASKED: AtomicU64 = AtomicU64::new(0);

/// What was seen since the last [`reset`]; `None` without the feature.
pub fn longest() -> Option<Longest> {
    #[cfg(feature = "measure")]
    return Some(Longest { masked: MASKED.load(Relaxed), deferred: DEFERRED.load(Relaxed) });
    #[cfg(not(feature = "measure"))]
    None
}

/// Forgets what was seen.
pub fn reset() {
    #[cfg(feature = "measure")]
    {
        MASKED.store(0, Relaxed);
        DEFERRED.store(0, Relaxed);
    }
}

macro_rules! edge {
    ($(#[$doc:meta])* $from:ident, $until:ident, $start:ident, $longest:ident) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $from() {
            #[cfg(feature = "measure")]
            if $start.load(Relaxed) == u64::MAX {
                $start.store(reflex_arch::clock::tsc(), Relaxed);
            }
        }

        /// The stretch ends.
        #[inline(always)]
        pub(crate) fn $until() {
            #[cfg(feature = "measure")]
            {
                let from = $start.swap(u64::MAX, Relaxed);
                if from != u64::MAX {
                    $longest.fetch_max(reflex_arch::clock::tsc() - from, Relaxed);
                }
            }
        }
    };
}

edge!(
    /// Dispatch is deferred from here on.
    deferred_from, deferred_until, DEFERRED_FROM, DEFERRED
);
edge!(
    /// Interrupts are masked from here on.
    masked_from, masked_until, MASKED_FROM, MASKED
);
