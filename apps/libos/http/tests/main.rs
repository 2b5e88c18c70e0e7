//! All of the crate's tests in one program: what they stand on is compiled once.

mod common;
mod properties;
mod refusals;
mod routes;
mod semantics;
mod service;
mod setup;
mod time;
