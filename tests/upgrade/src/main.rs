//! An appliance with a service that is replaced by another implementation every few milliseconds,
//! while it serves.
//!
//! TCP and UDP port 9. Each byte is answered by one: `1` or `2`, the implementation that has got
//! it. To `?` over TCP the answer is a line instead, of 11 digits, a space and 11 digits: how many
//! bytes have been answered, by whichever implementation, and how often it was replaced.
#![no_std]
#![no_main]

use core::time::Duration;
use reflex::net::{Connection, Datagram, Listener, TcpService, UdpService, UdpSocket};
use reflex::{Context, Error, ReplaceError, System, Tick, log};

const PORT: u16 = 9;
const PERIOD: Duration = Duration::from_millis(3);
const CONNECTIONS: u32 = 32;
const BUFFER: usize = 1 << 10;
/// Digits of a number in an answer.
const DIGITS: usize = 11;
/// Bytes that are answered at a time.
const BLOCK: usize = 64;
/// Bytes of an answer to `?`.
const LINE: usize = 2 * DIGITS + 2;

#[reflex::main]
fn main(system: System) -> Result<(), Error> {
    let first = Service::<1> { answered: 0, replaced: 0 };
    let first = system.context("service", first).build()?;
    let listener = system.tcp(PORT).connections(CONNECTIONS).buffers(BUFFER, BUFFER);
    let listener = listener.serve(first)?;
    let socket = system.udp(PORT).serve(first)?;
    let operator = Operator { system, listener, socket, present: Present::First(first) };
    let operator = system.context("operator", operator).build()?;
    system.every(PERIOD).on(operator, Operator::replace)?;
    Ok(())
}

/// The service, in two implementations.
struct Service<const VERSION: u8> {
    answered: u64,
    replaced: u64,
}

impl<const VERSION: u8> Service<VERSION> {
    /// What one implementation hands over to the other.
    fn after<const BEFORE: u8>(before: Service<BEFORE>) -> Result<Self, Service<BEFORE>> {
        Ok(Self { answered: before.answered, replaced: before.replaced + 1 })
    }

    /// Answers bytes; returns the answer's length.
    fn answer(&mut self, bytes: &[u8], answer: &mut [u8; BLOCK * LINE]) -> usize {
        let mut written = 0;
        for byte in bytes {
            let rest = &mut answer[written..];
            written += if *byte == b'?' {
                digits(&mut rest[..DIGITS], self.answered);
                rest[DIGITS] = b' ';
                digits(&mut rest[DIGITS + 1..LINE - 1], self.replaced);
                rest[LINE - 1] = b'\n';
                LINE
            } else {
                rest[0] = b'0' + VERSION;
                self.answered += 1;
                1
            };
        }
        written
    }
}

/// Writes a number, filled up with zeroes.
fn digits(into: &mut [u8], mut number: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl<const VERSION: u8> TcpService for Service<VERSION> {
    fn received(&mut self, connection: &Connection) {
        let (mut block, mut answer) = ([0; BLOCK], [0; BLOCK * LINE]);
        while let Ok(length @ 1..) = connection.read(&mut block) {
            let length = self.answer(&block[..length], &mut answer);
            connection.write(&answer[..length]);
        }
    }
}

impl<const VERSION: u8> UdpService for Service<VERSION> {
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
        let block = [b'0' + VERSION; BUFFER];
        let length = datagram.payload.len().min(block.len());
        // A datagram that cannot be answered is lost, as datagrams may be.
        let _ = socket.send_to(&block[..length], datagram.from);
    }
}

/// The service's context, under the type it has at present.
enum Present {
    First(Context<Service<1>>),
    Second(Context<Service<2>>),
}

/// The context that replaces the service.
struct Operator {
    system: System,
    listener: Listener,
    socket: UdpSocket,
    present: Present,
}

impl Operator {
    fn replace(&mut self, _: Tick) {
        let replaced = match self.present {
            Present::First(context) => self.replaced(context).map(Present::Second),
            Present::Second(context) => self.replaced(context).map(Present::First),
        };
        match replaced {
            Ok(present) => self.present = present,
            Err(error) => log::error!("the service was not replaced: {error}"),
        }
    }

    fn replaced<const BEFORE: u8, const AFTER: u8>(
        &self,
        context: Context<Service<BEFORE>>,
    ) -> Result<Context<Service<AFTER>>, ReplaceError> {
        let replacement = self.system.replace::<Service<AFTER>>(context);
        let replacement = replacement.serve(&self.listener).serve(&self.socket);
        replacement.apply(Service::<AFTER>::after::<BEFORE>)
    }
}
