//! An HTTP/1.1 server for sites and routes, without a socket in sight: bytes and time go in, bytes
//! come out, and what handlers are to be called with.
//!
//! - [`Site`]: the files, laid out at build time by `reflex-http-embed`.
//! - [`Server`]: what all connections of a listener share: the site, its responses rendered at
//!   start-up, the date, the limits, the counters.
//! - [`Routed`]: what is not for the site: [`Route`]s by their paths, and the [`Handlers`] of the driver, which get
//!   [`Request`]s and give [`Reply`]s. A server without routes has [`SiteAlone`] in its place.
//! - [`Session`]: one connection: which request it is in, and what of the answer is unsent.
//! - [`Deadlines`]: which connection's time may have run out, without looking at the others.
//! - [`Service`]: the three together, driven by a transport's events. An appliance needs only
//!   this and an implementation of [`Stream`].
//!
//! # Driving a session
//!
//! [`Service`] does the following; a driver of its own has to do the same:
//!
//! 1. accepted: [`Session::open`].
//! 2. bytes have arrived, or room has become free: [`Session::output`], then [`Session::input`]
//!    with what the receive buffer holds, dropping from it as many bytes as were taken, until
//!    none is taken. Then obey [`Session::wants`].
//! 3. the peer has sent its last byte: [`Session::end`], then as in 2.
//! 4. [`Session::deadline`] has passed: [`Session::expire`], then as in 2.
//! 5. the connection is gone: [`Session::reset`].
//! 6. once a second: [`Server::tick`].
//! 7. with routes, after each of these: call handlers with what [`Session::take_call`] has, and give what they answer,
//!    whenever they do, to [`Session::answer`].
//!
//! For a site nothing is allocated after start-up: a request is parsed where it lies in the receive buffer, and
//! only one that arrives in pieces is copied. One for a route is copied once, to memory that the driver gives.
//!
//! The rules are those of RFC 9110 (semantics) and RFC 9112 (HTTP/1.1).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod conditional;
mod counters;
mod cursor;
mod date;
mod deadlines;
mod error;
mod fields;
mod image;
mod judge;
mod limits;
mod memo;
mod output;
mod plan;
mod range;
mod request;
mod response;
mod route;
mod routes;
mod server;
mod service;
mod session;
mod site;
mod status;
mod target;
mod usual;

pub use counters::Counters;
pub use deadlines::Deadlines;
pub use error::Error;
pub use limits::{HEAD_LIMIT, Limits};
pub use output::Output;
pub use route::{
    Answer, Answered, Call, Content, Fault, Handlers, Incoming, Meta, Method, Refusal, Reply,
    Request, Respond, Route, RouteError, Routed, Unavailable,
};
pub use routes::{Routes, SiteAlone};
pub use server::Server;
pub use service::{Service, Stream};
pub use session::{Session, Wants};
pub use site::{Entry, File, Site, Target};
