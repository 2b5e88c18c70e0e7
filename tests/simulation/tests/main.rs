//! What `reflex::testing` promises.

mod end;
mod failures;
mod loopback;
mod netio;
mod network;
mod priorities;
mod threads;
mod time;

use reflex::net::{ConnectionError, TcpService};
use reflex::prelude::*;

/// A service that sends back what it receives, and notes what it is told.
#[derive(Default)]
struct Echo {
    told: Vec<&'static str>,
    failed: Vec<ConnectionError>,
}

impl TcpService for Echo {
    fn accepted(&mut self, _: &Connection) {
        self.told.push("accepted");
    }

    fn received(&mut self, connection: &Connection) {
        let mut block = [0; 512];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            connection.write(&block[..length]);
        }
    }

    fn closed(&mut self, connection: &Connection) {
        self.told.push("closed");
        connection.finish();
    }

    fn failed(&mut self, _: &Connection, error: ConnectionError) {
        self.failed.push(error);
    }

    fn ended(&mut self, _: &Connection) {
        self.told.push("ended");
    }
}

fn echo(system: System) -> Result {
    let echo = system.context("echo", Echo::default()).memory(1 << 20).build()?;
    system.tcp(7).connections(2).serve(echo)?;
    Ok(())
}
