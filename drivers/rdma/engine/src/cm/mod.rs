//! Connection management: how two queue pairs come to know each other, and part (IBA volume 1,
//! 12, and annex A11 for addresses and ports in place of service IDs).
//!
//! ```text
//!   packets to queue pair 1 --> receive --.     .--> Actions::send --> GeneralService --> packets
//!   listen, connect, accept, disconnect --+-> Agent
//!   deadline, expire ---------------------'     `--> Actions::tell --> applications
//! ```
//!
//! [`Agent`] is the communication manager of a port: one state machine over tables that are taken
//! when it is made. It knows no clock, chooses no number at random and holds no queue pair: what
//! a connection asks of its queue pair is in [`Parameters`], which makes the engine's
//! [`Attributes`](crate::Attributes) for each step. [`State`] has the states, [`Event`] what an
//! application is told.
//!
//! **Cost.** Communications are found by the ID they have here, by what the peer calls them, and by
//! the peer's queue pair, listeners by service ID, all in constant time; time-outs are a heap. A
//! communication keeps the one message that it may have to send again.
//!
//! **Floods.** Requests that wait, for the application or for the peer's confirmation, take places
//! in their listener's backlog; beyond it they are dropped and counted, so that the peer tries
//! again. A datagram draws at most one datagram in answer, none of them longer, and a time that
//! a peer asks for is bounded. A table of peers' names is keyed.
//!
//! **Trust.** RoCE authenticates nobody. A message is taken for a communication only from the
//! peer's address and with both names of it; an attacker who can read and forge the peer's packets
//! can end its connections.
//!
//! Two of them, joined without a network:
//!
//! ```
//! use reflex_rdma_engine::Instant;
//! use reflex_rdma_engine::cm::*;
//! use reflex_rdma_wire::{Gid, Psn, Qpn, cm::*};
//!
//! #[derive(Default)]
//! struct Port {
//!     wire: Vec<[u8; Mad::LENGTH]>,
//!     asked: Option<CommId>,
//!     agreed: Option<(CommId, Parameters)>,
//! }
//!
//! impl Actions for Port {
//!     fn send(&mut self, _: &Route, mad: &[u8; Mad::LENGTH]) {
//!         self.wire.push(*mad);
//!     }
//!
//!     fn tell(&mut self, event: Event<'_>) {
//!         match event {
//!             Event::ConnectionRequest(request) => self.asked = Some(request.id),
//!             Event::Reply { id, parameters, .. } => self.agreed = Some((id, parameters)),
//!             other => println!("{other:?}"),
//!         }
//!     }
//! }
//!
//! let [here, there] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Gid::from_ipv4_bytes);
//! let (out, back) = (Route { local: here, remote: there }, Route { local: there, remote: here });
//! let [mut active, mut passive] = [1, 2].map(|it| Agent::new(&Config::new(it, [7; 16], it as u32)));
//! let (mut port, mut other, now) = (Port::default(), Port::default(), Instant::from_nanos(0));
//!
//! passive.listen(&Listen::port(7471, 8))?;
//! let connect = Connect::port(out, 7471, Qpn::new(0x11), Psn::new(100));
//! let id = active.connect(&connect, now, &mut port)?;
//! passive.receive_mad(&back, &port.wire.remove(0), now, &mut other); // REQ
//! let accept = Accept::new(Qpn::new(0x22), Psn::new(200));
//! let theirs = passive.accept(other.asked.unwrap(), &accept, now, &mut other)?;
//! active.receive_mad(&out, &other.wire.remove(0), now, &mut port); // REP
//!
//! // Now the queue pair is modified with ours.init(), ours.rtr(port) and ours.rts().
//! let (_, ours) = port.agreed.unwrap();
//! assert_eq!((ours.remote_qpn, ours.send_psn), (theirs.local_qpn, theirs.receive_psn));
//! active.establish(id, b"", &mut port)?;
//! passive.receive_mad(&back, &port.wire.remove(0), now, &mut other); // RTU
//! assert_eq!(passive.state(other.asked.unwrap()), Some(State::Established));
//! # Ok::<(), Error>(())
//! ```
//!
//! Where the specification leaves a choice, this does as Linux's `ib_cm` and `rdma_cm` were seen
//! to do. Left out: alternate paths (LAP, APR), redirection, reliable datagrams.

mod active;
mod agent;
mod call;
mod communication;
mod config;
mod deadlines;
mod disconnect;
mod error;
mod event;
mod general_service;
mod index;
mod listeners;
mod parameters;
mod passive;
mod receive;
mod refusal;
mod refuse;
mod resolution;
mod state;
mod table;
mod timer;

pub use agent::Agent;
pub use call::{Accept, Answer, Connect, Listen, Resolve};
pub use config::Config;
pub use error::Error;
pub use event::{Actions, Cause, ConnectionRequest, Event, Failure, ResolutionRequest};
pub use general_service::GeneralService;
pub use listeners::ListenerId;
pub use parameters::{Parameters, Route};
pub use refusal::{Counters, Refusal};
pub use state::State;
