//! TCP, UDP, DHCP and ICMP for appliances: smoltcp's protocol engine behind a demultiplexer
//! that takes constant time per packet, however many connections there are.
//!
//! The parts, in the order in which a packet meets them:
//!
//! 1. `path`: [`Stack`], a context of its own. `receive` takes frames from the interface: `classify` says
//!    what each is, and it is queued with its connection, listener or socket. `connection_run` has one
//!    connection run, `accept` makes connections, `unmatched` answers everything else.
//! 2. `table`: what the stack and the applications share, flows, ports, records and queues.
//! 3. `ip`: `interface` drives smoltcp through `device`, with `segment` and `tcp` (what TCP asks for and smoltcp
//!    does not do), `next_hop`, `neighbour` and `resolution` (ARP and
//!    neighbour discovery) in front of it, `dhcp` beside it, and `own_address`, which watches for others with
//!    ours.
//! 4. `api`: the application's context, in which its [`TcpService`] or [`UdpService`] is called through
//!    [`Connection`] and [`UdpSocket`].
//!
//! smoltcp runs with the medium "IP" and one `Interface` that all connections share, each with
//! a socket set of its own: what it does per packet does not depend on their number. Bytes are
//! copied once on the way in, from the device's buffer to the socket's, and once on the way
//! out, from the socket's buffer to the device's. What an undisturbed connection exchanges smoltcp does not hear of
//! (`ip/tcp/ahead.rs`): the application then reads it where the device wrote it.
//!
//! # What owns a connection's socket
//!
//! The socket, its buffers and its receive window lie in an *endpoint* in the connection's
//! record. The endpoint is moved out of the record for the time of one piece of work, and back;
//! both moves are short sections, the work itself runs outside of any.
//!
//! - *Stack's run*: the stack's context has it while smoltcp processes segments and sends.
//! - *During `received`*: the handler runs without it. [`Connection::receive`] takes it for as
//!   long as the closure reads the bytes in place, and puts it back.
//! - *During `send`*: [`Connection::send`] takes it while it copies into the send buffer.
//! - *Preempted meanwhile*: the context that comes then finds it taken and does not wait. The stack leaves the
//!   frames queued and a mark; the holder answers the mark by activating the connection's run. The application
//!   is told "no bytes" or "no room" and leaves a mark; the stack's run ends by announcing `received` or
//!   `sent` again.
//!
//! # Overload
//!
//! A connection's queue, a listener's, a socket's, and what one owner may have queued are all
//! bounded; frames beyond that are dropped before any work is done for them, and counted. When
//! all transmit buffers are in use the stack takes no more frames from the queues, and those that wait go on in
//! order as buffers become free: nothing is sent and lost.
//!
//! # Beside it
//!
//! [`Net::attach`] lets a protocol have the frames of a UDP port to itself, over IPv4 and IPv6:
//! `path/attached_run.rs` hands them over before anything else is done for them, and lends the interface and the neighbour
//! table, which ARP and, in `ip/ndisc.rs`, neighbour discovery keep up to date.
//!
//! # Left out
//!
//! IPv6 but for that; datagrams that are longer than a frame, on their way out; IPv4 options, which are ignored;
//! multicast groups; connections to the interface's own address.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod api;
mod ip;
mod path;
mod table;
mod types;

/// What the DHCP client counts, and what it is told of the network.
pub mod dhcp {
    pub use reflex_dhcp::{Counters, Error, List, Name, Oddity, Parameters, Route};
}

pub use api::attach::Attachment;
pub use api::connection::{Connection, Exchanged};
pub use api::connector::{ConnectBuilder, Connector};
pub use api::listener::{ListenBuilder, Listener};
pub use api::net::Interrupts;
pub use api::others::Others;
pub use api::replace::{Served, Successor};
pub use api::service::{TcpService, UdpService};
pub use api::udp::{Datagram, UdpSocket};
pub use api::udp_receive::UdpBuilder;
pub use api::write::Written;
pub use ip::loopback::Loopback;
pub use path::stack::Stack;
pub use reflex_event::Priority;
pub use table::handle::Net;
pub use types::conflict::{AddressConflict, ConflictDetection, ConflictOutcome};
pub use types::counters::{Counters, Refusals};
pub use types::error::{ConnectionError, Error};
pub use types::settings::{
    Address, BufferMemory, Config, InterfaceAddress, TcpSettings, Transport, UdpSettings,
};
pub use types::tcp_state::{TcpState, TcpStates};
pub use types::unreachable::{Undeliverable, Unreachable};
