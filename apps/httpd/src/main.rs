//! An HTTP/1.1 server for the files in `site/`, which are part of the image.
#![no_std]
#![no_main]

mod stream;

use core::time::Duration;
use reflex::http::{self, Limits, Service};
use reflex::net::{Connection, ConnectionError, TcpService};
use reflex::{Argument, Error, System, Tick, log};
use stream::Port;

include!(concat!(env!("OUT_DIR"), "/site.rs"));

/// Several requests that come at once.
const RECEIVE_BUFFER: usize = 4 << 10;
/// Most files of a site in one go, with what is not acknowledged yet.
const SEND_BUFFER: usize = 8 << 10;
/// Memory that a connection takes: its buffers, and what its socket and its handler need.
const MEMORY_PER_CONNECTION: usize = RECEIVE_BUFFER + SEND_BUFFER + (4 << 10);
/// Of that, what lies in the context's event memory: its handler.
const HANDLER: usize = 64;
/// The most connections at a time, unless the command line asks for more.
const USUAL_CONNECTIONS: usize = 1024;
const CONNECTIONS: Argument =
    Argument::number("connections", 1..=1 << 20, "how many there may be at a time")
        .usually("as many as half of the memory holds, at most 1024");

/// The server: one context, all connections.
struct Web {
    system: System,
    service: Service<Port>,
}

#[reflex::main(arguments = &[CONNECTIONS])]
fn main(system: System) -> Result<(), Error> {
    let affordable = system.available_memory() / 2 / MEMORY_PER_CONNECTION;
    let connections = system.number(CONNECTIONS);
    let connections = connections.unwrap_or(affordable.clamp(16, USUAL_CONNECTIONS));
    let limits = Limits { large_heads: connections.div_ceil(64), ..Limits::default() };
    let service = Service::new(SITE, limits, connections, unix_time(system)).map_err(|error| {
        log::error!("{error}");
        Error::Application("the embedded site cannot be served")
    })?;
    let web = system
        .context("web", Web { system, service })
        .memory((64 << 10) + connections * HANDLER)
        .build()?;
    system.every(Duration::from_secs(1)).on(web, Web::tick)?;
    let listener = system
        .tcp(80)
        .connections(connections as u32)
        .backlog(connections as u32)
        .buffers(RECEIVE_BUFFER, SEND_BUFFER)
        .queue(0)
        .serve(web)?;
    // What is in hand is answered, and a silent client is not waited for.
    system.on_shutdown(web, move |web, _| {
        listener.close();
        web.service.shut_down();
    })?;
    Ok(())
}

impl Web {
    fn tick(&mut self, _: Tick) {
        let uptime = self.system.now().as_nanos() / 1_000_000_000;
        self.service.tick(uptime as u32, unix_time(self.system));
    }
}

impl TcpService for Web {
    fn accepted(&mut self, connection: &Connection) {
        self.service.accepted(connection.slot(), Port(connection.clone()));
    }

    #[inline]
    fn received(&mut self, connection: &Connection) {
        self.service.ready(connection.slot());
    }

    fn sent(&mut self, connection: &Connection) {
        self.service.ready(connection.slot());
    }

    fn closed(&mut self, connection: &Connection) {
        self.service.ended(connection.slot());
    }

    fn failed(&mut self, connection: &Connection, error: ConnectionError) {
        log::debug!("a connection failed: {error}");
        self.service.closed(connection.slot());
    }

    fn ended(&mut self, connection: &Connection) {
        self.service.closed(connection.slot());
    }
}

/// The time of day, unless the machine has no clock that tells it.
fn unix_time(system: System) -> Option<u64> {
    (system.machine().started_unix_seconds > 0).then(|| system.unix_time())
}
