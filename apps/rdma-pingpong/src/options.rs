//! What the kernel command line asks for.

use core::net::Ipv4Addr;
use reflex::rdma::{PathMtu, Transport};
use reflex::{Argument, Error, System};

/// Bytes of route that come before a datagram.
const ROUTE: usize = 40;
/// The longest message but for datagrams.
const LONGEST: usize = 1 << 20;
/// Sends in flight of a queue pair: there is but one message, and its completion may not yet have
/// been looked at.
pub(crate) const SENDS: u32 = 2;
/// Bytes of a TCP connection's buffers, each: all that the sides tell each other.
pub(crate) const BUFFER: usize = 16 << 10;

/// What the kernel command line asks for.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) transport: Transport,
    /// How many share a receive queue, if they do.
    pub(crate) sharing: Option<usize>,
    pub(crate) server: Option<Ipv4Addr>,
    pub(crate) v6: bool,
    pub(crate) port: u16,
    pub(crate) size: usize,
    pub(crate) count: usize,
    pub(crate) receives: usize,
    pub(crate) mtu: PathMtu,
    pub(crate) timeout: u8,
}

const TRANSPORT: Argument =
    Argument::text("transport", "rc|uc|ud", "of the queue pairs").usually("rc");
const SHARED: Argument = Argument::flag("srq", "queue pairs share their receives");
const QUEUE_PAIRS: Argument =
    Argument::number("queue-pairs", 1..=128, "how many, with srq").usually("16");
const CLIENT: Argument =
    Argument::text("client", "ADDRESS", "plays with that server").usually("serves itself");
const RECEIVES: Argument =
    Argument::number("rx-depth", 1..=1 << 12, "receives that are posted").usually("64");
const V6: Argument = Argument::flag("v6", "over IPv6");
const PORT: Argument = Argument::number("port", 1..=65_535, "of the server").usually("18515");
const SIZE: Argument = Argument::number("size", 1..=LONGEST, "bytes of a message")
    .usually("4096, or as many as a datagram holds");
const COUNT: Argument = Argument::number("count", 1..=1 << 30, "messages").usually("1000");
const TIMEOUT: Argument =
    Argument::number("timeout", 0..=31, "the local acknowledgement time-out").usually("14");
const MTU: Argument = Argument::text("mtu", "256|512|1024|2048|4096", "of the path")
    .usually("1024, if frames hold it");

/// All that it takes.
pub(crate) const ARGUMENTS: &[Argument] =
    &[TRANSPORT, SHARED, QUEUE_PAIRS, CLIENT, RECEIVES, V6, PORT, SIZE, COUNT, TIMEOUT, MTU];

impl Options {
    /// Of an interface with at most that payload in a packet.
    pub(crate) fn read(system: System, most: PathMtu) -> Result<Self, Error> {
        let transport = match system.argument(TRANSPORT) {
            None | Some("rc") => Transport::Reliable,
            Some("uc") => Transport::Unreliable,
            Some("ud") => Transport::Datagram,
            Some(_) => return Err("transport: expected rc, uc or ud".into()),
        };
        let datagram = transport == Transport::Datagram;
        let sharing = match system.argument(SHARED) {
            Some(_) if transport != Transport::Reliable => {
                return Err("srq: only with transport=rc".into());
            }
            Some(_) => Some(system.number(QUEUE_PAIRS).unwrap_or(16)),
            None => None,
        };
        let server = system.argument(CLIENT).map(str::parse).transpose();
        let server = server.map_err(|_| "client: expected an IPv4 address")?;
        let (longest, usual) =
            if datagram { (most.bytes(), most.bytes()) } else { (LONGEST, 4096) };
        let size = system.number(SIZE).unwrap_or(usual);
        if size > longest {
            return Err("size: more than a message of this transport holds".into());
        }
        let receives = system.number(RECEIVES).unwrap_or(64);
        if sharing.is_some_and(|pairs| pairs > receives) {
            return Err("rx-depth: each queue pair takes one".into());
        }
        Ok(Self {
            transport,
            sharing,
            server,
            v6: system.flag(V6),
            port: system.number(PORT).unwrap_or(18_515) as u16,
            size,
            count: system.number(COUNT).unwrap_or(1000),
            receives,
            mtu: path_mtu(system, most)?,
            timeout: system.number(TIMEOUT).unwrap_or(14) as u8,
        })
    }

    /// Queue pairs.
    pub(crate) fn pairs(&self) -> usize {
        self.sharing.unwrap_or(1)
    }

    /// Bytes that come before a message in a receive's memory.
    pub(crate) fn route(&self) -> usize {
        if self.transport == Transport::Datagram { ROUTE } else { 0 }
    }

    /// Event memory: receives, messages, and what goes over TCP. Blocks are powers of two, and what is
    /// written down of them takes up to a fifth more.
    pub(crate) fn memory(&self) -> usize {
        let message = (self.size + self.route()).next_power_of_two();
        ((self.receives + self.pairs()) * message + 4 * BUFFER) / 4 * 5 + (256 << 10)
    }

    /// Completions that may wait: a shared queue's for each of its queue pairs.
    pub(crate) fn completions(&self) -> u32 {
        self.pairs() as u32 * (SENDS + self.receives as u32)
    }
}

fn path_mtu(system: System, most: PathMtu) -> Result<PathMtu, Error> {
    let Some(wanted) = system.argument(MTU) else { return Ok(most.min(PathMtu::B1024)) };
    let wanted: usize = wanted.parse().map_err(|_| "mtu: expected a number")?;
    let mtu = PathMtu::ALL.into_iter().find(|mtu| mtu.bytes() == wanted && *mtu <= most);
    Ok(mtu.ok_or("mtu: expected 256, 512, 1024, 2048 or 4096, and no more than fits a frame")?)
}
