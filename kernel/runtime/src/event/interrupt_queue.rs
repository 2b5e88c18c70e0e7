//! Signals fired where nothing may be activated: in interrupt context. They wait in a list
//! without bound or memory of its own, and a job activates them.

use crate::cpu;
use crate::cpu::job::Job;
use crate::cpu::line::PendingSignal;
use crate::dispatch::pending_signals::{self, address, signal};
use crate::dispatch::section::{Section, Start};
use crate::event::activate::activate_deferred;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;
use reflex_event::Error;

/// Makes the job that empties the interrupt signal queue.
pub(crate) fn init(start: &Start) -> Result<(), Error> {
    let job = Job::in_section(|outermost| drain(outermost))?;
    cpu::this().interrupt_queue.set(start, job);
    Ok(())
}

fn drain(cs: &Section) {
    let mut at = oldest();
    while let Some(signal) = at {
        // Before the count is taken: from then on an interrupt may link the signal anew.
        at = signal.behind();
        let fired = signal.fired.swap(0, Relaxed);
        // A stale event has been unregistered meanwhile; an overrun leaves the most that can be
        // counted, which is what a counter's saturation means.
        if activate_deferred(cs, signal.event(), fired) == Err(Error::CoreBusy) {
            pending_signals::keep(signal, fired);
        }
    }
}

/// Takes the list, turned round: it is the order in which the signals were fired that counts.
/// Interrupts leave a signal's link alone until its count has been taken.
fn oldest() -> Option<&'static PendingSignal> {
    let mut at = signal(cpu::this().newest.swap(null_mut(), Relaxed));
    let mut turned = None;
    while let Some(signal) = at {
        at = signal.behind();
        signal.next.store(address(turned), Relaxed);
        turned = Some(signal);
    }
    turned
}
