//! TCP and UDP echo on port 7 (RFC 862).
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{boxed::Box, vec};
use reflex::Argument;
use reflex::prelude::*;

const PORT: u16 = 7;
/// A segment of Ethernet, and a part of the next.
const RECEIVE_BUFFER: usize = 2 << 10;
const SEND_BUFFER: usize = 2 << 10;
/// Memory that a connection takes: its buffers, and what its socket and its handler need.
const MEMORY_PER_CONNECTION: usize = RECEIVE_BUFFER + SEND_BUFFER + (3 << 10);
/// Of that, what lies in the context's event memory: its handler.
const HANDLER: usize = 64;
/// The most connections at a time, unless the command line asks for more.
const USUAL_CONNECTIONS: usize = 1024;
const CONNECTIONS: Argument =
    Argument::number("connections", 1..=1 << 20, "how many there may be at a time")
        .usually("as many as half of the memory holds, at most 1024");

/// Nothing is kept of a connection: what cannot be sent yet stays unread.
struct Echo {
    /// Where answers are put together.
    block: Box<[u8]>,
}

#[reflex::main(arguments = &[CONNECTIONS])]
fn main(system: System) -> Result {
    let affordable = system.available_memory() / 2 / MEMORY_PER_CONNECTION;
    let connections = system.number(CONNECTIONS);
    let connections = connections.unwrap_or(affordable.clamp(16, USUAL_CONNECTIONS));
    let memory = (64 << 10) + connections * HANDLER;
    let echo = Echo { block: vec![0; SEND_BUFFER].into() };
    let echo = system.context("echo", echo).memory(memory).build()?;
    let listener = system
        .tcp(PORT)
        .connections(connections as u32)
        .backlog(connections as u32)
        .buffers(RECEIVE_BUFFER, SEND_BUFFER)
        .queue(0)
        .serve(echo)?;
    // What is connected is served to its end.
    system.on_shutdown(echo, move |_, _| listener.close())?;
    system.udp(PORT).serve(echo)?;
    Ok(())
}

impl Echo {
    /// Sends back what there is room for; the rest is offered again by `sent`.
    fn echo(&mut self, connection: &Connection) {
        // A connection that is over has nothing to echo.
        while connection
            .exchange(&mut self.block, |bytes, room| {
                let length = bytes.len().min(room.len());
                room[..length].copy_from_slice(&bytes[..length]);
                (length, length)
            })
            .is_ok_and(|echoed| echoed.goes_on())
        {}
    }
}

impl TcpService for Echo {
    fn received(&mut self, connection: &Connection) {
        self.echo(connection);
    }

    fn sent(&mut self, connection: &Connection) {
        self.echo(connection);
    }
}

impl UdpService for Echo {
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
        // A datagram that cannot be answered is lost, as datagrams may be.
        let _ = socket.send_to(datagram.payload, datagram.from);
    }
}
