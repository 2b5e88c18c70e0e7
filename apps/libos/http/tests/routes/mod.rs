//! Requests that handlers answer.

mod bodies;
pub(crate) mod driver;
mod requests;
mod service;
