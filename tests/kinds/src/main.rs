//! Echoes what arrives, told by event kinds: of TCP connections and in datagrams at port 7, and,
//! as `typed: LINE`, at the console, until somebody types `end`.
#![no_std]
#![no_main]

use reflex::kind::{Console, ConsoleBytes, Tcp, TcpChange, TcpEvent, Udp};
use reflex::net::Connection;
use reflex::{Error, Event, Priority, System, log, status};

const PORT: u16 = 7;
const CONNECTIONS: u32 = 16;
/// The longest line that is said back whole.
const LONGEST: usize = 128;

#[reflex::main]
fn main(system: System) -> Result<(), Error> {
    let line = Line { system, bytes: [0; LONGEST], length: 0 };
    let typing = system.context("typing", line).build()?;
    // One at a time: the source is held up again and again.
    system.subscribe(Console::open(system)?).each::<1>().on(typing, Line::typed)?;

    let tcp = Tcp::listen(system, PORT, CONNECTIONS, Priority::DEFAULT)?;
    let state = Echo { closing: [false; CONNECTIONS as usize] };
    let echo = system.context("echo", state).build()?;
    system.subscribe(tcp).each::<2>().on(echo, |echo: &mut Echo, event| {
        echo.happened(&event.data);
    })?;

    let udp = Udp::open(system, PORT, Priority::DEFAULT)?;
    let socket = udp.socket().clone();
    system.subscribe(udp).on(echo, move |_: &mut Echo, event| {
        if let Err(error) = socket.send_to(&event.data.payload, event.data.from) {
            log::warn!("{error}");
        }
    })?;
    Ok(())
}

/// Connections on which the peer will send no more, by slot.
struct Echo {
    closing: [bool; CONNECTIONS as usize],
}

impl Echo {
    fn happened(&mut self, TcpEvent { connection, change }: &TcpEvent) {
        let closing = &mut self.closing[connection.slot()];
        match change {
            TcpChange::Accepted => *closing = false,
            TcpChange::Received | TcpChange::Sent => echo(connection),
            TcpChange::Closed => {
                *closing = true;
                echo(connection);
            }
            TcpChange::Failed(error) => log::info!("a connection failed: {error}"),
            TcpChange::Ended => {}
        }
        if *closing && connection.receivable() == Ok(0) {
            connection.close();
        }
    }
}

/// Sends back what has arrived, as far as there is room.
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

/// A line that grows.
struct Line {
    system: System,
    bytes: [u8; LONGEST],
    length: usize,
}

impl Line {
    fn typed(&mut self, event: Event<'_, ConsoleBytes>) {
        for byte in event.data.iter().copied() {
            if byte == b'\n' {
                self.entered();
            } else if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }

    fn entered(&mut self) {
        let line = &self.bytes[..core::mem::take(&mut self.length)];
        if line == b"end" {
            self.system.exit(status::SUCCESS);
        }
        log::info!("typed: {}", line.escape_ascii());
    }
}
