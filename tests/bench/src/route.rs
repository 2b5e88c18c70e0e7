//! A page that a handler makes, in a context of its own: what `cargo reflex bench http` counts beside those of files.
#![no_std]
#![no_main]

use reflex::http::{Refusal, Reply, Request};
use reflex::prelude::*;

/// As long as the file that others are asked for.
static PAGE: [u8; 128] = [b'x'; 128];

#[reflex::main]
fn main(system: System) -> Result {
    let pages = system.context("pages", 0u64).build()?;
    system.http(80).get("/:page", pages, page).serve()?;
    Ok(())
}

fn page(served: &mut u64, request: &Request<'_>) -> Result<Reply, Refusal> {
    if request.parameter("page") != Some("small.txt") {
        return Err(Refusal::NoSuchPath);
    }
    *served += 1;
    Ok(Reply::ok().text(&PAGE[..]))
}
