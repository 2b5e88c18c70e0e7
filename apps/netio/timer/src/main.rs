//! NetIO's third example: a timer counts down to the end.
//!
//! The original counts seconds; `period_ms=N` on the kernel command line makes it faster.
#![no_std]
#![no_main]

use reflex::{Argument, Error, System, println, status};
use reflex_netio::{
    netio_init, netio_run, netio_terminate, netio_timer_init, netio_timer_start_ms,
};

/// Milliseconds between two expirations.
const PERIOD: Argument =
    Argument::number("period_ms", 1..=1_000_000, "milliseconds of the timer").usually("1000");

#[reflex::main(arguments = &[PERIOD])]
fn main(system: System) -> Result<(), Error> {
    let ctx = netio_init(system, 10u32)?;
    let evloop = ctx.evloop.clone();
    let timer = netio_timer_init(&ctx.evloop, move |counter: &mut u32| {
        println!("{counter}");
        *counter -= 1;
        if *counter == 0 {
            netio_terminate(&evloop);
        }
    })?;
    let period = system.number(PERIOD).unwrap_or(1_000);
    netio_timer_start_ms(&timer, period as u64)?;
    netio_run(&ctx.evloop)?;
    system.exit(status::SUCCESS)
}
