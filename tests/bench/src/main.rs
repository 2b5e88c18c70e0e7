//! What the event system costs, measured inside the image by the time stamp counter: guest
//! instructions under `-icount shift=0`, time otherwise. Each figure goes to the host as a line
//! `#! figure events CASE events=N value=V unit=U`.
//!
//! The command line says how many events are registered: `events=10,1000,100000`.
#![no_std]
#![no_main]

extern crate alloc;

mod contexts;
mod control;
mod crowd;
mod executors;
mod figure;
mod flood;
mod idle;
mod memory;
mod operations;
mod rings;
mod sharing;

use crowd::Crowd;
use figure::Report;
use reflex::{Argument, Error, System, machine_line, measure};

/// Numbers of registered events beside which is measured.
const EVENTS: Argument = Argument::text("events", "N,...", "beside so many").usually("10,1000");
const FLOOD: Argument = Argument::flag("flood", "under a flood of datagrams");
const MEMORY_COSTS: Argument = Argument::flag("memory-costs", "those of the heap");

#[reflex::main(arguments = &[EVENTS, FLOOD, MEMORY_COSTS, figure::ICOUNT])]
fn main(system: System) -> Result<(), Error> {
    let report = Report::new(system);
    machine_line!("figure events tsc-frequency value={} unit=Hz", system.machine().tsc_hz);
    if system.flag(FLOOD) {
        return flood::run(system, report);
    }
    if system.flag(MEMORY_COSTS) {
        memory::all(system, report);
        system.exit(0);
    }
    let crowd = Crowd::new(system)?;
    // What went before is start-up, which nothing can interrupt.
    measure::reset();
    let sizes = system.argument(EVENTS).unwrap_or("10,1000");
    for size in sizes.split(',').filter_map(|size| size.parse().ok()) {
        crowd.grow(size)?;
        crowd.tell();
        operations::all(system, &report, size)?;
        control::all(system, &report, size)?;
        contexts::all(system, &report, size)?;
        rings::all(system, &report, size)?;
        sharing::all(system, &report, size)?;
        executors::all(system, &report, size)?;
    }
    // The idle figures need a `main` that has returned.
    idle::begin(system, report)
}
