//! What other contexts see of a store, and may set of it.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A number that one context counts and others read.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Counts `more`. Only the counting context does: so it needs no locked instruction.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.set(self.get() + more);
    }

    #[inline]
    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Relaxed);
    }
}

/// What has been counted since the start, but for the first three, which are of now.
#[derive(Default, Debug)]
pub struct Counters {
    /// Keys.
    pub keys: Counter,
    /// Keys with a deadline.
    pub expiring: Counter,
    /// Connections.
    pub clients: Counter,
    /// Connections that there have been.
    pub connections: Counter,
    /// Commands.
    pub commands: Counter,
    /// Commands that were answered by an error.
    pub failures: Counter,
    /// Connections that were closed since their bytes are no RESP.
    pub protocol_errors: Counter,
    /// Bytes that were received.
    pub received: Counter,
    /// Bytes that were handed out to be sent.
    pub sent: Counter,
    /// Reads of keys that there were.
    pub hits: Counter,
    /// Reads of keys that there were not.
    pub misses: Counter,
    /// Keys that were removed since their time was up.
    pub expired: Counter,
    /// Keys that were removed to make room.
    pub evicted: Counter,
    /// Writes and replies that were refused for want of memory.
    pub refused: Counter,
    /// Deadlines that there was no timer for: such a key is removed when it is next asked for.
    pub untimed: Counter,
}

/// What is done when a store is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Writes are refused.
    NoEviction,
    /// Keys that have not been used for long are removed: the oldest of some that are looked at by chance.
    AllKeysLru,
}

impl Policy {
    /// The policy of a name.
    pub fn named(name: &[u8]) -> Option<Self> {
        [Self::NoEviction, Self::AllKeysLru]
            .into_iter()
            .find(|policy| policy.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoEviction => "noeviction",
            Self::AllKeysLru => "allkeys-lru",
        }
    }
}

/// Limits of a store, which may change while it is used.
#[derive(Debug)]
pub struct Limits {
    memory: AtomicUsize,
    evicts: AtomicBool,
}

impl Limits {
    /// Bytes of the context's memory that may be used.
    pub fn memory(&self) -> usize {
        self.memory.load(Relaxed)
    }

    /// Sets that. The store follows with its next write, or when it is [told](crate::Engine::trim).
    pub fn set_memory(&self, bytes: usize) {
        self.memory.store(bytes, Relaxed);
    }

    /// What is done beyond.
    pub fn policy(&self) -> Policy {
        if self.evicts.load(Relaxed) { Policy::AllKeysLru } else { Policy::NoEviction }
    }

    /// Sets that.
    pub fn set_policy(&self, policy: Policy) {
        self.evicts.store(policy == Policy::AllKeysLru, Relaxed);
    }
}

/// What contexts share of a store.
#[derive(Debug)]
pub struct Shared {
    /// What it counts.
    pub counters: Counters,
    /// What bounds it.
    pub limits: Limits,
}

impl Shared {
    /// Those of a store that has nothing yet.
    pub fn new(memory: usize, policy: Policy) -> Self {
        let limits = Limits { memory: AtomicUsize::new(memory), evicts: AtomicBool::new(false) };
        limits.set_policy(policy);
        Self { counters: Counters::default(), limits }
    }
}
