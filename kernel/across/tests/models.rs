//! Every interleaving that the memory model allows, within a bound of preemptions: the crate's own sources, compiled
//! with loom's atomics in place of the processor's. They are a part of the ordinary tests.
//!
//! Loom never lets a load see a store that comes after it, so that one ordering is not tried here: that each end of a
//! ring looks at the other's position by an acquiring load before it touches a slot again is by the argument in
//! `ring.rs`.
#![allow(dead_code, unreachable_pub)]

#[path = "../src/bell.rs"]
mod bell;
#[path = "../src/port.rs"]
mod port;
#[path = "../src/requests.rs"]
mod requests;
#[path = "../src/ring.rs"]
mod ring;

/// What the sources find in place of `src/sync.rs`.
mod sync {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64};
}

#[path = "models/control.rs"]
mod control;
#[path = "models/core.rs"]
mod core_model;
#[path = "models/full.rs"]
mod full;
#[path = "models/rings.rs"]
mod rings;
#[path = "models/wake.rs"]
mod wake;

// The sources' paths to the root.
use bell::Doorbell;
use port::Port;

/// Tries the interleavings with at most so many preemptions.
fn model(preemptions: usize, work: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(work);
}
