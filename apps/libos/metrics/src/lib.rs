//! Metrics: counters, gauges and histograms, each a `static` that is declared once.
//!
//! Counting is a few instructions without a lock: relaxed atomic operations on one value, which all processors share.
//! Two metrics that are read while others count may be of different instants.
//!
//! What has been declared is held against itself by [`Registry::new`], and read as [`Sample`]s, of which
//! [`Exposition`] writes Prometheus' text format, version 0.0.4. Structures of plain numbers that a part of the
//! system counts by itself are declared by [`counters!`], and give samples too.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod check;
mod counter;
mod counters;
mod description;
mod exposition;
mod gauge;
mod histogram;
mod registry;
mod sample;

pub use counter::Counter;
pub use description::{Description, Kind, Metric};
pub use exposition::Exposition;
pub use gauge::Gauge;
pub use histogram::{BUCKETS, Histogram};
pub use registry::{Clash, Registry};
pub use sample::{Label, LabelValue, Name, Sample, Value};
