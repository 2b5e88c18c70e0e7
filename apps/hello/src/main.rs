//! The smallest appliance: it says hello and turns the machine off.
#![no_std]
#![no_main]

use reflex::{System, log, status};

#[reflex::main]
fn main(system: System) {
    log::info!("Hello from Reflex, {} us after the start", system.now().as_micros());
    system.exit(status::SUCCESS);
}
