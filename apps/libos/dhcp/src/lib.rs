//! A DHCP client (RFC 2131) as a state machine: bytes and time in, actions out. It sends nothing,
//! waits for nothing and allocates nothing; the interface it serves does what it is told.
//!
//! ```text
//!              frames, messages                     Send, Probe
//!  interface -------------------->  [ Client ]  --------------------> interface
//!              time, conflicts                 Granted, Changed, Lost
//! ```
//!
//! [`Client`] is the machine, [`Settings`] what it is told at its making. Each call returns
//! [`Actions`], which are to be done in their order; afterwards [`Client::deadline`] says when
//! [`Client::expired`] is due. `now` and random numbers are arguments. While there is an address,
//! [`Client::lease`] has it, and the [`Parameters`] of the network beside it.
//!
//! **Frames.** A client speaks before its host has an address, so it reads and writes whole Ethernet
//! frames ([`Client::frame`], [`Client::write_frame`]), or messages where UDP is at hand
//! ([`Client::message`], [`Client::write_message`]). Of what it sends only renewals and releases go to
//! one host: the interface finds the next hop for these.
//!
//! **The interface's part.** It gives the client the frames for which [`is_for_client`] says yes, calls
//! [`Client::expired`] at the deadline, and does what comes of each call, in order:
//!
//! - [`Action::Send`]: a broadcast goes out as it is. What goes to one host takes the route that is in
//!   force at this moment, and waits for its next hop's hardware address like any other packet; a
//!   release comes before the loss of the address that it is sent from.
//! - [`Action::Probe`]: three probes and a wait (RFC 5227, 2.1.1), then [`Client::address_is_free`] or
//!   [`Client::conflict`]; that too when an address in use has to be given up (2.4).
//! - [`Action::Granted`], [`Action::Changed`]: address, prefix and routes are those of
//!   [`Client::lease`], and a router is on the link, whatever the prefix. [`Action::Renewed`]: nothing.
//!   [`Action::Lost`]: the address is used no longer, in no packet.
//!
//! **Where the specifications leave a choice**, or real servers depart from them:
//!
//! - The first acceptable offer is taken; after something went wrong, one of those that come in a
//!   moment, by lot, and rather not of the server that was at fault.
//! - A missing or impossible subnet mask: the one of the address's class. A missing lease time: no
//!   lease. A lease under [`MIN_LEASE`] seconds: none. T1 and T2 out of order: a half and seven eighths.
//! - A lease counts from the first request that may have been answered, so it ends here before it ends
//!   there.
//! - What an acknowledgement leaves out is as it was said before; the router too. A server takes
//!   something back by saying something else, or by ending the lease.
//! - A refusal counts if the server that was asked sends it, or if all were asked. After refusals,
//!   conflicts and leases that did not last, servers are asked again after more and more time.
//! - A forced renewal (RFC 3203) must be authenticated, which no client here can check: it is counted.
//!   Rapid commit (RFC 4039) is not asked for: every server that hears the discovery would give an
//!   address away for it, to save a packet's way back and forth.
//!
//! **Bounds.** Whatever servers send, there are at most [`BURST`] + *t* / [`INTERVAL`] messages in any
//! time *t*; beside these only a release for each lease that [`Client::stop`] gives back. Everything
//! lies in the client itself: [`MOST_HOSTS`] routers and name servers, [`MOST_ROUTES`] routes. What is
//! refused is counted by its reason ([`Error`]), and so is what is strange ([`Oddity`]).
//!
//! ```
//! use reflex_dhcp::*;
//!
//! let mut random = || 4; // a real one, please
//! let mut client = Client::new(Settings::new([2, 0, 0, 0, 0, 1]));
//! for action in client.start(None, Instant::ZERO, &mut random) {
//!     let Action::Send(discover) = action else { unreachable!() };
//!     let mut frame = [0; LONGEST_FRAME];
//!     let length = client.write_frame(&discover, BROADCAST_MAC, &mut frame)?;
//!     assert_eq!(frame[..6], BROADCAST_MAC);
//!     assert!(length > 300);
//! }
//! assert!(client.deadline() > Instant::from_nanos(2_900_000_000));
//! # Ok::<(), Error>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod action;
mod address;
mod backoff;
mod checking;
mod checksum;
mod client;
mod code;
mod counters;
mod ending;
mod error;
mod frame;
mod history;
mod holding;
mod identity;
mod informing;
mod lease;
mod list;
mod message;
mod name;
mod offer;
mod options;
mod pacer;
mod parameters;
mod random;
mod rebooting;
mod reply;
mod request;
mod requesting;
mod routes;
mod selecting;
mod settings;
mod state;
mod step;

pub use action::{Action, Actions, Loss};
pub use client::Client;
pub use counters::Counters;
pub use error::{Error, Oddity};
pub use frame::{
    BROADCAST_MAC, CLIENT_PORT, Mac, SERVER_PORT, UdpChecksum, is_for_client, message,
};
pub use identity::Identifier;
pub use lease::Lease;
pub use list::List;
pub use name::{LONGEST_NAME, Name};
pub use offer::MIN_LEASE;
pub use pacer::{BURST, INTERVAL};
pub use parameters::{MOST_HOSTS, MOST_ROUTES, Parameters, Route};
pub use random::Random;
pub use reflex_event::Instant;
pub use request::{Kind, LONGEST_FRAME, Request};
pub use settings::{Check, Delivery, Settings};
pub use state::Standing;
pub use step::Remembered;
