//! Routes: requests that handlers answer, beside the site.

mod body;
mod chunked;
mod declared;
mod error;
mod exchange;
mod handlers;
mod method;
mod pattern;
mod query;
mod reason;
mod refusal;
mod reply;
mod request;
mod respond;
mod routed;
mod table;
mod unsent;

pub use declared::Route;
pub use error::RouteError;
pub(crate) use exchange::Turn;
pub use handlers::{Answered, Call, Handlers, Incoming, Unavailable};
pub use method::Method;
pub use refusal::Refusal;
pub use reply::{Content, Fault, Reply};
pub use request::{Meta, Request};
pub use respond::{Answer, Respond};
pub use routed::Routed;
