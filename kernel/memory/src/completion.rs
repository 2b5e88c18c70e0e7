//! The completion ring: what has occurred, taken in order and in batches by several readers.
//!
//! One [`Producer`], the kernel, pushes; any number of [`Reader`]s on any threads, contexts or
//! cores take. Each entry is taken once, and each reader gets its entries in the order they were
//! pushed. When the ring is full, a push is refused and nothing is lost: the kernel lets
//! what does not fit wait behind it, in order, and pushes it when there is room.
//!
//! ```text
//!      head                tail
//!   ----+--+--+--+--+--+--+--+----   a position is a slot's number, modulo how many there are,
//!       |  |  |  |  |  |  |          and never comes again: it has 64 bits
//!   ----+--+--+--+--+--+--+--+----
//!     taken from here     pushed here
//! ```
//!
//! **Progress.** The producer is wait-free: it looks at `head` once and never waits for a reader.
//! Readers are lock-free: a reader copies entries *first* and then claims them by moving `head`
//! past them, so it never holds anything, and may be preempted or killed anywhere without others
//! waiting for it. If `head` has moved meanwhile, what it copied may be half overwritten; it is
//! forgotten, and the reader tries again. That happens only because another reader has taken
//! something, so of those that compete one always gets on. (Claiming first and copying then
//! would be wait-free for readers, but a preempted reader would keep its slots, and with them the
//! producer, waiting for ever.)
//!
//! Why a claim that succeeds has copied the right entries: `head` only grows, so it was the same
//! all the time between its load and the claim. The producer overwrites a position's slot only
//! after it has seen a `head` beyond that position, that is, after the claim; and the claim
//! (release) is seen (acquire) before, so the copying came first.

use crate::sync::AtomicU64;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Entries that a reader claims at once, at most: as many as it keeps room for on its stack.
const BATCH: usize = 16;

/// What a ring carries: a value of up to two words. Words, because entries are copied while they
/// may be overwritten, which is defined for atomic integers only.
pub trait Entry: Copy {
    /// The value as words.
    fn into_words(self) -> [u64; 2];

    /// What [`into_words`](Self::into_words) was given; the words are never any others.
    fn from_words(words: [u64; 2]) -> Self;
}

impl Entry for u64 {
    fn into_words(self) -> [u64; 2] {
        [self, 0]
    }

    fn from_words([word, _]: [u64; 2]) -> Self {
        word
    }
}

impl Entry for [u64; 2] {
    fn into_words(self) -> [u64; 2] {
        self
    }

    fn from_words(words: [u64; 2]) -> Self {
        words
    }
}

/// A place for an entry.
#[derive(Debug)]
struct Slot([AtomicU64; 2]);

/// A counter with a cache line of its own: producer and readers write to one each.
#[derive(Debug)]
#[repr(align(64))]
struct Position(AtomicU64);

/// A ring of `N` slots, a power of two. It is used by its two [ends](Self::split).
#[derive(Debug)]
pub struct CompletionRing<T, const N: usize> {
    /// The position taken next.
    head: Position,
    /// The position pushed to next; at most `N` beyond `head`.
    tail: Position,
    slots: [Slot; N],
    entries: PhantomData<fn(T) -> T>,
}

/// The end that pushes; there is one.
pub struct Producer<'r, T>(Ring<'r, T>);

/// An end that takes.
pub struct Reader<'r, T>(Ring<'r, T>);

/// A ring's parts, whatever its size.
struct Ring<'r, T> {
    head: &'r AtomicU64,
    tail: &'r AtomicU64,
    slots: &'r [Slot],
    entries: PhantomData<fn(T) -> T>,
}

impl<T: Entry, const N: usize> CompletionRing<T, N> {
    /// An empty ring.
    pub fn new() -> Self {
        const { assert!(N.is_power_of_two(), "a ring has a power of two of slots") };
        let zero = || AtomicU64::new(0);
        Self {
            head: Position(zero()),
            tail: Position(zero()),
            slots: core::array::from_fn(|_| Slot([zero(), zero()])),
            entries: PhantomData,
        }
    }

    /// The end that pushes and one that takes, of which there may be copies.
    pub fn split(&mut self) -> (Producer<'_, T>, Reader<'_, T>) {
        let (head, tail, slots) = (&self.head.0, &self.tail.0, &self.slots[..]);
        let ring = Ring { head, tail, slots, entries: PhantomData };
        (Producer(ring), Reader(ring))
    }
}

impl<T: Entry> Producer<'_, T> {
    /// Puts `value` behind all others. Wait-free.
    ///
    /// # Errors
    /// The value, when the ring is full.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        let Ring { head, tail, .. } = self.0;
        let at = tail.load(Relaxed);
        if at - head.load(Acquire) == self.0.slots.len() as u64 {
            return Err(value);
        }
        let slot = self.0.slot(at);
        for (place, word) in slot.0.iter().zip(value.into_words()) {
            place.store(word, Relaxed);
        }
        tail.store(at + 1, Release);
        Ok(())
    }

    /// Entries in the ring; readers may take some at any time.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the ring is empty, and stays so until the next push.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Entry> Reader<'_, T> {
    /// Takes the oldest entries, at most as many as `into` has room for, and puts them into its
    /// first places in the order they were pushed. Returns how many. Lock-free.
    pub fn take(&self, into: &mut [Option<T>]) -> usize {
        let mut taken = 0;
        for part in into.chunks_mut(BATCH) {
            let mut words = [[0; 2]; BATCH];
            let count = self.claim(&mut words[..part.len()]);
            // Only now: before the claim, words of different entries might have met.
            for (place, words) in part.iter_mut().zip(&words[..count]) {
                *place = Some(T::from_words(*words));
            }
            taken += count;
            if count < part.len() {
                break;
            }
        }
        taken
    }

    /// Takes at most so many consecutive entries at once, and returns how many.
    fn claim(&self, into: &mut [[u64; 2]]) -> usize {
        let Ring { head, tail, .. } = self.0;
        let mut from = head.load(Acquire);
        loop {
            // Not less than `from`: the consumer that moved `head` there had seen as much.
            let there = tail.load(Acquire) - from;
            let count = into.len().min(there as usize);
            if count == 0 {
                return 0;
            }
            for (position, words) in (from..).zip(&mut into[..count]) {
                let Slot([first, second]) = self.0.slot(position);
                *words = [first.load(Relaxed), second.load(Relaxed)];
            }
            match head.compare_exchange(from, from + count as u64, Release, Acquire) {
                Ok(_) => return count,
                Err(moved) => from = moved,
            }
        }
    }

    /// Entries in the ring; others may take or push some at any time.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there was nothing to take.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Ring<'_, T> {
    /// The slot of a position.
    fn slot(&self, position: u64) -> &Slot {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    fn len(&self) -> usize {
        // In this order: `tail` is then no less.
        let head = self.head.load(Acquire);
        let there = self.tail.load(Acquire) - head;
        (there as usize).min(self.slots.len())
    }
}

impl<T: Entry, const N: usize> Default for CompletionRing<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Ring<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ring<'_, T> {}

impl<T> Clone for Reader<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Reader<'_, T> {}

impl<T> fmt::Debug for Producer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("entries", &self.0.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Reader<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("entries", &self.0.len()).finish_non_exhaustive()
    }
}
