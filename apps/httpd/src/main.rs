//! An HTTP/1.1 server for the files in `site/`, which are part of the image.
#![no_std]
#![no_main]

use reflex::prelude::*;
use reflex::{Argument, http};

include!(concat!(env!("OUT_DIR"), "/site.rs"));

const CONNECTIONS: Argument =
    Argument::number("connections", 1..=1 << 20, "how many there may be at a time")
        .usually("as many as half of the memory holds, at most 1024");

#[reflex::main(arguments = &[CONNECTIONS])]
fn main(system: System) -> Result {
    let mut port = system.http(80).site(SITE);
    if let Some(connections) = system.number(CONNECTIONS) {
        port = port.connections(connections);
    }
    port.serve()?;
    Ok(())
}
