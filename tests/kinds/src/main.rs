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
    let echo = system.context("echo", Echo).build()?;
    system.subscribe(tcp).each::<2>().on(echo, |_: &mut Echo, event| happened(&event.data))?;

    let udp = Udp::open(system, PORT, Priority::DEFAULT)?;
    let socket = udp.socket().clone();
    system.subscribe(udp).on(echo, move |_: &mut Echo, event| {
        if let Err(error) = socket.send_to(&event.data.payload, event.data.from) {
            log::warn!("{error}");
        }
    })?;
    Ok(())
}

struct Echo;

fn happened(TcpEvent { connection, change }: &TcpEvent) {
    match change {
        TcpChange::Received => echo(connection),
        TcpChange::Closed => connection.finish(),
        TcpChange::Failed(error) => log::info!("a connection failed: {error}"),
        TcpChange::Accepted | TcpChange::Sent | TcpChange::Ended => {}
    }
}

/// Sends back what has arrived.
fn echo(connection: &Connection) {
    let mut block = [0; 1024];
    while let Ok(length @ 1..) = connection.read(&mut block) {
        connection.write(&block[..length]);
    }
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
