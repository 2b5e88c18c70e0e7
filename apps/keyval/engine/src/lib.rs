//! A key-value store that speaks RESP2, the protocol of redis, without a network in sight: bytes that were received
//! go in, replies come out, however both are cut.
//!
//! ```text
//!   received bytes ─▶ parser ─▶ command ─▶ Database ─▶ reply ─▶ room to send
//!                       │                     │          │
//!                    Request               Store      Backlog      what waits, of each connection
//!                                        Blobs, deadlines
//! ```
//!
//! An [`Engine`] has commands, [`Database`] or [`Admin`]; a [`Session`] is what is kept of a connection. Everything
//! lies in the event memory of one context ([`Memory`](reflex_collections::Memory)) and is bounded by it: a store by
//! [`Limits`], beyond which keys are evicted or writes refused.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod admin;
mod arguments;
mod backlog;
mod blobs;
mod bytes;
mod command;
mod commands;
mod counters;
mod database;
mod deadlines;
mod engine;
mod entry;
mod evict;
mod failure;
mod glob;
mod info;
mod inline;
mod number;
mod parser;
mod reply;
mod request;
mod session;
mod settings;
mod store;

pub use admin::{Admin, Appliance};
pub use arguments::LONGEST_KEY;
pub use counters::{Counter, Counters, Limits, Policy, Shared};
pub use database::Database;
pub use deadlines::Deadlines;
pub use engine::{Engine, Exchanged, Execute};
pub use failure::{Failure, ProtocolError};
pub use info::Facts;
pub use session::Session;
