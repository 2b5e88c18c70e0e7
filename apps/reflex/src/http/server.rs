//! The handle of a port that serves HTTP.

use crate::http::calls::Calls;
use crate::http::each::{self, Exchange};
use crate::http::{Counters, Method, Request, Respond, RouteError, handler};
use crate::net::Listener;
use crate::{Context, Error, System};
use alloc::sync::Arc;
use alloc::vec::Vec;
use reflex_event::Ceiling;

/// A port that serves HTTP. Dropping it changes nothing.
#[derive(Clone)]
pub struct HttpServer {
    pub(super) system: System,
    pub(super) listener: Arc<Listener>,
    pub(super) counters: Arc<Ceiling<Counters>>,
    pub(super) routes: Vec<Declared>,
    pub(super) calls: Option<&'static Calls>,
}

/// A route, by what it was declared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) method: Method,
    pub(super) path: &'static str,
}

impl HttpServer {
    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Takes no more connections. Those there are go on.
    pub fn close(&self) {
        self.listener.close();
    }

    /// What has been counted, up to a second ago.
    pub fn counters(&self) -> Counters {
        self.counters.with(&self.system.kernel(), |counters| *counters)
    }

    /// Has `handler`, in `context`, answer the requests for a route that was declared and has no handler: one that was
    /// [left open](crate::http::HttpBuilder::unattached), or one with a context that has been given up since. It ends with this
    /// life of the context. Requests that wait are handed to it.
    ///
    /// # Errors
    /// [`RouteError::Undeclared`]; [`EventError::Exclusive`](crate::EventError::Exclusive) when it has a handler;
    /// others when memory or a table does not allow one registration more.
    pub fn attach<S, F, A>(
        &self,
        method: Method,
        path: &'static str,
        context: Context<S>,
        handler: F,
    ) -> Result<(), Error>
    where
        S: 'static,
        F: Fn(&mut S, &Request<'_>) -> A + Send + 'static,
        A: Respond,
    {
        let (number, calls) = self.route(method, path)?;
        handler::attach(calls, number, context, handler)
    }

    /// [`attach`](Self::attach), of an [`Exchange`] for each request of a route that was declared to be
    /// [in pieces](crate::http::Route::in_pieces).
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_each<T, S>(
        &self,
        method: Method,
        path: &'static str,
        context: Context<S>,
    ) -> Result<(), Error>
    where
        T: Exchange<S>,
        S: 'static,
    {
        let (number, calls) = self.route(method, path)?;
        each::attach::<T, S>(calls, number, context)
    }

    fn route(
        &self,
        method: Method,
        path: &'static str,
    ) -> Result<(usize, &'static Calls), RouteError> {
        let number = self.routes.iter().position(|there| *there == Declared { method, path });
        number.zip(self.calls).ok_or(RouteError::Undeclared { method, path })
    }
}
