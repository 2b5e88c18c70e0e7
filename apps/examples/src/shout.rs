//! TCP: answers in capitals on port 2001, and says good-bye when the client has.
#![no_std]
#![no_main]

use reflex::prelude::*;

struct Shout;

#[reflex::main]
fn main(system: System) -> Result {
    let shout = system.context("shout", Shout).build()?;
    system.tcp(2001).connections(64).serve(shout)?;
    Ok(())
}

impl TcpService for Shout {
    fn received(&mut self, connection: &Connection) {
        let mut block = [0; 512];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            let words = &mut block[..length];
            words.make_ascii_uppercase();
            // Takes everything: a client that does not read its answers is not listened to meanwhile.
            connection.write(words);
        }
    }

    fn closed(&mut self, connection: &Connection) {
        connection.write(b"GOOD-BYE.\n");
        connection.finish(); // once all that was written has been sent
    }
}
