//! The alarm: the timer's one-shot interrupt, and what is known of when it comes.
//!
//! It is set for the timers in the wheel, and for filters, the time of which is limited: nowhere but here,
//! in interrupt context too, so that one place knows for when. It may come sooner than that, and for
//! nothing; it comes later by the time that goes by between a look at the clock and the setting, and no
//! more. A filter is noted as under way *before* it is seen to that the alarm comes: an alarm that
//! comes meanwhile finds the filter and is set again, or it has come before and that is known.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reflex_arch::apic::LocalApic;
use reflex_arch::clock::Clock;
use reflex_arch::interrupt as arch;
use reflex_timer::GRANULARITY_NS;

/// Stands for what is not known.
const NEVER: u64 = u64::MAX;

/// When the interrupt comes.
pub(crate) struct Alarm {
    /// The granule at the beginning of which it does; [`NEVER`] when nothing is known.
    at: AtomicU64,
    /// It comes within so many nanoseconds from the moment at which this is read, whenever that is:
    /// what a filter's call asks for without a look at the clock. [`NEVER`] when that has not been
    /// seen to.
    within: AtomicU64,
}

impl Alarm {
    /// Before the timer has been started.
    pub(crate) const fn new() -> Self {
        Self { at: AtomicU64::new(0), within: AtomicU64::new(0) }
    }

    /// It has come, or is to be set for another time: nothing is known of when it comes.
    #[inline(always)]
    pub(crate) fn forget(&self) {
        self.at.store(NEVER, Relaxed);
        self.within.store(NEVER, Relaxed);
    }

    /// Whether it comes after the beginning of a granule, or nothing is known.
    #[inline(always)]
    pub(crate) fn is_after(&self, granule: u64) -> bool {
        granule < self.at.load(Relaxed)
    }

    /// Sets it for the beginning of a granule that has not begun, now that nothing is known of it; `now` is
    /// the time.
    #[inline(always)]
    pub(crate) fn set(&self, apic: &LocalApic, granule: u64, now: u64) {
        self.at.store(granule, Relaxed);
        arm(apic, granule, now);
    }

    /// Sets it for the beginning of a granule, which it [was set after](Self::is_after), or for now if that
    /// has begun.
    pub(crate) fn set_earlier(&self, apic: &LocalApic, granule: u64, now: u64) {
        self.at.store(granule, Relaxed);
        if granule > now / GRANULARITY_NS {
            arm(apic, granule, now);
        } else {
            apic.arm(0);
        }
    }

    /// Has it come within so many nanoseconds.
    #[inline(always)]
    pub(crate) fn come_within(&self, apic: &LocalApic, clock: &Clock, nanos: u64) {
        if self.within.load(Relaxed) > nanos {
            self.bring_forward(apic, clock, nanos);
        }
    }

    #[cold]
    #[inline(never)]
    fn bring_forward(&self, apic: &LocalApic, clock: &Clock, nanos: u64) {
        let were_enabled = arch::enabled();
        // Were it to come in the middle, and be set again, that would be taken for the present setting.
        arch::disable();
        let now = clock.now();
        let wait = self.at.load(Relaxed).saturating_mul(GRANULARITY_NS).saturating_sub(now);
        if wait <= nanos {
            self.within.store(wait, Relaxed);
        } else {
            self.set_within(apic, nanos, now);
        }
        if were_enabled {
            // SAFETY: they were.
            unsafe { arch::enable() };
        }
    }

    /// Sets it for so many nanoseconds after `now`, for whatever it was set. Interrupts are masked.
    pub(crate) fn set_within(&self, apic: &LocalApic, nanos: u64, now: u64) {
        self.set_earlier(apic, now.saturating_add(nanos) / GRANULARITY_NS, now);
        self.within.store(nanos, Relaxed);
    }
}

#[inline(always)]
fn arm(apic: &LocalApic, granule: u64, now: u64) {
    // The last granule begins after 2^64 nanoseconds: the difference is right all the same.
    apic.arm(granule.wrapping_mul(GRANULARITY_NS).wrapping_sub(now));
}
