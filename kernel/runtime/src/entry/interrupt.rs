//! Interrupts: acknowledged; in a section the job is posted, nothing else; outside of any it is served at once.

use crate::context::attempt;
use crate::cpu;
use crate::cpu::line::Purpose;
use crate::dispatch::section::{Free, Outermost, Section};
use crate::dispatch::{idle, measure, pending_signals, switch, timer};
use crate::entry::expiry;
use crate::entry::expiry::When;
use crate::event::activate;
use reflex_arch::interrupt::{self as arch, FIRST_VECTOR, VECTORS};
use reflex_event::Error;

pub use crate::dispatch::vector::{Vector, in_interrupt};

/// Every interrupt but the timer's, masked, on the interrupted stack.
#[unsafe(no_mangle)]
extern "C" fn reflex_interrupt(vector: u64) {
    measure::masked_from();
    idle::woken();
    let place = (vector as usize).wrapping_sub(usize::from(FIRST_VECTOR)) % VECTORS;
    // SAFETY: interrupts are masked.
    let line = unsafe { &mut cpu::this().lines.get()[place] };
    if let Some(device) = &mut line.acknowledge {
        device.acknowledge();
    }
    timer::end_of_interrupt();
    let Ok(mut outermost) = Outermost::open() else {
        measure::interrupted();
        match line.purpose {
            Purpose::Event(event, signal) => pending_signals::fire(signal, event),
            Purpose::Job(job) => job.post(),
            Purpose::Free | Purpose::Reserved => {}
        }
        measure::masked_until();
        return;
    };
    measure::masked_until();
    // The line is not looked at any more once the next interrupt may be.
    match line.purpose {
        Purpose::Event(event, signal) => {
            let_through();
            // An event that has been unregistered concerns nobody any more.
            if activate::activate_held(&mut outermost, event, 1) == Err(Error::CoreBusy) {
                pending_signals::keep(signal, 1);
            }
        }
        purpose => serve_purpose(&mut outermost, purpose),
    }
    leave(outermost);
}

/// The timer's interrupt, masked, on the interrupted stack.
#[unsafe(no_mangle)]
extern "C" fn reflex_timer_interrupt() {
    measure::masked_from();
    idle::woken();
    timer::end_of_interrupt();
    let Ok(mut outermost) = Outermost::open() else { return timer_in_section() };
    measure::masked_until();
    let_through();
    expiry::interrupt(&mut outermost);
    leave(outermost);
}

/// The timer's interrupt has come in a section.
#[inline(never)]
fn timer_in_section() {
    measure::interrupted();
    timer::has_come();
    // SAFETY: a section is open, and the code that has it does not run before this has returned; or it is
    // given up where it is, and then the section stays.
    attempt::tick(unsafe { Section::assume() });
    measure::masked_until();
}

/// Does what an interrupt is about that is no occurrence by itself. Out of the way of those that are. The caller has interrupts masked.
#[inline(never)]
fn serve_purpose(outermost: &mut Outermost, purpose: Purpose) {
    let_through();
    if let Purpose::Job(job) = purpose {
        switch::service(outermost, job.bits());
    }
}

/// The end of an interrupt that found no section open: what waits is served, and then interrupts
/// are masked from before the last look until the return. Else those that arrive between the two
/// could pile up their frames on this stack without bound.
#[inline(always)]
fn leave(mut outermost: Outermost) {
    arch::disable();
    measure::masked_from();
    loop {
        let free = outermost.give_up();
        if !free.waits() {
            break;
        }
        outermost = serve(free);
    }
    measure::masked_until();
}

/// Lets interrupts through again in the course of one that has been acknowledged.
#[inline(always)]
fn let_through() {
    // SAFETY: one was taken, so they were enabled.
    unsafe { arch::enable() }
}

#[cold]
#[inline(never)]
fn serve(free: Free) -> Outermost {
    let mut outermost = free.hold();
    measure::masked_until();
    let_through();
    if timer::take_pending() {
        expiry::expire(&mut outermost, When::Now);
    } else {
        switch::service(&mut outermost, 0);
    }
    arch::disable();
    measure::masked_from();
    outermost
}
