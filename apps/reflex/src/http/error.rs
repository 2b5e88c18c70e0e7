//! Why HTTP cannot be served.

use crate::Error;
use core::fmt;

/// Why HTTP cannot be served, and how that is said: an image that serves none has no words for it.
#[derive(Clone, Copy)]
pub struct HttpError {
    /// The reason.
    pub reason: HttpReason,
    tell: fn(HttpReason, &mut fmt::Formatter<'_>) -> fmt::Result,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpReason {
    /// The site cannot be served.
    Site(reflex_http::Error),
    /// The routes cannot be served.
    Routes(reflex_http::RouteError),
}

fn tell(reason: HttpReason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match reason {
        HttpReason::Site(error) => fmt::Display::fmt(&error, f),
        HttpReason::Routes(error) => fmt::Display::fmt(&error, f),
    }
}

impl From<HttpReason> for Error {
    fn from(reason: HttpReason) -> Self {
        Self::Http(HttpError { reason, tell })
    }
}

impl From<reflex_http::Error> for Error {
    fn from(error: reflex_http::Error) -> Self {
        HttpReason::Site(error).into()
    }
}

impl From<reflex_http::RouteError> for Error {
    fn from(error: reflex_http::RouteError) -> Self {
        HttpReason::Routes(error).into()
    }
}

impl PartialEq for HttpError {
    fn eq(&self, other: &Self) -> bool {
        self.reason == other.reason
    }
}

impl Eq for HttpError {}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.tell)(self.reason, f)
    }
}

impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
