//! The engine, driven as a network does it.

mod common;
mod limits;
mod model;
mod protocol;
mod replies;
mod scans;
