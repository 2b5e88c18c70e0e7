//! Says back what arrives, told by event kinds: in datagrams at port 7, by a kind of its own, and, as `typed: LINE`, at
//! the console, until somebody types `end`.
#![no_std]
#![no_main]

use core::net::SocketAddrV4;
use reflex::kind::{Console, ConsoleBytes, Source};
use reflex::net::{Datagram, UdpService, UdpSocket};
use reflex::{Error, Event, Lent, Pool, System, log, status};

const PORT: u16 = 7;
/// The longest line that is said back whole.
const LONGEST: usize = 128;

#[reflex::main]
fn main(system: System) -> Result<(), Error> {
    let line = Line { system, bytes: [0; LONGEST], length: 0 };
    let typing = system.context("typing", line).build()?;
    // One at a time: the source is held up again and again.
    system.subscribe(Console::open(system)?).each::<1>().on(typing, Line::typed)?;

    // What finds no room is dropped, as it is everywhere on a network.
    let source: Source<Parcel> = system.exclusive(|| {})?;
    let echo = system.context("echo", ()).build()?;
    let arrivals = Arrivals { source: source.clone(), pool: system.pool(echo)? };
    let arrivals = system.context("arrivals", arrivals).build()?;
    let socket = system.udp(PORT).serve(arrivals)?;
    system.subscribe(source).each::<2>().on(echo, move |(), event| {
        if let Err(error) = socket.send_to(&event.data.payload, event.data.from) {
            log::warn!("{error}");
        }
    })?;
    Ok(())
}

/// What arrived, in the memory of the context that is told.
struct Parcel {
    from: SocketAddrV4,
    payload: Lent<[u8]>,
}

/// Datagrams on their way to the source.
struct Arrivals {
    source: Source<Parcel>,
    pool: &'static Pool,
}

impl UdpService for Arrivals {
    fn datagram(&mut self, _: &UdpSocket, datagram: Datagram<'_>) {
        let Ok(mut payload) = self.pool.bytes(datagram.payload.len()) else { return };
        payload.copy_from_slice(datagram.payload);
        let _full = self.source.deliver(Parcel { from: datagram.from, payload });
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
