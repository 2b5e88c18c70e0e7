//! What handlers may return.

use crate::route::refusal::Refusal;
use crate::route::reply::Reply;
use alloc::string::String;

/// What a handler returns: a reply, or something that becomes one; or that there will be one later.
pub enum Answer {
    /// This one.
    Now(Reply),
    /// The reply comes later, by the responder that the handler has taken.
    Later,
}

/// What handlers may return.
pub trait Respond {
    /// What that says.
    fn respond(self) -> Answer;
}

impl Respond for Answer {
    fn respond(self) -> Answer {
        self
    }
}

macro_rules! respond_at_once {
    ($($kind:ty),*) => {
        $(impl Respond for $kind {
            fn respond(self) -> Answer {
                Answer::Now(self.into())
            }
        })*
    };
}

respond_at_once!(Reply, Refusal, (), &'static str, String);

impl<R: Respond, E: Respond> Respond for Result<R, E> {
    fn respond(self) -> Answer {
        match self {
            Ok(good) => good.respond(),
            Err(bad) => bad.respond(),
        }
    }
}

/// What is not there is not found.
impl<R: Respond> Respond for Option<R> {
    fn respond(self) -> Answer {
        self.map_or_else(|| Answer::Now(Reply::not_found()), R::respond)
    }
}

/// 204.
impl From<()> for Reply {
    fn from((): ()) -> Self {
        Self::no_content()
    }
}

impl From<&'static str> for Reply {
    fn from(text: &'static str) -> Self {
        Self::ok().text(text)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::ok().text(text)
    }
}
