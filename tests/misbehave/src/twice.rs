//! A metric that is declared twice: the image does not start.
#![no_std]
#![no_main]

use reflex::metrics::{Counter, Gauge};
use reflex::{Result, System, println};

#[reflex::metric]
static ONE: Counter = Counter::new("twice_done_total", "what was done");
#[reflex::metric]
static DEPTH: Gauge = Gauge::new("twice_depth", "how deep it is");
#[reflex::metric]
static OTHER: Counter = Counter::new("twice_done_total", "what was done");

#[reflex::main]
fn main(_: System) -> Result {
    println!("{} {} {}", ONE.get(), DEPTH.get(), OTHER.get());
    Ok(())
}
