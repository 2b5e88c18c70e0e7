//! RoCEv2 queue pairs, as Linux's `rdma_rxe` speaks them: reliable and unreliable connections,
//! datagrams. States take packets, requests and the time, and return what is to be done; they
//! send nothing, know no clock and hold no payload, so that loss and replay run on the host.
//!
//! ```text
//!   post_send --> SendQueue --> Requester --> Outgoing --.
//!                     ^             ^ go back            |--> Transmit (actions.rs)
//!                     `- Completer -'        Replies ----'
//!                            ^                  ^
//!      answers ----.         |                  |
//!   receive -------+---------'              Responder --> Memory (writes, atomics)
//!      requests ---'                            ^
//!   post_receive --> ReceiveQueue --------------'    all: Report (completions, events)
//! ```
//!
//! [`QueuePair`] is all of that together. Its user provides [`Memory`], [`Transmit`] and
//! [`Report`], and finds the queue pair of a packet; completion queues and a shared
//! [`ReceiveQueue`] are its user's to own, since several queue pairs may use them.
//!
//! [`cm`] is the connection manager, which brings queue pairs together.
//!
//! **Cost.** Rings are sized when a queue pair is made; nothing is allocated afterwards, and
//! nothing but flushing takes longer the more there is. Payload is copied once: out of the received
//! frame by [`Memory::write`], into the frame to be sent by [`Outgoing::emit`].
//!
//! **Trust.** Every packet may be a lie. Whatever it says, memory is touched only through
//! [`Memory`], which checks; each way to be refused has a name and a counter ([`Refusal`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod access;
mod actions;
mod attribute;
pub mod cm;
mod completer;
mod completion;
mod config;
mod error;
mod event;
mod gather;
mod memory;
mod outgoing;
mod queue_pair;
mod receive_queue;
mod refusal;
mod refusals;
mod requester;
mod responder;
mod send_queue;
mod settings;
mod state;
mod time;
mod work;

pub use access::Access;
pub use actions::{Report, Transmit, TransmitError};
pub use attribute::{Attributes, Mask};
pub use completion::{Completion, Kind, Status};
pub use config::Config;
pub use error::Error;
pub use event::Event;
pub use gather::{Gather, Pieces};
pub use memory::{Atomic, Domain, Gone, Memory, Place, Region, Segment};
pub use outgoing::Outgoing;
pub use queue_pair::QueuePair;
pub use receive_queue::ReceiveQueue;
pub use refusal::{Counters, Refusal};
pub use state::{State, Transition};
pub use time::Instant;
pub use work::{Attachment, Destination, Flags, MAX_MESSAGE, ReceiveRequest, SendRequest, Work};
