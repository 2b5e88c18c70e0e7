//! Time budgets: how long one run of a handler may take.
//!
//! While a handler of a budgeted context runs, the context's timer ticks, a fraction of the budget
//! apart. Ticks count only when they find that context running: what a handler waits for, and what
//! it is preempted for, is not its own time. Such contexts' handlers are [called](crate::calls)
//! by way of this; nobody else pays for it.
//!
//! A filter has its owner's budget for each call, or a usual one, and ticks of its own: it keeps all
//! others waiting, so there is none without an end ([`attempt`](mod@crate::attempt)).

use crate::dispatch::running;
use crate::handler::{Called, Way};
use crate::report::Reason;
use crate::section::{Section, section};
use crate::supervise::Supervision;
use crate::{contain, registry, timer};
use core::cell::Cell;
use core::time::Duration;

/// Ticks in a budget. One that takes longer is noticed within a tick.
pub(crate) const TICKS: u32 = 8;

/// Nanoseconds between two ticks of a filter whose owner has no budget.
pub(crate) const FILTER_TICK: u64 = 100_000_000 / TICKS as u64;

/// A context's budget.
pub(crate) struct Budget {
    /// Between two ticks; zero without a budget.
    tick: Duration,
    /// Nanoseconds between two ticks of a filter.
    filter_tick: u64,
    counted: Cell<u32>,
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

/// A tick of a context that is up.
pub(crate) fn tick(cs: &Section, supervision: &'static Supervision) {
    if running(cs).map(|context| context.index) != Some(supervision.index.get()) {
        return;
    }
    let counted = &supervision.budget.counted;
    counted.set(counted.get() + 1);
    if counted.get() >= TICKS {
        contain::doom(cs, supervision, Reason::Overrun);
    }
}

/// The way of handlers whose time is limited.
pub(crate) struct Limited;

impl Way for Limited {
    fn call(called: Called) {
        limited(|| called.own());
    }
}

/// The running context's time begins, if it is limited.
fn begin() {
    with_budget(|cs, supervision| {
        let Budget { tick, counted, .. } = &supervision.budget;
        counted.set(0);
        // The timer is the context's for good.
        let _ = timer::arm(cs, supervision.timer.get(), timer::now() + *tick, Some(*tick));
    });
}

fn end() {
    with_budget(|cs, supervision| {
        let _ = timer::disarm(cs, supervision.timer.get());
    });
}

/// Runs `work` of the running context's with the time that a handler has.
pub(crate) fn limited(work: impl FnOnce()) {
    begin();
    work();
    end();
}

fn with_budget(work: impl FnOnce(&Section, &'static Supervision)) {
    section(|cs| {
        let running = running(cs);
        if let Some(Ok(Some(supervision))) =
            running.map(|context| registry::supervision(cs, context))
            && !supervision.budget.tick.is_zero()
        {
            work(cs, supervision);
        }
    });
}
