//! Work for another core, done in its interrupt: for tests of what cores do to each other, with the feature `bench`.

use crate::cores;
use core::hint::spin_loop;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32};
use reflex_arch::interrupt::FLUSH_VECTOR;

/// The work, and the core that is to do it.
static WORK: AtomicPtr<fn()> = AtomicPtr::new(null_mut());
static CORE: AtomicU32 = AtomicU32::new(0);

/// Has the core `number` call `work`, with interrupts masked, and waits until it has; false when there is no such
/// core. One caller at a time.
pub fn on(number: u32, work: fn()) -> bool {
    let core = cores::others().find(|(other, _)| *other == number);
    let (Some(means), Some((_, id))) = (cores::means(), core) else { return false };
    let mut work = work;
    CORE.store(number, Relaxed);
    WORK.store(&raw mut work, Release);
    means.apic.send(id, FLUSH_VECTOR);
    while !WORK.load(Acquire).is_null() {
        spin_loop();
    }
    true
}

/// Does what this core is to do, in its interrupt.
pub(crate) fn look() {
    let work = WORK.load(Acquire);
    if work.is_null() || CORE.load(Relaxed) != cores::this() {
        return;
    }
    // SAFETY: the caller of `on` waits, with the function that this points to, until the word is null.
    unsafe { (*work)() };
    WORK.store(null_mut(), Release);
}
