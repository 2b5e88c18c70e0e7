//! What the kernel command line asks for.

use core::net::{IpAddr, Ipv4Addr};
use rdma_script::Terms;
use reflex::{Argument, Error, System};

/// The longest message.
pub(crate) const LONGEST: usize = 8 << 20;

pub(crate) const PROGRAM: Argument = Argument::text("program", "NAME", "which it is");
const PEER: Argument =
    Argument::text("peer", "ADDRESS", "is the client of that server").usually("serves itself");
const PORT: Argument =
    Argument::number("port", 1..=65_535, "of the server").usually("the program's");
const CONNECTIONS: Argument = Argument::number("connections", 1..=64, "how many").usually("1");
const COUNT: Argument = Argument::number("count", 1..=1 << 20, "messages").usually("10");
const SIZE: Argument =
    Argument::number("size", 1..=LONGEST, "bytes of a message").usually("the program's");
const ITERATIONS: Argument =
    Argument::number("iterations", 1..=1 << 20, "times of rstream").usually("10");
const TEST: Argument = Argument::text("test", "NAME", "of qperf").usually("rc_lat");
const SECONDS: Argument = Argument::number("seconds", 1..=60, "of qperf").usually("1");

/// All that it takes.
pub(crate) const ARGUMENTS: &[Argument] =
    &[PROGRAM, PEER, PORT, CONNECTIONS, COUNT, SIZE, ITERATIONS, TEST, SECONDS];

/// What the kernel command line asks for.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Of a client.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    pub(crate) connections: usize,
    pub(crate) count: usize,
    pub(crate) size: Option<usize>,
    pub(crate) iterations: usize,
    pub(crate) test: &'static str,
    pub(crate) seconds: u32,
}

impl Options {
    pub(crate) fn read(system: System) -> Result<Self, Error> {
        let peer = system.argument(PEER).map(str::parse).transpose();
        Ok(Self {
            peer: peer.map_err(|_| "peer: expected an IP address")?,
            port: system.number(PORT).map(|port| port as u16),
            connections: system.number(CONNECTIONS).unwrap_or(1),
            count: system.number(COUNT).unwrap_or(10),
            size: system.number(SIZE),
            iterations: system.number(ITERATIONS).unwrap_or(10),
            test: system.argument(TEST).unwrap_or("rc_lat"),
            seconds: system.number(SECONDS).unwrap_or(1) as u32,
        })
    }

    /// What a script is given: room for two of the longest messages, and for many short ones.
    pub(crate) fn terms(&self) -> Terms {
        Terms { memory: 6 * LONGEST, completions: 1 << 15 }
    }

    /// A client's server, where there is TCP.
    pub(crate) fn server(&self) -> Result<Option<Ipv4Addr>, Error> {
        match self.peer {
            None => Ok(None),
            Some(IpAddr::V4(server)) => Ok(Some(server)),
            Some(IpAddr::V6(_)) => Err("peer: this program takes an IPv4 address".into()),
        }
    }
}
