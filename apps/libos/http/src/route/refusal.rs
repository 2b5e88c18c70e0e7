//! A request that a handler cannot make sense of.

use crate::route::reply::Reply;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// Why a request is not answered as it was meant to be: what typed access to a request fails with. A handler hands it
/// on by `?`, and the client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A parameter of the path is of another type, so that there is nothing at that path: 404.
    NoSuchPath,
    /// A parameter of the query is missing or of another type: 400.
    Query(&'static str),
    /// The body is not of this media type: 415.
    MediaType(&'static str),
    /// The body is not what it says it is, with the reason and the place: 400.
    Body(String),
}

impl Refusal {
    /// The status that it is answered with.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoSuchPath => 404,
            Self::Query(_) | Self::Body(_) => 400,
            Self::MediaType(_) => 415,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPath => f.write_str("there is nothing at this path"),
            Self::Query(name) => write!(f, "the query has no {name:?}, or not of that type"),
            Self::MediaType(name) => write!(f, "the body is to be {name}"),
            Self::Body(reason) => f.write_str(reason),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let reply = Reply::status(refusal.status()).text(format!("{refusal}\n"));
        match refusal {
            Refusal::MediaType(name) => reply.field("Accept", name),
            _ => reply,
        }
    }
}
