//! Panics and exceptions: which context's fault one is, and where it goes on from there.
//!
//! When kernel code runs on a stack that its context has used up, that is the context's fault: a
//! *reserve* under the stack is mapped for as long as the kernel code needs it, and then the
//! context is given up.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{attempt, registry};
use crate::cpu;
#[cfg(feature = "hosted")]
use crate::cpu::contain::Payload;
use crate::cpu::home::RESERVE;
use crate::cpu::job::LAST;
use crate::cpu::options::OnFailure;
use crate::cpu::reason::{Reason, Text};
use crate::cpu::registers::Registers;
use crate::cpu::supervision::Supervision;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::{Free, Outermost, Section, section};
use crate::dispatch::{event_core, memory, pending, section};
use crate::failure::contain::{fail, give_up_running};
use core::fmt::{self, Write};
use core::sync::atomic::Ordering::Relaxed;
use reflex_arch::exception::ExceptionFrame;
use reflex_arch::{context, interrupt};

/// Exceptions that are the running code's fault: all but debugging, NMI, double fault and machine
/// check (SDM volume 3, table 6-1).
const FAULTS: u32 = !(1 << 1 | 1 << 2 | 1 << 8 | 1 << 18);
const PAGE_FAULT: u64 = 14;
/// The interrupt flag, and the bit of the flags that is always set.
const INTERRUPTS: u64 = 1 << 9;
const ALWAYS: u64 = 1 << 1;

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

/// A panic that has unwound to where the code was called that it is in.
#[cfg(feature = "hosted")]
pub(crate) fn unwound(payload: Payload) -> ! {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<alloc::string::String>().map(|text| &**text));
    panicked(&text.unwrap_or("a panic without words"), &Registers::here());
    cpu::this().crash.get()(payload)
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
    let address = frame.cr2 as usize;
    if unmasked && let Some(attempt) = attempt::latest() {
        let own = frame.vector == PAGE_FAULT && attempt.overflows(address);
        let reason = if own { Reason::StackOverflow } else { exception(frame) };
        frame.rdi = attempt.fail(reason) as u64;
        frame.rip = context::give_up as *const () as u64;
        return true;
    }
    let Some(culprit) = culprit else {
        return frame.vector == PAGE_FAULT
            && (attempt::open_reserve(address)
                || overflow && open_reserve(address, frame.rsp as usize));
    };
    let own = culprit.home.reserve().contains(&(frame.cr2 as usize));
    culprit.registers.set(Registers::of(frame));
    culprit.reason.set(if overflow && own { Reason::StackOverflow } else { exception(frame) });
    // The section stays open until the context has been given up. That is done on the reserve:
    // what is on the dead stack is still to be looked at.
    let reserve = culprit.home.reserve();
    frame.rip = exit_entry as *const () as u64;
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
    let supervision = registry::get(cs, context).ok()?.supervision?;
    (supervision.on_failure.get() != OnFailure::Halt).then_some(supervision)
}

/// Where an exception leads that has ended a context.
///
/// # Safety
/// The caller holds the outermost section; the stack is empty, and nobody else's.
#[unsafe(naked)]
unsafe extern "C" fn exit_entry() {
    core::arch::naked_asm!("call {give_up}", "ud2", give_up = sym give_up_here)
}

extern "C" fn give_up_here() -> ! {
    // SAFETY: `faulted` has left the outermost section open for this.
    let mut outermost = unsafe { Outermost::assume() };
    give_up_running(&mut outermost)
}
