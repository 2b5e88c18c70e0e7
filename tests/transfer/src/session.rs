//! One connection: what it is for, and how far it has come.

use crate::stream::Stream;
use crate::{EXCHANGES, SINK, SOURCE, Service};
use core::fmt;
use reflex::net::{ConnectionError, Session};
use reflex::prelude::*;
use reflex::println;
use sha2::{Digest, Sha256};

/// The side of connections to ports of ours.
const ACCEPTED: &str = "accepted";

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Sink,
    Source,
    Exchange,
}

/// A direction of a stream.
#[derive(Default)]
struct Direction {
    bytes: usize,
    hash: Sha256,
}

impl Direction {
    /// Counts and hashes more of it; the hash of what is only sent or received is not wanted.
    fn go_on(&mut self, bytes: &[u8], role: Role) {
        self.bytes += bytes.len();
        if role == Role::Exchange {
            self.hash.update(bytes);
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.bytes)?;
        self.hash.clone().finalize().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is kept of a connection.
pub(crate) struct Transfer {
    role: Role,
    /// Which side was connected from.
    side: &'static str,
    /// The port that was connected to.
    port: u16,
    stream: Stream,
    sent: Direction,
    received: Direction,
    /// The peer sends no more.
    ended: bool,
    told: bool,
}

impl Transfer {
    /// Sends as much as there is room for, and closes behind the last byte.
    fn send(&mut self, service: &mut Service, connection: &Connection) {
        let total = if self.role == Role::Sink { 0 } else { service.bytes };
        while self.sent.bytes < total {
            let length = service.block.len().min(total - self.sent.bytes);
            let block = &mut service.block[..length];
            self.stream.fill(self.sent.bytes, block);
            let Ok(sent) = connection.send(block) else { return };
            self.sent.go_on(&block[..sent], self.role);
            if sent < length {
                return;
            }
        }
        if self.role != Role::Sink {
            connection.finish();
        }
        self.tell(service);
    }

    fn receive(&mut self, connection: &Connection) {
        let mut take = |bytes: &[u8]| {
            self.received.go_on(bytes, self.role);
            bytes.len()
        };
        while let Ok(1..) = connection.receive(&mut take) {}
    }

    /// Says what came and went, when that is all.
    fn tell(&mut self, service: &Service) {
        let over = self.ended && self.sent.bytes == service.bytes && !self.told;
        if over && self.role == Role::Exchange {
            self.told = true;
            let Self { side, port, sent, received, .. } = self;
            println!("transfer {side} {port} sent {sent} received {received}");
        }
    }
}

impl Session<Service> for Transfer {
    fn opened(service: &mut Service, connection: &Connection) -> Option<Self> {
        let local = connection.local().ok()?.port();
        let (role, side, port) = match local {
            SINK => (Role::Sink, ACCEPTED, local),
            SOURCE => (Role::Source, ACCEPTED, local),
            port if EXCHANGES.contains(&port) => (Role::Exchange, ACCEPTED, port),
            _ => (Role::Exchange, "opened", connection.peer().ok()?.port()),
        };
        let mut transfer = Self {
            role,
            side,
            port,
            stream: Stream(service.seed ^ u64::from(local) << 32),
            sent: Direction::default(),
            received: Direction::default(),
            ended: false,
            told: false,
        };
        transfer.send(service, connection);
        Some(transfer)
    }

    fn received(&mut self, _: &mut Service, connection: &Connection) {
        self.receive(connection);
    }

    fn sent(&mut self, service: &mut Service, connection: &Connection) {
        self.send(service, connection);
    }

    fn closed(&mut self, service: &mut Service, connection: &Connection) {
        self.receive(connection);
        self.ended = true;
        if self.role == Role::Sink {
            connection.finish();
        }
        self.tell(service);
    }

    fn over(self, _: &mut Service, _: &Connection, error: Option<ConnectionError>) {
        if let Some(error) = error {
            println!("transfer {} {} failed: {error}", self.side, self.port);
        }
    }

    fn failed(service: &mut Service, connection: &Connection, error: ConnectionError) {
        if let Some(peer) = service.peers[connection.slot()] {
            info!("{peer}: {error}");
            service.connect(peer);
        }
    }
}
