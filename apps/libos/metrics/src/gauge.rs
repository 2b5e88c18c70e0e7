//! Gauges.

use crate::{Description, Kind, Metric, Sample, Value};
use core::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// A number that goes up and down, from 0 at the start.
#[derive(Debug)]
pub struct Gauge {
    description: Description,
    level: AtomicI64,
}

impl Gauge {
    /// A gauge.
    ///
    /// # Panics
    /// When the name is none. In a `static` that is an error when it is compiled.
    #[track_caller]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        let description = Description::new(name, help, Kind::Gauge);
        Self { description, level: AtomicI64::new(0) }
    }

    /// As [`Counter::label`](crate::Counter::label).
    ///
    /// # Panics
    /// As there.
    pub const fn label(self, key: &'static str, value: &'static str) -> Self {
        Self { description: self.description.label(key, value), ..self }
    }

    /// It is `level` from now on.
    #[inline]
    pub fn set(&self, level: i64) {
        self.level.store(level, Relaxed);
    }

    /// One more.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// One less.
    #[inline]
    pub fn dec(&self) {
        self.add(-1);
    }

    /// Some more, or less when it is negative.
    #[inline]
    pub fn add(&self, more: i64) {
        self.level.fetch_add(more, Relaxed);
    }

    /// How much it is.
    #[inline]
    pub fn get(&self) -> i64 {
        self.level.load(Relaxed)
    }
}

impl Metric for Gauge {
    fn description(&self) -> &Description {
        &self.description
    }

    fn sample(&'static self) -> Sample {
        self.description.sample(Value::Gauge(self.get()))
    }
}
