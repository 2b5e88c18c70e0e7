//! The program of the README: a greeting for each client of port 2000.
#![cfg_attr(not(test), no_std, no_main)]

use reflex::prelude::*;

#[derive(Default)]
struct Greeter {
    greeted: u64,
}

#[reflex::main]
fn main(system: System) -> Result {
    let greeter = system.context("greeter", Greeter::default()).build()?;
    system.every(secs(10)).on(greeter, |greeter, _| info!("{} greeted", greeter.greeted))?;
    system.tcp(2000).connections(64).serve(greeter)?;
    Ok(()) // from here on the image is its handlers
}

impl TcpService for Greeter {
    fn accepted(&mut self, connection: &Connection) {
        self.greeted += 1;
        connection.write(b"Good day.\n");
    }

    fn received(&mut self, connection: &Connection) {
        connection.discard();
    }
}

#[cfg(test)]
mod tests;
