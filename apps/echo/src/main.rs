//! TCP and UDP echo on port 7 (RFC 862).
//!
//! Keys of the kernel command line: `connections=N`, how many there may be at a time; as many as
//! half of the memory holds, at most 1024, unless given.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{vec, vec::Vec};
use reflex::net::{Connection, Datagram, TcpService, UdpService, UdpSocket};
use reflex::{Error, System};

const PORT: u16 = 7;
/// A segment of Ethernet, and a part of the next.
const RECEIVE_BUFFER: usize = 2 << 10;
const SEND_BUFFER: usize = 2 << 10;
/// Event memory for a connection: its buffers, and what its socket and its handler need.
const MEMORY_PER_CONNECTION: usize = RECEIVE_BUFFER + SEND_BUFFER + (3 << 10);
/// The most connections at a time, unless the command line asks for more.
const CONNECTIONS: usize = 1024;

/// What cannot be sent yet stays unread: all that is kept of a connection is whether its peer has
/// said everything, while something of it is unread. By the connection's slot.
struct Echo {
    closing: Vec<bool>,
}

#[reflex::main]
fn main(system: System) -> Result<(), Error> {
    let affordable = system.available_memory() / 2 / MEMORY_PER_CONNECTION;
    let connections = system.number("connections", 1..=1 << 20)?;
    let connections = connections.unwrap_or(affordable.clamp(16, CONNECTIONS));
    let memory = connections * MEMORY_PER_CONNECTION + (128 << 10);
    let echo = Echo { closing: vec![false; connections] };
    let echo = system.context("echo", echo).memory(memory).build()?;
    let listener = system
        .tcp(PORT)
        .connections(connections as u32)
        .backlog(connections as u32)
        .buffers(RECEIVE_BUFFER, SEND_BUFFER)
        .serve(echo)?;
    // What is connected is served to its end.
    system.on_shutdown(echo, move |_, _| listener.close())?;
    system.udp(PORT).serve(echo)?;
    Ok(())
}

impl Echo {
    /// Sends back what there is room for; the rest is offered again by `sent`.
    fn echo(connection: &Connection) {
        let mut block = [0; 1024];
        // A connection that is over has nothing to echo.
        while connection
            .exchange(&mut block, |bytes, room| {
                let length = bytes.len().min(room.len());
                room[..length].copy_from_slice(&bytes[..length]);
                (length, length)
            })
            .is_ok_and(|echoed| echoed > 0)
        {}
    }

    /// Closes our side, if the peer has closed its own and all it has said is echoed.
    fn close_behind(&mut self, connection: &Connection) {
        let closing = &mut self.closing[connection.slot()];
        if *closing && connection.receivable().is_ok_and(|unread| unread == 0) {
            connection.close();
            *closing = false;
        }
    }
}

impl TcpService for Echo {
    fn received(&mut self, connection: &Connection) {
        Self::echo(connection);
    }

    fn sent(&mut self, connection: &Connection) {
        Self::echo(connection);
        self.close_behind(connection);
    }

    fn closed(&mut self, connection: &Connection) {
        self.closing[connection.slot()] = true;
        self.close_behind(connection);
    }

    fn accepted(&mut self, connection: &Connection) {
        // The connection that had the slot before may have ended in the middle.
        self.closing[connection.slot()] = false;
    }
}

impl UdpService for Echo {
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
        // A datagram that cannot be answered is lost, as datagrams may be.
        let _ = socket.send_to(datagram.payload, datagram.from);
    }
}
