//! Transfers: streams of bytes in both directions of connections, and their SHA-256.
//!
//! | port | what becomes of a connection |
//! | --- | --- |
//! | 2001 | what comes is discarded, until the peer closes |
//! | 2002 | the stream is sent, and the connection closed |
//! | 2010 to 2025 | both sides send and receive at once, and each closes behind its last byte |
//!
//! The line `connect ADDRESS:PORT`, typed at the console, opens a connection of the last kind; it is tried until it
//! is established. When both directions of such a connection have come to their ends a line says so, with the side that
//! was connected from and the port that was connected to: `transfer accepted PORT sent BYTES HASH received BYTES HASH`, or
//! `opened`; when it fails, `transfer accepted PORT failed: WHY`. The line `counters` is answered by
//! `counters bad_checksum N paths_learnt N`.
//!
//! The stream of a port has `bytes=N` bytes, and depends on `seed=N`.
#![no_std]
#![no_main]

extern crate alloc;

mod session;
mod stream;

use alloc::{boxed::Box, vec, vec::Vec};
use core::net::SocketAddrV4;
use core::ops::Range;
use reflex::kind::{Console, ConsoleBytes};
use reflex::net::Connector;
use reflex::prelude::*;
use reflex::supervise::Setup;
use reflex::{Argument, Event, println};
use session::Transfer;

/// Its connections are only received on.
const SINK: u16 = 2001;
/// Its connections are only sent on.
const SOURCE: u16 = 2002;
const EXCHANGES: Range<u16> = 2010..2026;
/// Connections of each port, and those that are opened from here.
const CONNECTIONS: u32 = 4;
const OPENED: u32 = 16;
const USUAL_BYTES: usize = 1 << 20;
/// What is put together in one go.
const BLOCK: usize = 4 << 10;
const MEMORY: usize = 1 << 20;
/// How long a side that has closed waits for one that is silent: where much is lost, Linux is so for minutes before it
/// sends something again.
const LINGER: core::time::Duration = secs(900);
/// The longest line that is understood.
const LONGEST: usize = 64;

const BYTES: Argument =
    Argument::number("bytes", 0..=1 << 30, "length of a stream").usually("1048576");
const BUFFER: Argument =
    Argument::number("buffer", 1..=4 << 20, "bytes of a connection's buffers, each of the two")
        .usually("16384");
const SEED: Argument =
    Argument::number("seed", 0..=usize::MAX, "which streams are sent").usually("0");

/// One for all connections.
pub(crate) struct Service {
    system: System,
    bytes: usize,
    seed: u64,
    block: Box<[u8]>,
    connector: Connector,
    /// Where the connections lead that are opened from here, by their places.
    peers: Vec<Option<SocketAddrV4>>,
    line: Vec<u8>,
}

#[reflex::main(arguments = &[BYTES, BUFFER, SEED])]
fn main(system: System) -> Result {
    let context = system.context_with("transfers", move |setup: Setup<'_, Service>| {
        let context = setup.context();
        let buffer = system.number(BUFFER).unwrap_or(16 << 10);
        for port in [SINK, SOURCE].into_iter().chain(EXCHANGES) {
            let listener = system.tcp(port).connections(CONNECTIONS).on_demand().linger(LINGER);
            listener.buffers(buffer, buffer).serve_each::<Transfer, _>(context)?;
        }
        let connector = system.connector().connections(OPENED).on_demand().linger(LINGER);
        let connector = connector.buffers(buffer, buffer).serve_each::<Transfer, _>(context)?;
        system.subscribe(Console::open(system)?).each::<1>().on(context, Service::typed)?;
        Ok::<_, Error>(Service {
            system,
            bytes: system.number(BYTES).unwrap_or(USUAL_BYTES),
            seed: system.number(SEED).unwrap_or(0) as u64,
            block: vec![0; BLOCK].into(),
            connector,
            peers: vec![None; OPENED as usize],
            line: Vec::new(),
        })
    });
    let buffers = 2 * system.number(BUFFER).unwrap_or(16 << 10);
    context.memory(MEMORY + OPENED as usize * buffers).build()?;
    Ok(())
}

impl Service {
    fn typed(&mut self, event: Event<'_, ConsoleBytes>) {
        for byte in event.data.iter().copied() {
            if byte == b'\n' {
                let line = core::mem::take(&mut self.line);
                self.entered(core::str::from_utf8(&line).unwrap_or_default());
            } else if self.line.len() < LONGEST {
                self.line.push(byte);
            }
        }
    }

    fn entered(&mut self, line: &str) {
        match line.strip_prefix("connect ").map(str::parse) {
            Some(Ok(peer)) => self.connect(peer),
            None if line == "counters" => self.count(),
            _ => println!("expected `connect ADDRESS:PORT` or `counters`, not `{line}`"),
        }
    }

    fn count(&self) {
        match self.system.net() {
            Ok(net) => {
                let counters = net.counters();
                println!(
                    "counters bad_checksum {} paths_learnt {}",
                    counters.bad_checksum, counters.paths_learnt
                );
            }
            Err(error) => println!("no counters: {error}"),
        }
    }

    pub(crate) fn connect(&mut self, peer: SocketAddrV4) {
        match self.connector.connect(peer) {
            Ok(connection) => self.peers[connection.slot()] = Some(peer),
            Err(error) => println!("transfer opened {} failed: {error}", peer.port()),
        }
    }
}
