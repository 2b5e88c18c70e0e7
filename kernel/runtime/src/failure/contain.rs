//! Giving a context up: what goes wrong in a handler ends the handler's context, and no more.
//!
//! ```text
//!   panic ────────────────▶ on the dying stack ──────────┐
//!   exception ─────────────▶ IRETQ to the reserve ───────┤ give_up ──▶ what runs next
//!   time budget, request ──▶ doomed ──▶ the burial job ──┘    │
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
//! When kernel code runs on a stack that its context has used up, that is the context's fault: a
//! *reserve* under the stack is mapped for as long as the kernel code needs it, and then the
//! context is given up.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{attempt, kill, registry};
use crate::cpu;
use crate::cpu::home::RESERVE;
use crate::cpu::job::LAST;
use crate::cpu::options::OnFailure;
use crate::cpu::reason::{Reason, Text};
use crate::cpu::registers::Registers;
use crate::cpu::scope::{DOOMED, Scopes};
use crate::cpu::supervision::{Life, Supervision};
use crate::dispatch::event_core::{note, running, with_core};
use crate::dispatch::section::{Free, Outermost, Section, Start, section};
use crate::dispatch::{event_core, job, memory, pending, section, switch};
use crate::failure::queue;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering::Relaxed;
use reflex_arch::exception::ExceptionFrame;
use reflex_arch::{context, fpu, interrupt};
use reflex_event::{ContextId, Next, Priority};

/// Exceptions that are the running code's fault: all but debugging, NMI, double fault and machine
/// check (SDM volume 3, table 6-1).
const FAULTS: u32 = !(1 << 1 | 1 << 2 | 1 << 8 | 1 << 18);
const PAGE_FAULT: u64 = 14;
/// The interrupt flag, and the bit of the flags that is always set.
const INTERRUPTS: u64 = 1 << 9;
const ALWAYS: u64 = 1 << 1;

/// Makes the job that buries contexts. It comes after all others, as it may not return.
pub(crate) fn init(start: &Start) {
    job::set_last(start, bury);
}

/// A panic, with what the registers held. Does not return when it can be contained.
pub fn panicked(text: &dyn fmt::Display, registers: &Registers) {
    if !interrupt::enabled() {
        return;
    }
    let culprit = if section::deferred() {
        if let Some(attempt) = attempt::latest() {
            if let Some(owner) = attempt.owner() {
                tell(owner, text);
            }
            let saved = attempt.fail(Reason::Panic);
            // SAFETY: it is under way on this stack, and what it has called has panicked.
            unsafe { context::give_up(saved) }
        }
        None
    } else {
        section(culprit)
    };
    let Some(culprit) = culprit else { return };
    tell(culprit, text);
    fail(culprit, Reason::Panic, registers)
}

/// Keeps what a panic says.
fn tell(culprit: &'static Supervision, text: &dyn fmt::Display) {
    // A panic in the telling of a panic is told without words.
    if !culprit.tells.replace(true) {
        let mut words = Text::EMPTY;
        // What does not fit is left out.
        let _ = write!(words, "{text}");
        culprit.text.set(words);
    }
}

/// The running context, which is supervised, has come to an end. The caller is in no section, on
/// its stack.
pub(crate) fn fail(culprit: &'static Supervision, reason: Reason, registers: &Registers) -> ! {
    let failed = section::outermost(|outermost| {
        culprit.registers.set(*registers);
        culprit.reason.set(reason);
        bury_running(outermost)
    });
    failed.expect("a context fails in no section")
}

/// An exception. True when it has been dealt with, and the frame says where to go on.
pub fn faulted(frame: &mut ExceptionFrame) -> bool {
    if FAULTS >> frame.vector & 1 == 0 {
        return false;
    }
    let unmasked = frame.rflags & INTERRUPTS != 0;
    let culprit = if unmasked && !section::deferred() {
        // SAFETY: as asked above.
        let outermost = unsafe { Free::assume() }.hold();
        let culprit = culprit(&outermost);
        if culprit.is_none() {
            // Nothing is lost: what was posted meanwhile is served at the next section's end.
            let _ = outermost.give_up();
        }
        culprit
    } else {
        None
    };
    let overflow = frame.vector == PAGE_FAULT && overflows(frame.cr2 as usize);
    if unmasked
        && let Some(attempt) = attempt::latest()
        && (!overflow || attempt.had_room(frame.cr2 as usize))
    {
        frame.rdi = attempt.fail(exception(frame)) as u64;
        frame.rip = context::give_up as *const () as u64;
        return true;
    }
    let Some(culprit) = culprit else {
        return overflow && open_reserve(frame.cr2 as usize, frame.rsp as usize);
    };
    let own = culprit.home.reserve().contains(&(frame.cr2 as usize));
    culprit.registers.set(Registers::of(frame));
    culprit.reason.set(if overflow && own { Reason::StackOverflow } else { exception(frame) });
    // The section stays open until the context has been given up. That is done on the reserve:
    // what is on the dead stack is still to be looked at.
    let reserve = culprit.home.reserve();
    frame.rip = grave as *const () as u64;
    frame.rsp = reserve.end as u64;
    if !memory::open_reserve(reserve) {
        return false;
    }
    frame.rflags = INTERRUPTS | ALWAYS;
    true
}

fn exception(frame: &ExceptionFrame) -> Reason {
    Reason::Exception { vector: frame.vector as u8, address: frame.rip, operand: frame.cr2 }
}

/// Whether the address is in some context's reserve.
fn overflows(address: usize) -> bool {
    owner(address).is_some()
}

fn owner(address: usize) -> Option<usize> {
    cpu::this().reserves.iter().position(|begin| {
        let begin = begin.load(Relaxed);
        begin != 0 && address.wrapping_sub(begin) < RESERVE
    })
}

/// Kernel code, running on a context's stack, has come to the end of that. True when it may go on.
fn open_reserve(address: usize, stack_pointer: usize) -> bool {
    let Some(index) = owner(address) else { return false };
    // The access was one to the stack in use, a few words or a page's probe away; or one to the
    // running context's, by an interrupt's entry, which is on a stack of its own then.
    let running = event_core::peek_running().is_some_and(|at| usize::from(at.index) == index);
    let near = stack_pointer.abs_diff(address) <= RESERVE;
    let begin = cpu::this().reserves[index].load(Relaxed);
    if !(near || running) || !memory::open_reserve(begin..begin + RESERVE) {
        return false;
    }
    cpu::this().overflowed.store(index as u32 + 1, Relaxed);
    pending::post(LAST);
    true
}

/// The running context, if it can be given up where it is. The section is the outermost.
fn culprit(cs: &Section) -> Option<&'static Supervision> {
    let context = with_core(cs, |core| {
        let context = core.running()?;
        (core.machine(context).scopes.open() == 0).then_some(context)
    })?;
    let supervision = registry::at(cs, context).ok()?.supervision?;
    (supervision.on_failure.get() != OnFailure::Halt).then_some(supervision)
}

/// The burial job: gives up what is condemned, the running context last, because then it does not
/// return.
fn bury() {
    // SAFETY: a job: the code that runs it has the outermost section, and does not use that before
    // this has returned.
    let mut outermost = unsafe { Outermost::assume() };
    let cs: &Section = &outermost;
    let overflowed = cpu::this().overflowed.swap(0, Relaxed);
    if let Some(Ok(Some(supervision))) = overflowed.checked_sub(1).map(|index| {
        registry::name(cs, index as u16).and_then(|context| registry::supervision(cs, context))
    }) {
        kill::doom(cs, supervision, Reason::StackOverflow);
    }
    let condemned = cpu::this().condemned.get(cs);
    let running = running(cs);
    let mut last = false;
    for index in condemned.indices() {
        let Ok(context) = registry::name(cs, index) else { continue };
        if with_core(cs, |core| core.machine(context).scopes.guards) != DOOMED {
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
        bury_running(&mut outermost)
    }
}

/// Why a context has been condemned that takes the image with it.
fn halts(cs: &Section, context: ContextId) -> Option<Reason> {
    let supervision = registry::supervision(cs, context).ok()??;
    (supervision.on_failure.get() == OnFailure::Halt).then(|| supervision.reason.get())
}

/// Where an exception leads that has ended a context.
///
/// # Safety
/// The caller holds the outermost section; the stack is empty, and nobody else's.
#[unsafe(naked)]
unsafe extern "C" fn grave() {
    core::arch::naked_asm!("call {bury}", "ud2", bury = sym bury_here)
}

extern "C" fn bury_here() -> ! {
    // SAFETY: `faulted` has left the outermost section open for this.
    let mut outermost = unsafe { Outermost::assume() };
    bury_running(&mut outermost)
}

/// Gives the running context up, on the stack of which this is.
fn bury_running(outermost: &mut Outermost) -> ! {
    // SAFETY: nothing of the dying context's is needed any more; the rounding mode was its own.
    unsafe { fpu::reset() };
    let next = running(outermost).and_then(|context| give_up(outermost, context));
    switch::go_to(outermost, next.unwrap_or(Next::Idle))
}

/// Gives a context up: its handler, and what is on its stack. The rest is the supervisor's, which
/// is activated. Returns what runs next, if the context was running.
fn give_up(cs: &Section, context: ContextId) -> Option<Next> {
    let supervision = registry::supervision(cs, context).ok()??;
    let mut condemned = cpu::this().condemned.get(cs);
    condemned.remove(context.index);
    cpu::this().condemned.set(cs, condemned);
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
            Some((next, core.release(context).ok()?))
        })?;
        note(outcome);
        queue::go_on(cs, supervision);
        return next;
    }
    supervision.life.set(Life::Dying);
    if let Some(member) = registry::at(cs, context).ok().and_then(|place| place.member.get(cs)) {
        member.failed(cs);
    }
    // The handler that ran is ended here and now: in what state it is nobody knows, so nobody is
    // to drop it by unregistering it.
    if let Some(event) = served {
        let _ = with_core(cs, |core| core.unregister(event));
    }
    queue::bury(cs, supervision, priority);
    let (unfinished, next) = with_core(cs, |core| core.abandon(context)).ok()?;
    supervision.leave_unfinished(cs, unfinished);
    next
}
