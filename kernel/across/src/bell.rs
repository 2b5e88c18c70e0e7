//! The doorbell of a core: others say in it that they have sent something, and learn whether to interrupt the core.
//!
//! ```text
//!   the sender                         the core
//!   push into the ring                 say what runs now     (store `open`)
//!   mark oneself  (RMW on `senders`)   take the marks        (RMW on `senders`)
//!   look at `open`, interrupt or not   look into the rings of the marked
//! ```
//!
//! **No wake-up is lost.** The two read-modify-writes of `senders` have an order. If the sender's is first, the
//! core finds the mark, and with it the message. If the core's is first, the sender, which acquires by its own what the
//! core has released by its, sees what the core said before, or something later, and interrupts it if that is due. That is
//! store buffering with a locked operation on both sides: neither side needs another fence.
//!
//! **One interrupt is enough.** The sender that interrupts *claims*: it lowers `open` to its own urgency, as the core will
//! have said when it serves the interrupt. Others that are no more urgent see that and leave it at their mark: the core looks
//! at all marks then. A claim that the core overwrites, because it has said something in between, costs one interrupt
//! too many and loses nothing.

use crate::sync::{AtomicU32, AtomicU64};
use core::fmt;
use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use reflex_event::{MOST_CORES, Priority};

/// Each core is a bit.
const _: () = assert!(MOST_CORES <= u64::BITS);

/// All levels interrupt a core that sleeps.
const ASLEEP: u32 = Priority::LEVELS as u32;

/// A core's doorbell. Zero at the start, when nothing interrupts the core: it looks at the marks by itself when it
/// begins to work.
#[derive(Default)]
#[repr(align(64))]
pub struct Doorbell {
    /// The bits of cores that have sent something since the core last looked.
    pub(crate) senders: AtomicU64,
    /// How many levels, from the highest down, interrupt the core.
    pub(crate) open: AtomicU32,
}

/// Cores that have sent something. Each is to be [served](crate::Port::serve).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "these cores' messages are to be taken"]
pub struct Senders(u64);

impl Doorbell {
    /// For a sender, behind its push: marks the core of number `from`, and says whether the core is to be interrupted, now, for a
    /// message of this priority.
    #[must_use = "an interrupt that is due is to be sent"]
    pub fn ring(&self, from: usize, priority: Priority) -> bool {
        self.senders.fetch_or(bit(from), AcqRel);
        let urgency = urgency(priority);
        let mut open = self.open.load(Relaxed);
        while urgency < open {
            // What the interrupt's arrival orders is ordered by `senders`, too: this word carries no data.
            match self.open.compare_exchange_weak(open, urgency, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(changed) => open = changed,
            }
        }
        false
    }

    /// For the core: it runs something of this priority, which is no less than before. What was sent before and is
    /// now beaten interrupts it in vain at worst.
    #[inline(always)]
    pub fn raise(&self, priority: Priority) {
        self.open.store(urgency(priority), Relaxed);
    }

    /// For the core: it runs something of this priority, which may be less than before, or has been interrupted, and goes on.
    /// Returns the cores that have sent something meanwhile.
    #[inline]
    pub fn run(&self, priority: Priority) -> Senders {
        self.say(urgency(priority))
    }

    /// For the core, with interrupts masked until it halts: it is about to. It must not when this returns any cores.
    pub fn sleep(&self) -> Senders {
        self.say(ASLEEP)
    }

    /// Whether any core has sent something since the marks were last taken: a glance at no cost, for a core that has
    /// come to a place where it could serve them. It proves nothing when it finds none.
    #[inline(always)]
    pub fn is_marked(&self) -> bool {
        self.senders.load(Relaxed) != 0
    }

    /// Puts marks back that could not be served yet. The core itself comes back for them.
    pub fn put_back(&self, senders: Senders) {
        self.senders.fetch_or(senders.0, Release);
    }

    fn say(&self, open: u32) -> Senders {
        self.open.store(open, Relaxed);
        // Releases the store, acquires the pushes.
        Senders(self.senders.swap(0, AcqRel))
    }
}

impl Senders {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a core.
    pub fn insert(&mut self, core: usize) {
        self.0 |= bit(core);
    }
}

impl Iterator for Senders {
    type Item = usize;

    /// The core of the lowest number.
    fn next(&mut self) -> Option<usize> {
        let core = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (core < u64::BITS).then_some(core as usize)
    }
}

/// How many levels are above a priority.
const fn urgency(priority: Priority) -> u32 {
    ASLEEP - 1 - priority.level() as u32
}

fn bit(core: usize) -> u64 {
    assert!(core < MOST_CORES as usize, "there is no such core");
    1 << core
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let senders = Senders(self.senders.load(Relaxed));
        let open = self.open.load(Relaxed);
        f.debug_struct("Doorbell").field("senders", &senders).field("open", &open).finish()
    }
}

impl fmt::Debug for Senders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(*self).finish()
    }
}
