//! RDMA for appliances: RoCEv2 as Linux's `rdma_rxe` speaks it, with completions and connections as
//! events like all others.
//!
//! ```text
//!  application's contexts                              the IP stack's context
//!
//!  QueuePair::post_send ----> shared: bounded queues --> pair: held memory, engine --> frames
//!  handler <-- CompletionQueue <--------------------- reporter <---'   ^
//!  handler <-- ConnectionManager <------ channel <---- cm ----------'  '-- frames to UDP 4791
//!  MemoryRegion -----------> regions (by key) <------ what peers write
//! ```
//!
//! [`Rdma`] is the port. It gives [`ProtectionDomain`]s, in which memory is registered and
//! [`QueuePair`]s are made, [`CompletionQueue`]s and [`ConnectionManager`]s. [`Port`] is its other
//! half, which works where the IP stack works, so never at two things at a time.
//!
//! **Memory** goes with the work: posting takes it by value, the completion returns it (N-5). What
//! peers may reach by a key is a [`MemoryRegion`], which is copied in and out and never referenced,
//! since it may change at any time.
//!
//! **Priorities.** A queue pair's frames and posted work are done at its priority, its completions
//! are handled at that of their queue's handler.
//!
//! **Nothing lost.** A queue pair takes places for all that it can complete in its completion queues
//! when it is made, so that these cannot overflow: where there are too few, the queue pair is
//! refused.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod builder;
mod command;
mod completion_queue;
mod connection;
mod connection_event;
mod connection_options;
mod counters;
mod domain;
mod error;
mod inner;
mod limits;
mod negotiate;
mod owner_gone;
mod owner_visit;
mod pair;
mod pair_state;
mod peer;
mod port;
mod post;
mod private_data;
mod queue_pair;
mod rdma;
mod region;
mod report;
mod resolution;
mod service;
mod service_state;
mod shared;
mod shared_receive;
mod table;
mod withheld;
mod work;

pub use builder::QueuePairBuilder;
pub use completion_queue::{Completion, CompletionQueue};
pub use connection::{Connection, ConnectionEvent, ConnectionManager};
pub use connection_event::{ConnectionChange, Failure};
pub use connection_options::{Accept, Connect};
pub use counters::Counters;
pub use domain::ProtectionDomain;
pub use error::{Error, Refused};
pub use inner::Place;
pub use limits::Limits;
pub use peer::Peer;
pub use port::Port;
pub use post::{ReceiveRequest, SendRequest};
pub use private_data::PrivateData;
pub use queue_pair::QueuePair;
pub use rdma::Rdma;
pub use reflex_rdma_engine::{
    Access, Attachment, Counters as PairCounters, Event, Kind, Refusal, Status,
};
pub use reflex_rdma_wire::cm::RejectReason;
pub use reflex_rdma_wire::{Gid, ImmDt, PathMtu, Psn, QKey, Qpn, RKey, Transport, UDP_PORT};
pub use region::{MemoryRegion, Slice};
pub use shared_receive::SharedReceiveQueue;
