//! A list of what happened, written by handlers and read by the test.

use alloc::string::String;
use reflex::log;

/// What happened, in order: shared by contexts, each entry one byte.
pub(crate) struct Trace {
    entries: [core::sync::atomic::AtomicU8; 64],
    length: core::sync::atomic::AtomicUsize,
}

use core::sync::atomic::Ordering::Relaxed;

impl Trace {
    /// An empty trace, for a static.
    pub(crate) const fn new() -> Self {
        Self {
            entries: [const { core::sync::atomic::AtomicU8::new(0) }; 64],
            length: core::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// Appends an entry.
    pub(crate) fn note(&self, what: char) {
        let at = self.length.fetch_add(1, Relaxed);
        if let Some(entry) = self.entries.get(at) {
            entry.store(what as u8, Relaxed);
        }
    }

    /// What happened so far.
    pub(crate) fn text(&self) -> String {
        let length = self.length.load(Relaxed).min(self.entries.len());
        self.entries[..length].iter().map(|entry| char::from(entry.load(Relaxed))).collect()
    }

    /// Fails the test unless it happened exactly as `expected`.
    pub(crate) fn expect(&self, expected: &str) {
        log::debug!("trace: {}", self.text());
        assert_eq!(self.text(), expected);
    }
}
