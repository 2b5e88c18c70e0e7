//! Why routes cannot be served. Found when the server is made; requests never cause these.

use crate::route::method::Method;
use core::fmt;

/// What is wrong with routes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteError {
    /// A path that is none: see [`Route`](crate::Route).
    Pattern(&'static str),
    /// Two routes for the same requests, or for the same paths with parameters of other names.
    Clash {
        /// The method of the second.
        method: Method,
        /// The path of the first.
        first: &'static str,
        /// The path of the second.
        second: &'static str,
    },
    /// A handler is for a route that was not declared.
    Undeclared {
        /// The method.
        method: Method,
        /// The path.
        path: &'static str,
    },
    /// More routes than there can be.
    TooMany,
    /// A media type that a route consumes is none.
    MediaType(&'static str),
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(path) => write!(f, "\"{path}\" is no path of a route"),
            Self::Clash { method, first, second } if first == second => {
                write!(f, "there are two routes for {method} {first}")
            }
            Self::Clash { method, first, second } => {
                write!(f, "{method} {second} has the same paths as {first} before it")
            }
            Self::Undeclared { method, path } => {
                write!(f, "no route {method} {path} was declared")
            }
            Self::TooMany => f.write_str("there are more routes than there can be"),
            Self::MediaType(text) => write!(f, "\"{text}\" is no media type"),
        }
    }
}

impl core::error::Error for RouteError {}
