//! A number that outlives the machine: how often the image was started, on the first sector of a disk called `boots`.
#![cfg_attr(not(test), no_std, no_main)]

use reflex::disk::{Completion, Disk, Operation, Request, SECTOR};
use reflex::prelude::*;
use reflex::{println, status, supervise::Setup};

struct Boots {
    system: System,
    disk: Disk,
}

#[reflex::main]
fn main(system: System) -> Result {
    // Starts the disks. Without this one there is nothing to do.
    let _ = system.disk("boots")?;
    system.context_with("boots", move |setup| Boots::start(system, setup)).build()?;
    Ok(())
}

impl Boots {
    fn start(system: System, setup: Setup<'_, Boots>) -> Result<Boots> {
        let disk = system.disk("boots")?.on(setup.context(), Boots::done)?;
        let sector = system.pool(setup.context())?.bytes(SECTOR).map_err(|_| "no memory")?;
        disk.submit(Request::read(0, sector))?;
        Ok(Boots { system, disk })
    }

    /// The memory goes from step to step: read, count, write, flush.
    fn done(&mut self, done: &mut Completion<'_>) {
        done.result.expect("the disk does what it is asked for");
        let next = match (done.operation, done.take_bytes()) {
            (Operation::Read, Some(mut sector)) => {
                sector[0] = sector[0].wrapping_add(1);
                println!("started {} times", sector[0]);
                Request::write(0, sector)
            }
            (Operation::Write, _) => Request::flush(),
            // What was written survives a loss of power now.
            _ => self.system.exit(status::SUCCESS),
        };
        self.disk.submit(next).expect("there is a place: that of what is done");
    }
}

#[cfg(test)]
#[path = "tests/boots.rs"]
mod tests;
