//! Requests that handlers answer.

mod bodies;
mod driver;
mod requests;
