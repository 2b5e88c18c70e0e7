//! The AEM interface: asynchronous events of control, network and timers (A-4).
//!
//! The names are that document's, over the same events as everything else: what it calls a process
//! is a [context](reflex::Context), a job's number is an [`EventId`](reflex::EventId), and a negative
//! value is an [`Error`](reflex::Error). Every function that registers returns the identifier, with
//! which [`evctl`] controls the event.
//!
//! A handler is told the event as an [`Activation`](reflex::Activation), all there is to know of what
//! has occurred, and the process's state. When the event was given a time in which to occur and has
//! not, the handler is told so by `Activation::timed_out`.
//!
//! ```
//! # use reflex::{Activation, prelude::*, testing::Simulation};
//! # use reflex_aem::{Listening, Socket, enter_keepalive, leave_keepalive, sockasync_accept};
//! # const SERVER_PORT: u16 = 7;
//! #[derive(Default)]
//! struct Server {
//!     accepted: u32,
//! }
//!
//! impl Server {
//!     fn accepted(&mut self, _: Activation, _: &Listening, new: Option<&Socket<Self>>) {
//!         self.accepted += u32::from(new.is_some());
//!     }
//! }
//!
//! # let mut sim = Simulation::new(|system| {
//! # leave_keepalive(system, system.running().unwrap())?; // not lost: the wait below ends at once
//! let server = system.context("server", Server::default()).build()?;
//! let sfd = system.tcp(SERVER_PORT).backlog(5);
//! sockasync_accept(system, sfd, server, None, Server::accepted)?;
//! enter_keepalive(system)?;
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! # let client = sim.connect(SERVER_PORT);
//! # sim.run();
//! # assert_eq!(sim.state("server", |server: &mut Server| server.accepted), 1);
//! ```
//!
//! The parts: `control` is [`evctl`], `keepalive` and `timer` are what their names say; `accept`
//! turns connections into a [`Socket`] each, and `socket` keeps which handlers have asked for what occurs
//! there.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod accept;
mod control;
mod keepalive;
mod socket;
mod timer;

pub use accept::{Listening, sockasync_accept};
pub use control::{
    Clean, Disable, Enable, Filter, LookUp, Operation, SetPriority, SetTimeOut, Unregister, evctl,
};
pub use keepalive::{enter_keepalive, leave_keepalive};
pub use reflex::net::TcpState;
pub use socket::{
    Socket, SocketState, sockasync_close, sockasync_read, sockasync_sk, sockasync_sock,
};
pub use timer::evtimer;
