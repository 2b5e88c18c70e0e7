//! Time budgets: how long one run of a handler may take.
//!
//! While a handler of a budgeted context runs, the context's timer ticks, a fraction of the budget
//! apart. Ticks count only when they find that context running: what a handler waits for, and what
//! it is preempted for, is not its own time. Such contexts' handlers are [called](crate::event::calls)
//! by way of this; nobody else pays for it.
//!
//! A filter has its owner's budget for each call, or a usual one, and ticks of its own: it keeps all
//! others waiting, so there is none without an end ([`attempt`](mod@crate::context::attempt)).

use crate::context::{kill, registry};
use crate::cpu::budget::{Budget, TICKS};
use crate::cpu::handler::{Called, Way};
use crate::cpu::reason::Reason;
use crate::cpu::supervision::Supervision;
use crate::dispatch::event_core::running;
use crate::dispatch::section::{Section, section};
use crate::dispatch::timer;

/// A tick of a context that is up.
pub(crate) fn tick(cs: &Section, supervision: &'static Supervision) {
    if running(cs).map(|context| context.index) != Some(supervision.index.get()) {
        return;
    }
    let counted = &supervision.budget.counted;
    counted.set(counted.get() + 1);
    if counted.get() >= TICKS {
        kill::set_pending(cs, supervision, Reason::Overrun);
    }
}

/// The way of handlers with a limited time.
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
