//! RoCEv2 on the wire: every header, the opcode table, the invariant CRC, and the messages of
//! connection management. Bytes in, typed values out, and back; no allocation, no state.
//!
//! ```text
//! | IP | UDP 4791 | BTH | extension headers | payload | pad | ICRC |
//!   \_ Envelope _/   Bth       Extension
//!   \_________________ Datagram: bytes that were received ________/
//! ```
//!
//! **Reading.** [`is_roce`] tells which IP packets to take. [`Packet::parse`] reads one and checks
//! everything; or, in steps, so that a packet for nobody costs little: [`Datagram::parse`] (IP, UDP),
//! [`Unverified::parse`] (BTH, lengths, extension headers), [`Unverified::verify`] (ICRC). After
//! that the [`Packet`]'s [`Bth`], [`Extension`] and payload are to be trusted to be what was sent;
//! what they ask for is the engine's to check. [`Opcode`] has the table: [`Opcode::transport`],
//! [`Opcode::operation`], [`Opcode::position`], [`Opcode::layout`], [`Opcode::payload_rule`].
//!
//! **Writing.** [`Opcode::send`], [`Opcode::write`] and [`Opcode::read_response`] find the opcode,
//! [`packet_length`] the length of the buffer. [`Emitter`] writes the headers when it is made, takes
//! the payload in pieces ([`Emitter::room`] or [`Emitter::append`]), and ends with pad bytes and
//! ICRC. Where the device gathers a packet from several places, [`emit_headers`] and [`Trailer`]
//! write what goes around the payload.
//!
//! **Datagrams** are received behind 40 bytes that [`GlobalRoute`] makes and reads.
//!
//! **Connection management** is in [`cm`]: [`cm::Mad`] is the 256-byte payload of a datagram to
//! queue pair 1, [`cm::Message`] what it says.
//!
//! Where the specification leaves a choice, this crate does as Linux's `rdma_rxe` was seen to do.
//!
//! ```
//! use reflex_rdma_wire::*;
//!
//! let [here, there] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Gid::from_ipv4_bytes);
//! let envelope = Envelope::new(here, there, 0xc000);
//! let opcode = Opcode::send(Transport::Reliable, Position::Only, Notice::None).unwrap();
//! let bth = Bth { acknowledge: true, ..Bth::new(opcode, Qpn::new(17), Psn::new(1)) };
//!
//! let mut buffer = [0; 128];
//! let mut emitter = Emitter::new(&mut buffer, &envelope, &bth, &Extension::None, 5)?;
//! emitter.append(b"he")?;
//! emitter.room(3)?.copy_from_slice(b"llo");
//! let length = emitter.finish()?;
//!
//! let packet = Packet::parse(&buffer[..length])?;
//! assert_eq!((*packet.bth(), packet.payload()), (bth, &b"hello"[..]));
//! # Ok::<(), Error>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod aeth;
mod atomic;
mod bits;
mod bth;
mod checksum;
pub mod cm;
mod deth;
mod emit;
mod envelope;
mod error;
mod extension;
mod gid;
mod grh;
mod icrc;
mod ieth;
mod imm;
mod ipv4;
mod ipv6;
mod mtu;
mod number;
mod opcode;
mod packet;
mod psn;
mod reth;
mod syndrome;
mod udp;

pub use aeth::Aeth;
pub use atomic::{AtomicAckEth, AtomicEth};
pub use bth::Bth;
pub use deth::Deth;
pub use emit::{Emitter, Trailer, emit_headers, packet_length};
pub use envelope::{Datagram, Envelope, is_roce};
pub use error::Error;
pub use extension::{Extension, Layout};
pub use gid::Gid;
pub use grh::GlobalRoute;
pub use icrc::Icrc;
pub use ieth::Ieth;
pub use imm::ImmDt;
pub use mtu::PathMtu;
pub use number::{PKey, QKey, Qpn, RKey};
pub use opcode::{Notice, Opcode, Operation, PayloadRule, Position, Transport};
pub use packet::{Packet, Unverified};
pub use psn::Psn;
pub use reth::Reth;
pub use syndrome::{AckTimeout, Credits, Nak, RnrTimer, Syndrome};
pub use udp::UDP_PORT;
