//! The longest interrupt-masked and dispatch-deferred stretches, with the feature `measure`.
//! Without it everything here is empty, and the hot paths carry nothing of it.

#[cfg(feature = "measure")]
use crate::cpu::measured::{Measured, NEVER};
#[cfg(feature = "measure")]
use core::sync::atomic::Ordering::Relaxed;

/// The longest stretches seen, in time stamp counts (guest instructions under `-icount`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// With interrupts masked, from an interrupt's entry into Rust to its leaving it.
    pub masked: u64,
    /// With dispatch deferred. Sections in which an interrupt was taken do not count: their length is
    /// also the interrupt's.
    pub deferred: u64,
}

/// A place in the code where dispatch was deferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The instruction from which on it was.
    pub from: u64,
    /// The instruction until which it was.
    pub until: u64,
    /// For how long at most, in time stamp counts.
    pub longest: u64,
}

/// No instruction.
#[cfg(feature = "measure")]
const INTERRUPTED: u64 = 0;

/// What is measured on this core.
#[cfg(feature = "measure")]
#[inline(always)]
fn measured() -> &'static Measured {
    &crate::cpu::this().measured
}

/// What was seen since the last [`reset`]; `None` without the feature.
pub fn longest() -> Option<Longest> {
    #[cfg(feature = "measure")]
    return Some(Longest {
        masked: measured().masked.load(Relaxed),
        deferred: measured().sites.iter().map(|site| site.longest.load(Relaxed)).max().unwrap_or(0),
    });
    #[cfg(not(feature = "measure"))]
    None
}

/// The sections seen since the last [`reset`], in no order; none without the feature.
pub fn sections() -> impl Iterator<Item = Section> {
    #[cfg(feature = "measure")]
    return measured().sites.iter().filter(|site| site.longest.load(Relaxed) != 0).map(|site| {
        Section {
            from: site.from.load(Relaxed),
            until: site.until.load(Relaxed),
            longest: site.longest.load(Relaxed),
        }
    });
    #[cfg(not(feature = "measure"))]
    core::iter::empty()
}

/// Forgets what was seen.
pub fn reset() {
    #[cfg(feature = "measure")]
    {
        measured().masked.store(0, Relaxed);
        for site in &measured().sites {
            site.longest.store(0, Relaxed);
        }
    }
}

/// Dispatch is deferred from here on.
#[inline(always)]
pub(crate) fn deferred_from() {
    #[cfg(feature = "measure")]
    if measured().deferred_since.load(Relaxed) == NEVER {
        measured().deferred_from.store(reflex_arch::cpu::here(), Relaxed);
        measured().deferred_since.store(reflex_arch::clock::tsc(), Relaxed);
    }
}

/// An interrupt is taken while dispatch is deferred.
#[inline(always)]
pub(crate) fn interrupted() {
    #[cfg(feature = "measure")]
    measured().deferred_from.store(INTERRUPTED, Relaxed);
}

/// The stretch ends.
#[inline(always)]
pub(crate) fn deferred_until() {
    #[cfg(feature = "measure")]
    {
        let now = reflex_arch::clock::tsc();
        ended(now, reflex_arch::cpu::here());
    }
}

/// A section has ended at `until`. Before this is over, an interrupt finds the section still open.
#[cfg(feature = "measure")]
#[inline(never)]
fn ended(now: u64, until: u64) {
    let since = measured().deferred_since.swap(NEVER, Relaxed);
    if since == NEVER {
        return;
    }
    let from = measured().deferred_from.load(Relaxed);
    if from == INTERRUPTED {
        return;
    }
    let start = (until ^ from << 3) as usize;
    let places = (start..start + measured().sites.len())
        .map(|at| &measured().sites[at % measured().sites.len()]);
    let mut last = None;
    for site in places {
        last = Some(site);
        let (known, begun) = (site.until.load(Relaxed), site.from.load(Relaxed));
        if known == 0 {
            site.until.store(until, Relaxed);
            site.from.store(from, Relaxed);
            break;
        }
        if (known, begun) == (until, from) {
            break;
        }
    }
    if let Some(site) = last {
        site.longest.fetch_max(now - since, Relaxed);
    }
}

/// Interrupts are masked from here on.
#[inline(always)]
pub(crate) fn masked_from() {
    #[cfg(feature = "measure")]
    if measured().masked_since.load(Relaxed) == NEVER {
        measured().masked_since.store(reflex_arch::clock::tsc(), Relaxed);
    }
}

/// The stretch ends.
#[inline(always)]
pub(crate) fn masked_until() {
    #[cfg(feature = "measure")]
    {
        let since = measured().masked_since.swap(NEVER, Relaxed);
        if since != NEVER {
            measured().masked.fetch_max(reflex_arch::clock::tsc() - since, Relaxed);
        }
    }
}
