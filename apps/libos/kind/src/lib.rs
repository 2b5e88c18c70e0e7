//! What every kind of event has in common: data of a type on its way from a source to handlers.
//!
//! The parts, in the order in which an occurrence meets them:
//!
//! 1. A [`Kind`]: what can occur, with what data, and which handlers may be told. It has a
//!    [`Source`], and [`subscribe`] registers a handler with it.
//! 2. The [`Source`] hands each occurrence to all its registrations, the highest priority first:
//!    to a single one on the spot, to several by a relay that takes them one at a time.
//! 3. A [`Delivery`] is a registration's end of it: a [`Subscription`] that filters what arrives and
//!    keeps it in the owner's event memory as the registration's [`Accumulate`] says, until the
//!    handler takes it. When it is full its [`Shortage`] says what then.
//!
//! All of it is bounded: a step of the relay serves one registration, in a section of its own.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod accumulate;
mod backlog;
mod behalf;
mod kind;
mod levels;
mod source;
mod store;
mod subscribe;
mod subscription;

pub use accumulate::{Accumulate, Counted, Each, Latest};
pub use kind::Kind;
pub use source::{Sharing, Source};
pub use store::Store;
pub use subscribe::{Terms, Trigger, subscribe};
pub use subscription::{Delivered, Delivery, Options, Shortage, Subscription};
