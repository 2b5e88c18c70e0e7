//! Messages and publications, as NetIO has them: small messages with a tag, in pages that are sent when they are full,
//! and large ones from where they are; to one peer, or to all peers that have asked for their tags. Over TCP and RDMA
//! alike.
//!
//! ```text
//!  SendSocket, PublishSocket --> core: pages filled, ready, under way --> Link: TCP or RDMA --> peer
//!  handler <-- Event <---------- core: greetings, subscriptions, ends <-- driver: records <---'
//! ```
//!
//! An [`Endpoint`] belongs to a context, and the context's state handles its [`Event`]s. It [listens](Endpoint::listen),
//! [connects](Endpoint::connect), [publishes](Endpoint::publish) and [subscribes](Endpoint::subscribe). `docs/netio.md`
//! has the protocol, byte by byte.
//!
//! **Order and loss.** Messages of a socket arrive in the order in which they were taken, each once. What has been
//! taken arrives, or is counted in [`Event::Down`]. Where there is no room that is said ([`Error::Again`]), and told
//! when there is ([`Event::Room`]).
//!
//! **Sections.** What an endpoint knows lies behind one ceiling and is touched in short sections. Payloads are copied,
//! and connections posted to, outside of these: the page, or the connection, is taken out of its place meanwhile.
//!
//! **Hostile peers.** Lengths, kinds, reserved bytes and answers are checked before use; requests are bounded; tags are
//! found by a keyed hash; a connection that says nothing, or not enough, ends by itself.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod asking;
mod driver;
mod endpoint;
mod endpoint_core;
mod error;
mod event;
mod fanout;
mod greeting;
mod link;
mod memory;
mod names;
mod outgoing;
mod page;
mod ports;
mod publisher;
mod publishing;
mod rdma;
mod receiving;
mod record;
mod sending;
mod settings;
mod shared;
#[cfg(test)]
mod simulation;
mod slots;
mod sockets;
mod state;
mod stream;
mod subscriptions;
mod tags;
mod tcp;

pub use crate::endpoint_core::Counters;
pub use endpoint::{Carrier, Endpoint};
pub use error::Error;
pub use event::{Down, Event, Refusal, Role, Socket};
pub use memory::Memory;
pub use publisher::{Publication, Slow};
pub use record::Malformed;
pub use settings::Settings;
pub use slots::MOST_LINKS;
pub use sockets::{PublishSocket, SendSocket, SubscribeSocket};
pub use tags::Tags;
