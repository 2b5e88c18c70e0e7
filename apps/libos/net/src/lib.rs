//! TCP, UDP, DHCP and ICMP for appliances: smoltcp's protocol engine behind a demultiplexer
//! that takes constant time per packet, however many connections there are.
//!
//! The parts, in the order in which a packet meets them:
//!
//! 1. [`Stack`], a context of its own. `receive` takes frames from the interface: `packet` says what each is,
//!    `flow` and `port` what it belongs to, `queue` keeps it there; `shared` holds these tables.
//! 2. `segments` gives one connection a `turn`, `opening` makes connections, `others` answers
//!    everything else; `engine` drives smoltcp through `device`, with `hop`, `neighbour` and `arp` in
//!    front of it and `dhcp` beside it.
//! 3. The application's context: its [`TcpService`] or [`UdpService`] is called through [`Connection`] and
//!    [`UdpSocket`].
//!
//! smoltcp runs with the medium "IP" and one `Interface` that all connections share, each with
//! a socket set of its own: what it does per packet does not depend on their number. Bytes are
//! copied once on the way in, from the device's buffer to the socket's, and once on the way
//! out, from the socket's buffer to the device's.
//!
//! # What owns a connection's socket
//!
//! The socket, its buffers and its receive window lie in an *endpoint* in the connection's
//! record. The endpoint is moved out of the record for the time of one piece of work, and back;
//! both moves are short sections, the work itself runs outside of any.
//!
//! - *Stack's turn*: the stack's context has it while smoltcp processes segments and sends.
//! - *During `received`*: the handler runs without it. [`Connection::receive`] takes it for as
//!   long as the closure reads the bytes in place, and puts it back.
//! - *During `send`*: [`Connection::send`] takes it while it copies into the send buffer.
//! - *Preempted meanwhile*: the context that comes then finds it taken and does not wait. The stack leaves the
//!   frames queued and a mark; the holder answers the mark by activating the connection's turn. The application
//!   is told "no bytes" or "no room" and leaves a mark; the stack's turn ends by announcing `received` or
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
//! [`Net::attach`] lets a protocol have the frames of a UDP port to itself, over IPv4 and IPv6: `beside`
//! hands them over before anything else is done for them, and lends the interface and the neighbour
//! table, which ARP and, in `nd`, neighbour discovery keep up to date.
//!
//! # Left out
//!
//! IPv6 but for that; IPv4 fragments, which are dropped and counted; IPv4 options, which are ignored;
//! multicast groups; path MTU discovery; connections to the interface's own address; challenge
//! ACKs for resets that are not exact (RFC 5961, 3.2; such resets are dropped); initial sequence
//! numbers as a keyed hash (RFC 6528): they are drawn from a generator that is seeded from the
//! kernel's, but is not a cryptographic one; SYN cookies; detection of address conflicts.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod arp;
mod bereaved;
mod beside;
mod buffers;
mod checksum;
mod connection;
mod connector;
mod counters;
mod device;
mod dhcp;
mod engine;
mod error;
mod flow;
mod group;
mod handover;
mod hop;
mod level;
mod limiter;
mod listener;
mod nd;
mod neighbour;
mod net;
mod opening;
mod others;
mod outbox;
mod packet;
mod port;
mod queue;
mod ready;
mod receive;
mod record;
mod recycle;
mod room;
mod segments;
mod service;
mod settings;
mod shared;
mod stack;
mod state;
mod turn;
mod udp;
mod wait;

pub use beside::Attachment;
pub use connection::Connection;
pub use connector::{ConnectBuilder, Connector};
pub use counters::Counters;
pub use error::{ConnectionError, Error};
pub use handover::{Served, Successor};
pub use listener::{ListenBuilder, Listener};
pub use net::{Interrupts, Net};
pub use service::{TcpService, UdpService};
pub use settings::{Address, Config, InterfaceAddress, Transport};
pub use stack::Stack;
pub use state::{TcpState, TcpStates};
pub use udp::{Datagram, UdpBuilder, UdpSocket};
