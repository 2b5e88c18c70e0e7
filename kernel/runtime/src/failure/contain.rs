//! Giving a context up: what goes wrong in a handler ends the handler's context, and no more.
//!
//! ```text
//!   panic ────────────────▶ on the dying stack ──────────┐
//!   exception ─────────────▶ IRETQ to the reserve ───────┤ give_up ──▶ what runs next
//!   time budget, request ──▶ pending ──▶ the kill job ───┘    │
//!   stack overflow in       ▲                                 └─▶ the supervisor (see `supervise`)
//!   kernel code ────────────┘
//! ```
//!
//! Only a context that is [supervised](crate::failure::supervise), in code of its own: with no section
//! open, interrupts let through, and no guarded call open; or in a
//! filter of its. In kernel code the same means that the kernel cannot be
//! relied on any more, and the image ends with a full report; so it does in a section that the
//! context has opened itself, since what it has half changed there is what it shares with others.
//!
//! What has gone wrong is found out in [`fault`](crate::failure::fault).
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{kill, registry};
use crate::cpu;
use crate::cpu::options::OnFailure;
use crate::cpu::reason::{Reason, Text};
use crate::cpu::registers::Registers;
use crate::cpu::scope::{KILL_PENDING, Scopes};
use crate::cpu::supervision::{Life, Supervision};
use crate::dispatch::event_core::{note, running, with_core};
use crate::dispatch::section::{Outermost, Section, Start};
use crate::dispatch::{job, section, switch};
use crate::failure::queue;
use core::sync::atomic::Ordering::Relaxed;
use reflex_arch::fpu;
use reflex_event::{ContextId, Next, Priority};

/// Makes the job that buries contexts. It comes after all others, as it may not return.
pub(crate) fn init(start: &Start) {
    job::set_last(start, kill_pending);
}

/// The running context, which is supervised, has come to an end. The caller is in no section, on
/// its stack.
pub(crate) fn fail(culprit: &'static Supervision, reason: Reason, registers: &Registers) -> ! {
    let failed = section::outermost(|outermost| {
        culprit.registers.set(*registers);
        culprit.reason.set(reason);
        give_up_running(outermost)
    });
    failed.expect("a context fails in no section")
}

/// The kill job: gives up what is to be killed, the running context last, because then it does not
/// return.
fn kill_pending() {
    // SAFETY: a job: the code that runs it has the outermost section, and does not use that before
    // this has returned.
    let mut outermost = unsafe { Outermost::assume() };
    let cs: &Section = &outermost;
    let overflowed = cpu::this().overflowed.swap(0, Relaxed);
    if let Some(Ok(Some(supervision))) = overflowed.checked_sub(1).map(|index| {
        registry::name(cs, index as u16).and_then(|context| registry::supervision(cs, context))
    }) {
        kill::set_pending(cs, supervision, Reason::StackOverflow);
    }
    let pending_kills = cpu::this().pending_kills.get(cs);
    let running = running(cs);
    let mut last = false;
    for index in pending_kills.indices() {
        let Ok(context) = registry::name(cs, index) else { continue };
        if with_core(cs, |core| core.machine(context).scopes.guards) != KILL_PENDING {
            continue;
        }
        if Some(context) == running {
            last = true;
        } else if halts(cs, context).is_none() {
            let _ = give_up(cs, context);
        }
    }
    if last {
        if let Some(reason) = running.and_then(|context| halts(cs, context)) {
            panic!("{reason}");
        }
        if let Some(Ok(Some(culprit))) = running.map(|context| registry::supervision(cs, context)) {
            culprit.registers.set(Registers::interrupted(&culprit.home.stack()));
        }
        give_up_running(&mut outermost)
    }
}

/// Why a context is to be killed that takes the image with it.
fn halts(cs: &Section, context: ContextId) -> Option<Reason> {
    let supervision = registry::supervision(cs, context).ok()??;
    (supervision.on_failure.get() == OnFailure::Halt).then(|| supervision.reason.get())
}

/// Gives the running context up, on the stack of which this is.
pub(crate) fn give_up_running(outermost: &mut Outermost) -> ! {
    // SAFETY: nothing of the dying context's is needed any more; the rounding mode was its own.
    unsafe { fpu::reset() };
    let next = running(outermost).and_then(|context| give_up(outermost, context));
    switch::go_to(outermost, next.unwrap_or(Next::Idle))
}

/// Gives a context up: its handler, and what is on its stack. The rest is the supervisor's, which
/// is activated. Returns what runs next, if the context was running.
fn give_up(cs: &Section, context: ContextId) -> Option<Next> {
    let supervision = registry::supervision(cs, context).ok()??;
    let mut pending_kills = cpu::this().pending_kills.get(cs);
    pending_kills.remove(context.index);
    cpu::this().pending_kills.set(cs, pending_kills);
    let (served, priority, runs, saved) = with_core(cs, |core| {
        let stack = core.machine(context);
        let scopes = core::mem::replace(&mut stack.scopes, Scopes::NONE);
        supervision.scopes.set(scopes.last);
        let saved = stack.saved;
        let served = core.serving(context);
        let priority = served.and_then(|event| core.look_up(event).ok());
        (served, priority, core.running() == Some(context), saved)
    });
    let priority = priority.map_or(Priority::DEFAULT, |info| info.registration.priority);
    supervision.event.set(served);
    if !matches!(supervision.reason.get(), Reason::Panic | Reason::Refused) {
        // What it has said was of an earlier failure.
        supervision.text.set(Text::EMPTY);
    }
    if !runs {
        supervision.registers.set(match served {
            // SAFETY: it has a handler on its stack and does not run, so it was left.
            Some(_) => unsafe { Registers::saved(saved) },
            None => Registers::NONE,
        });
    }
    if queue::is_supervisor(cs, context) {
        // It has no state that could be half changed: it goes on behind what it was doing.
        let (next, outcome) = with_core(cs, |core| {
            let next = core.abandon(context).ok()?.1;
            Some((next, core.resume(context).ok()?))
        })?;
        note(outcome);
        queue::go_on(cs, supervision);
        return next;
    }
    supervision.life.set(Life::Dying);
    if let Some(worker_ref) =
        registry::get(cs, context).ok().and_then(|place| place.worker_ref.get(cs))
    {
        worker_ref.failed(cs);
    }
    // The handler that ran is ended here and now: in what state it is nobody knows, so nobody is
    // to drop it by unregistering it.
    if let Some(event) = served
        && let Ok(ended) = with_core(cs, |core| core.unregister(event))
    {
        note(ended.outcome);
    }
    queue::add(cs, supervision, priority);
    let (unfinished, next) = with_core(cs, |core| core.abandon(context)).ok()?;
    supervision.leave_unfinished(cs, unfinished);
    next
}
