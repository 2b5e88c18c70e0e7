//! Timers and arguments: counts down, five times a second, from where the kernel command line says.
#![cfg_attr(not(test), no_std, no_main)]

use reflex::prelude::*;
use reflex::{Argument, println, status};

const FROM: Argument = Argument::number("from", 1..=60, "where to begin").usually("5");

struct Countdown {
    left: usize,
}

#[reflex::main(arguments = &[FROM])]
fn main(system: System) -> Result {
    let left = system.number(FROM).unwrap_or(5);
    println!("From {left}:");
    let countdown = system.context("countdown", Countdown { left }).build()?;
    system.every(millis(200)).on(countdown, move |countdown, tick| {
        // More than one when the handler could not run in time: none is lost.
        for _ in 0..tick.count {
            if countdown.left == 0 {
                println!("Lift-off!");
                system.exit(status::SUCCESS);
            }
            println!("{}", countdown.left);
            countdown.left -= 1;
        }
    })?;
    Ok(())
}

#[cfg(test)]
#[path = "tests/countdown.rs"]
mod tests;
