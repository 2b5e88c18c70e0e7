//! Time budgets: how long one run of a handler may take.
//!
//! While a handler of a budgeted context runs, the context's timer ticks, a fraction of the budget
//! apart. Ticks count only when they find that context running: what a handler waits for, and what
//! it is preempted for, is not its own time. The calls of such contexts' handlers are diverted for
//! this; nobody else pays for it.
//!
//! A filter has its owner's budget for each call, or a usual one, and ticks of its own: it keeps all
//! others waiting, so there is none without an end ([`attempt`](mod@crate::attempt)).

use crate::bound::{Call, Handler, Header};
use crate::dispatch::running;
use crate::report::Reason;
use crate::section::{Section, section};
use crate::supervise::Supervision;
use crate::{contain, registry, timer};
use core::cell::Cell;
use core::ptr::NonNull;
use core::time::Duration;

/// Ticks in a budget. One that takes longer is noticed within a tick.
pub(crate) const TICKS: u32 = 8;

/// Between two ticks of a filter whose owner has no budget.
pub(crate) const FILTER_TICK: Duration = Duration::from_nanos(100_000_000 / TICKS as u64);

/// A context's budget.
pub(crate) struct Budget {
    /// Between two ticks; zero without a budget.
    tick: Duration,
    counted: Cell<u32>,
}

impl Budget {
    pub(crate) fn new(budget: Option<Duration>) -> Self {
        let tick = budget.map_or(Duration::ZERO, |budget| {
            (budget / TICKS).max(Duration::from_nanos(reflex_timer::GRANULARITY_NS))
        });
        Self { tick, counted: Cell::new(0) }
    }

    /// Between two ticks of a filter.
    pub(crate) fn filter_tick(&self) -> Duration {
        if self.tick.is_zero() { FILTER_TICK } else { self.tick }
    }

    /// What dispatch is to call for handlers of the context, if not what is usual.
    pub(crate) fn call(&self) -> Option<Call> {
        (!self.tick.is_zero()).then_some(call)
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

/// Calls a handler whose time is limited.
///
/// # Safety
/// As for what it would be called by otherwise.
unsafe extern "C" fn call(header: NonNull<Header>, event: u64, count: u32) {
    begin();
    // SAFETY: the caller's duty.
    unsafe { (Handler::new(header).kind().call)(header, event, count) };
    end();
}

/// The running context's time begins, if it is limited.
fn begin() {
    with_budget(|cs, supervision| {
        let Budget { tick, counted } = &supervision.budget;
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
