//! The RDMA ping of librdmacm's `rping`, to which either side can be Linux.
//!
//! The client tells the server where its message lies, and the server reads it; then where it wants
//! it back, and the server writes it there. Each step is confirmed by a message.
//!
//! Keys of the kernel command line: `client=ADDRESS` pings that server, otherwise this is one;
//! `port=N`, 7174 unless given; of a client `count=N` (10) and `size=BYTES` (64).
#![no_std]
#![no_main]

extern crate alloc;

mod client;
mod server;
mod session;

use core::net::IpAddr;
use reflex::{Argument, Error, System};

/// Where `rping` listens.
const PORT: usize = 7174;

const LISTEN: Argument =
    Argument::number("port", 1..=65_535, "where it listens, or the peer does").usually("7174");
const CLIENT: Argument =
    Argument::text("client", "ADDRESS", "pings that peer").usually("listens itself");

#[reflex::main(arguments = &[LISTEN, CLIENT, client::COUNT, client::SIZE])]
fn main(system: System) -> Result<(), Error> {
    let port = system.number(LISTEN).unwrap_or(PORT) as u16;
    match system.argument(CLIENT) {
        Some(address) => {
            let server: IpAddr = address.parse().map_err(|_| "client: expected an IP address")?;
            client::start(system, (server, port))
        }
        None => server::start(system, port),
    }
}
