//! Serving HTTP/1.1: files, and routes with handlers.
//!
//! [`System::http`](crate::System::http) prepares a port. Its connections are served by a context of its own. A request
//! for a route is put together in that one's event memory, and its handler is called in the route's context, at that
//! one's priority, by an activation; what it returns goes back the same way. So a handler that fails takes its own
//! context with it and no connection: the client is told 500, and 503 for as long as there is no handler.
//!
//! What is here beside is the engine, which knows no socket: [`Service`] drives connections, with [`SiteAlone`] or
//! [`Routed`] requests. The rules are those of RFC 9110 and RFC 9112.

mod builder;
mod calls;
mod each;
mod error;
mod handler;
mod list;
mod port;
mod request;
mod responder;
mod server;
mod web;

pub use builder::{HttpBuilder, RouteList};
pub use calls::Gone;
pub use each::{Dialogue, Exchange, Flow};
pub use error::{HttpError, HttpReason};
pub use reflex_http::*;
pub use request::Request;
pub use responder::Responder;
pub use server::HttpServer;
