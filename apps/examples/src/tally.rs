//! A mutex: contexts of two priorities count together.
#![no_std]
#![no_main]

use reflex::prelude::*;
use reflex::{Mutex, println, status};

const ENOUGH: u32 = 6;

struct Counter {
    system: System,
    tally: Mutex<u32>,
}

#[reflex::main]
fn main(system: System) -> Result {
    let home = system.context("home", ()).build()?;
    // The ceiling is the highest priority of those that lock it.
    let tally = system.mutex(home, Priority::HIGH, 0)?;
    for (name, priority) in [("calm", Priority::LOW), ("eager", Priority::HIGH)] {
        let counter = Counter { system, tally: tally.clone() };
        let counter = system.context(name, counter).priority(priority).build()?;
        system.every(millis(10)).on(counter, |counter, _| counter.count())?;
    }
    Ok(())
}

impl Counter {
    fn count(&self) {
        let counted = self.tally.lock(|tally| {
            *tally += 1;
            println!("{tally}");
            *tally
        });
        match counted {
            Ok(ENOUGH) => self.system.exit(status::SUCCESS),
            Ok(_) => {}
            Err(error) => error!("{error}"), // one that failed in `lock` has poisoned it
        }
    }
}
