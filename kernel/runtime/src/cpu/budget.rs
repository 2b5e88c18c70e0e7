//! A context's time budget, as it is kept.

use core::cell::Cell;
use core::time::Duration;

/// Ticks in a budget. One that takes longer is noticed within a tick.
pub(crate) const TICKS: u32 = 8;

/// Nanoseconds between two ticks of a filter with an owner that has no budget.
pub(crate) const FILTER_TICK: u64 = 100_000_000 / TICKS as u64;

/// A context's budget.
pub(crate) struct Budget {
    /// Between two ticks; zero without a budget.
    pub(crate) tick: Duration,
    /// Nanoseconds between two ticks of a filter.
    pub(crate) filter_tick: u64,
    pub(crate) counted: Cell<u32>,
}

impl Budget {
    pub(crate) fn new(budget: Option<Duration>) -> Self {
        let tick = budget.map_or(Duration::ZERO, |budget| {
            (budget / TICKS).max(Duration::from_nanos(reflex_timer::GRANULARITY_NS))
        });
        let filter_tick =
            budget.map_or(FILTER_TICK, |_| u64::try_from(tick.as_nanos()).unwrap_or(FILTER_TICK));
        Self { tick, filter_tick, counted: Cell::new(0) }
    }

    /// Nanoseconds between two ticks of a filter.
    pub(crate) fn filter_tick(&self) -> u64 {
        self.filter_tick
    }

    /// Whether there is one.
    pub(crate) fn is_some(&self) -> bool {
        !self.tick.is_zero()
    }
}
