//! Counters.

use crate::{Description, Kind, Metric, Sample, Value};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows, from 0 at the start; after `u64::MAX` comes 0 again.
#[derive(Debug)]
pub struct Counter {
    description: Description,
    count: AtomicU64,
}

impl Counter {
    /// A counter. The name ends in `_total`.
    ///
    /// # Panics
    /// When the name is none. In a `static` that is an error when it is compiled.
    #[track_caller]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        let description = Description::new(name, help, Kind::Counter);
        Self { description, count: AtomicU64::new(0) }
    }

    /// Has it be one of several of its name, of which this is the one where `key` is `value`. All have the same
    /// help.
    ///
    /// # Panics
    /// When the key is none, or there is a label already; as for [`new`](Self::new).
    pub const fn label(self, key: &'static str, value: &'static str) -> Self {
        Self { description: self.description.label(key, value), ..self }
    }

    /// Counts one more.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts some more.
    #[inline]
    pub fn add(&self, more: u64) {
        self.count.fetch_add(more, Relaxed);
    }

    /// How much it is.
    #[inline]
    pub fn get(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

impl Metric for Counter {
    fn description(&self) -> &Description {
        &self.description
    }

    fn sample(&'static self) -> Sample {
        self.description.sample(Value::Counter(self.get()))
    }
}
