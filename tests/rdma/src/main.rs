//! The server that the `verbs` program of a Linux peer talks to: it does what that asks, and the
//! program knows what has to come of it. `qemu/peer/rdma/verbs.h` says what both have to know.
#![no_std]
#![no_main]

extern crate alloc;

mod message;
mod peer;
mod server;

use reflex::{Error, System};

#[reflex::main]
fn main(system: System) -> Result<(), Error> {
    server::start(system)
}
