//! Having all cores forget translations of addresses that have changed: a TLB shootdown.
//!
//! A core that runs lets interrupts through, but for moments and where it waits for a lock. A core that has changed the address space asks, in an interrupt of its own, and goes on when all have answered:
//! nobody reaches what was unmapped any more. One core asks at a time, since it holds the address space's lock. Each
//! request has a number, and a core has answered when its own number has come up to that; so it makes no difference
//! whether the interrupt finds it, or it finds the request itself while it waits for a lock with interrupts masked.
//!
//! All translations are forgotten, not only those that changed: stacks are made and reserves closed seldom, and one
//! instruction that takes no address is simpler to be sure of.

use crate::cores;
use core::hint::spin_loop;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;
use reflex_arch::interrupt::FLUSH_VECTOR;
use reflex_arch::paging;
use reflex_arch::processors::MOST;

/// The number of the last request.
static ASKED: AtomicU64 = AtomicU64::new(0);
/// The last request that each core has answered.
static ANSWERED: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

/// Forgets all translations, if it was asked for and has not been done.
pub(crate) fn answer() {
    let answered = &ANSWERED[cores::this() as usize];
    let asked = ASKED.load(SeqCst);
    if answered.load(SeqCst) < asked {
        paging::forget_all();
        // The interrupt may have answered a later request meanwhile.
        answered.fetch_max(asked, SeqCst);
    }
}

/// Has all other cores forget their translations, and waits until they have. The caller has the address space's
/// lock, and has changed it.
pub(crate) fn ask_others() {
    let Some(means) = cores::means() else { return };
    let others = cores::others();
    let request = ASKED.fetch_add(1, SeqCst) + 1;
    for (_, id) in others.clone() {
        means.apic.send(id, FLUSH_VECTOR);
    }
    for (core, _) in others {
        while ANSWERED[core as usize].load(SeqCst) < request {
            spin_loop();
        }
    }
}

/// What the interrupt calls, interrupts masked.
#[unsafe(no_mangle)]
extern "C" fn reflex_flush() {
    answer();
    #[cfg(all(feature = "bench", not(test)))]
    crate::errand::look();
    if let Some(means) = cores::means() {
        means.apic.end_of_interrupt();
    }
}
