//! Time budgets: how long one run of a handler may take.
//!
//! While a handler of a budgeted context runs, the context's timer ticks, a fraction of the budget
//! apart. Ticks count only when they find that context running: what a handler waits for, and what
//! it is preempted for, is not its own time. Such contexts' handlers are [called](crate::calls) by way
//! of this; nobody else pays for it.

use crate::bound::{Handler, Header};
use crate::dispatch::CORE;
use crate::report::Reason;
use crate::section::section;
use crate::supervise::Supervision;
use crate::{contain, registry, timer};
use core::cell::Cell;
use core::ptr::NonNull;
use core::time::Duration;

/// Ticks in a budget. One that takes longer is noticed within a tick.
const TICKS: u32 = 8;

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

    /// Whether there is one.
    pub(crate) fn is_some(&self) -> bool {
        !self.tick.is_zero()
    }
}

/// A tick of a context that is up. The caller is in a section.
pub(crate) fn tick(supervision: &'static Supervision) {
    // SAFETY: in a section, and the borrow ends in this statement.
    if unsafe { CORE.get() }.running().map(|context| context.index) != Some(supervision.index.get())
    {
        return;
    }
    let counted = &supervision.budget.counted;
    counted.set(counted.get() + 1);
    if counted.get() >= TICKS {
        contain::doom(supervision, Reason::Overrun);
    }
}

/// Calls a handler whose time is limited.
///
/// # Safety
/// As for the handler's own call.
pub(crate) unsafe extern "C" fn limited(header: NonNull<Header>, event: u64, count: u32) {
    with_budget(|supervision| {
        let Budget { tick, counted } = &supervision.budget;
        counted.set(0);
        // The timer is the context's for good.
        let _ = timer::arm(supervision.timer.get(), timer::now() + *tick, Some(*tick));
    });
    // SAFETY: the caller's duty.
    unsafe { (Handler::new(header).kind().call)(header, event, count) };
    with_budget(|supervision| {
        let _ = timer::disarm(supervision.timer.get());
    });
}

fn with_budget(work: impl FnOnce(&'static Supervision)) {
    section(|| {
        // SAFETY: in a section, and the borrow ends in this statement.
        let running = unsafe { CORE.get() }.running();
        if let Some(Ok(Some(supervision))) = running.map(registry::supervision) {
            work(supervision);
        }
    });
}
