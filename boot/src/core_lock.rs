//! A lock that cores wait for.
//!
//! It is held with dispatch deferred, or with interrupts masked, so that its holder is never preempted: another
//! core waits no longer than the holder's few instructions take. A core that waits goes on forgetting translations
//! of addresses as it is [asked to](crate::shootdown), since the holder may be waiting for just that. Cores get it in no
//! order.

use crate::{cores, shootdown};
use core::hint::spin_loop;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// What no core holds, and what the first one does.
const FREE: u32 = 0;
const FIRST: u32 = 1;

/// A lock.
pub(crate) struct CoreLock {
    /// The number of the core that holds it, plus 1; [`FREE`] if none does.
    holder: AtomicU32,
}

/// A lock that is held, until this is dropped.
#[must_use = "the lock is given back when this is dropped"]
pub(crate) struct Held<'a>(&'a CoreLock);

impl CoreLock {
    pub(crate) const fn new() -> Self {
        Self { holder: AtomicU32::new(FREE) }
    }

    /// Takes the lock, once no other core has it; `None` when the caller's has it already. Dispatch is deferred or
    /// interrupts are masked: another context of the core would be taken for the holder.
    pub(crate) fn hold(&self) -> Option<Held<'_>> {
        if self.enter() { Some(Held(self)) } else { None }
    }

    /// As [`hold`](Self::hold), to be ended by [`leave`](Self::leave): false when the caller's core has it already.
    /// Written out for the heap, which pays for each instruction: one core has a flag.
    #[inline(always)]
    pub(crate) fn enter(&self) -> bool {
        if cores::several() {
            return self.wait();
        }
        // Nothing comes between these two.
        if self.holder.load(Relaxed) != FREE {
            return false;
        }
        self.holder.store(FIRST, Relaxed);
        true
    }

    /// Gives the lock back.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.holder.store(FREE, Release);
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) -> bool {
        let own = cores::this() + 1;
        loop {
            match self.holder.compare_exchange_weak(FREE, own, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(holder) if holder == own => return false,
                Err(_) => {
                    shootdown::answer();
                    spin_loop();
                }
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_holder_is_refused_until_it_is_given_back() {
        let lock = CoreLock::new();
        let held = lock.hold();
        assert!(held.is_some() && lock.hold().is_none());
        drop(held);
        assert!(lock.hold().is_some());
    }
}
