//! Supervision: a worker that fails is made anew, until its supervisor has had enough.
#![cfg_attr(not(test), no_std, no_main)]

use reflex::prelude::*;
use reflex::supervise::{Setup, Stopped, Verdict};
use reflex::{println, status};

struct Worker {
    jobs: u32,
}

struct Supervisor;

#[reflex::main]
fn main(system: System) -> Result {
    let supervisor = system.context("supervisor", Supervisor).build()?;
    let worker = system.context_with("worker", move |setup: Setup<'_, Worker>| {
        // Here begins each life: its state is new, and so are its handlers.
        system.every(millis(10)).on(setup.context(), |worker, _| worker.work())?;
        Ok::<_, Error>(Worker { jobs: 0 })
    });
    let worker = worker.build()?;
    let decide = move |_: &mut Supervisor, stopped: &Stopped| {
        println!("{} has failed: {}", stopped.name, stopped.failures);
        if stopped.failures == 3 {
            system.exit(status::SUCCESS);
        }
        Verdict::Restart
    };
    system.supervise(worker.id(), supervisor, decide)?.set_priority(Priority::HIGH)?;
    Ok(())
}

impl Worker {
    fn work(&mut self) {
        self.jobs += 1;
        println!("job {}", self.jobs);
        assert!(self.jobs < 2, "too much work");
    }
}

#[cfg(test)]
#[path = "tests/phoenix.rs"]
mod tests;
