//! The ring of a pair of cores: one pushes, the other takes, and neither waits.
//!
//! ```text
//!      taken                pushed
//!   ----+--+--+--+--+--+--+--+----   a position is a slot's number, modulo how many there are,
//!       |  |  |  |  |  |  |          and never comes again: it has 64 bits
//!   ----+--+--+--+--+--+--+--+----
//! ```
//!
//! A producer that has found no room may say so, with the priority of what waits ([`Producer::want_room`]); the consumer
//! learns it when it asks ([`Consumer::room_wanted`]), once.
//!
//! Each end keeps its own position and the last that it has seen of the other's, and looks at the other's only when
//! the ring seems full or empty: as long as neither is so, the ends touch no word of each other's.

use crate::sync::{AtomicU32, AtomicU64, UnsafeCell};
use core::fmt;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use reflex_event::Priority;

/// A position with a cache line of its own: each is written by one core.
#[derive(Debug)]
#[repr(align(64))]
struct Position(AtomicU64);

/// A place for an entry. One that is at a position from `taken` to `pushed` has a value, and is the consumer's;
/// every other has none, and is the producer's.
type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// A ring of `N` slots, a power of two. It is used by its two [ends](Self::split).
pub struct PairRing<T, const N: usize> {
    taken: Position,
    /// At most `N` beyond `taken`.
    pushed: Position,
    /// The level of what waits for room, plus 1; 0 when nothing does.
    wanted: AtomicU32,
    slots: [Slot<T>; N],
}

/// The end that pushes.
pub struct Producer<'r, T> {
    ring: Parts<'r, T>,
    pushed: u64,
    /// What was last seen of `taken`; it is no less.
    taken: u64,
}

/// The end that takes.
pub struct Consumer<'r, T> {
    ring: Parts<'r, T>,
    taken: u64,
    /// What was last seen of `pushed`; it is no less.
    pushed: u64,
}

/// A ring's parts, whatever its size.
struct Parts<'r, T> {
    taken: &'r AtomicU64,
    pushed: &'r AtomicU64,
    wanted: &'r AtomicU32,
    slots: &'r [Slot<T>],
}

// SAFETY: the ends that share a ring may be on two threads. A slot's value is moved in by the one and out by the
// other, which needs `T: Send`; no reference to one is given out. Which end may touch a slot is said by the positions:
// each is stored with release after the slot was touched, and loaded with acquire before the other touches it.
unsafe impl<T: Send> Send for Parts<'_, T> {}

impl<T, const N: usize> PairRing<T, N> {
    /// An empty ring.
    pub fn new() -> Self {
        const { assert!(N.is_power_of_two(), "a ring has a power of two of slots") };
        Self {
            taken: Position(AtomicU64::new(0)),
            pushed: Position(AtomicU64::new(0)),
            wanted: AtomicU32::new(0),
            slots: core::array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())),
        }
    }

    /// The ends. What the ring held, it still holds.
    pub fn split(&mut self) -> (Producer<'_, T>, Consumer<'_, T>) {
        let (taken, pushed) = (self.taken.0.load(Acquire), self.pushed.0.load(Acquire));
        let Self { taken: Position(at_taken), pushed: Position(at_pushed), wanted, slots } = self;
        let (at_taken, at_pushed, wanted, slots) = (&*at_taken, &*at_pushed, &*wanted, &*slots);
        let ring = || Parts { taken: at_taken, pushed: at_pushed, wanted, slots };
        (Producer { ring: ring(), pushed, taken }, Consumer { ring: ring(), taken, pushed })
    }
}

impl<T> Producer<'_, T> {
    /// Puts `value` behind all others. Wait-free.
    ///
    /// # Errors
    /// The value, when the ring is full.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        // SAFETY: the position is `pushed`, less than the ring's size beyond a `taken` that was loaded with acquire:
        // the slot has no value, and it is this end's, of which there is one, until `pushed` is stored.
        self.ring.slot(self.pushed).with_mut(|slot| unsafe { (*slot).write(value) });
        self.pushed += 1;
        self.ring.pushed.store(self.pushed, Release);
        Ok(())
    }

    /// Whether the next push is refused.
    #[inline]
    pub fn is_full(&mut self) -> bool {
        let size = self.ring.slots.len() as u64;
        if self.pushed - self.taken == size {
            self.taken = self.ring.taken.load(Acquire);
        }
        self.pushed - self.taken == size
    }

    /// Says that something of this priority waits for room. The consumer learns it when it next asks: it has to be
    /// brought to that, by its [doorbell](crate::Doorbell::ring), after this.
    pub fn want_room(&mut self, priority: Priority) {
        self.ring.wanted.store(u32::from(priority.level()) + 1, Release);
    }
}

impl<T> Consumer<'_, T> {
    /// Takes the value that was pushed first. Wait-free.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: the position is `taken`, before a `pushed` that was loaded with acquire: the slot has a value, and
        // it is this end's, of which there is one, until `taken` is stored; then it counts as having none.
        let value =
            self.ring.slot(self.taken).with_mut(|slot| unsafe { (*slot).assume_init_read() });
        self.taken += 1;
        self.ring.taken.store(self.taken, Release);
        Some(value)
    }

    /// Whether there is nothing to take.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        if self.taken == self.pushed {
            self.pushed = self.ring.pushed.load(Acquire);
        }
        self.taken == self.pushed
    }

    /// The priority of what waits for room, if the producer has said so since this was last asked. The producer is to
    /// be told, if there is room.
    #[inline]
    pub fn room_wanted(&mut self) -> Option<Priority> {
        if self.ring.wanted.load(Relaxed) == 0 {
            return None;
        }
        Priority::new(self.ring.wanted.swap(0, AcqRel).checked_sub(1)? as u8)
    }
}

impl<'r, T> Parts<'r, T> {
    /// The slot of a position.
    fn slot(&self, position: u64) -> &'r Slot<T> {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }
}

impl<T, const N: usize> Drop for PairRing<T, N> {
    fn drop(&mut self) {
        let (_, mut consumer) = self.split();
        while consumer.pop().is_some() {}
    }
}

impl<T, const N: usize> Default for PairRing<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> fmt::Debug for PairRing<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairRing").field("slots", &N).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Producer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("pushed", &self.pushed).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Consumer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("taken", &self.taken).finish_non_exhaustive()
    }
}
