//! A state for each connection: a chat room on port 2002, where all hear what one of them says.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{format, vec::Vec};
use reflex::net::{ConnectionError, Session};
use reflex::prelude::*;

#[derive(Default)]
struct Room {
    guests: Vec<Connection>,
    visits: u32,
}

/// What is kept of one connection.
struct Guest {
    number: u32,
    line: Vec<u8>,
}

#[reflex::main]
fn main(system: System) -> Result {
    let room = system.context("room", Room::default()).build()?;
    system.tcp(2002).connections(32).serve_each::<Guest, _>(room)?;
    Ok(())
}

/// A connection that never reads is reset when more waits for it than its queue holds.
fn tell_all(room: &Room, number: u32, words: &[u8]) {
    let line = format!("{number}: {}\n", words.trim_ascii().escape_ascii());
    room.guests.iter().for_each(|guest| _ = guest.write(line.as_bytes()));
}

impl Session<Room> for Guest {
    fn opened(room: &mut Room, connection: &Connection) -> Option<Self> {
        room.visits += 1;
        room.guests.push(connection.clone());
        tell_all(room, room.visits, b"(comes in)");
        Some(Guest { number: room.visits, line: Vec::new() })
    }

    fn received(&mut self, room: &mut Room, connection: &Connection) {
        let mut byte = [0];
        while let Ok(1) = connection.read(&mut byte) {
            self.line.extend(byte);
            // A long line is said in parts: what a peer may have kept is bounded.
            if byte == *b"\n" || self.line.len() == 200 {
                tell_all(room, self.number, &self.line);
                self.line.clear();
            }
        }
    }

    fn over(self, room: &mut Room, connection: &Connection, _: Option<ConnectionError>) {
        room.guests.retain(|guest| guest != connection);
        tell_all(room, self.number, b"(has gone)");
    }
}
