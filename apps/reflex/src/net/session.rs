//! A state for each connection.

use crate::net::{ConnectBuilder, Connection, ConnectionError, Connector, ListenBuilder, Listener};
use crate::{Context, Error};
use core::cell::RefCell;
use reflex_event::{Error as EventError, EventSystem as _};
use reflex_memory::{Lent, Pool};
use reflex_net::TcpService;
use reflex_runtime::Runtime;

/// What is kept of one connection, in the event memory of the context with the state `S` that serves it: made when
/// the connection is there, and dropped when that is over.
///
/// ```
/// # use reflex::net::{ConnectionError, Session};
/// # use reflex::{prelude::*, testing::Simulation};
/// struct Counter {
///     longest: usize,
/// }
///
/// struct Visitor {
///     bytes: usize,
/// }
///
/// impl Session<Counter> for Visitor {
///     fn opened(_: &mut Counter, _: &Connection) -> Option<Self> {
///         Some(Visitor { bytes: 0 })
///     }
///
///     fn received(&mut self, _: &mut Counter, connection: &Connection) {
///         self.bytes += connection.discard();
///     }
///
///     fn over(self, counter: &mut Counter, _: &Connection, _: Option<ConnectionError>) {
///         counter.longest = counter.longest.max(self.bytes);
///     }
/// }
///
/// # let mut sim = Simulation::new(|system| {
/// let counter = system.context("counter", Counter { longest: 0 }).build()?;
/// system.tcp(2000).serve_each::<Visitor, _>(counter)?;
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// # for text in ["long", "longest", "short"] {
/// #     let client = sim.connect(2000);
/// #     sim.run();
/// #     client.send(text);
/// #     client.half_close();
/// #     sim.run();
/// # }
/// # assert_eq!(sim.state("counter", |counter: &mut Counter| counter.longest), 7);
/// ```
///
/// When the context is given up its connections are reset, and their sessions end with it;
/// [`Listener::cut_off`](reflex_net::Listener::cut_off) tells its next life how many these were.
pub trait Session<S>: Send + Sized + 'static {
    /// A peer has connected, or an outgoing connection is established: what is to be kept of it. Without that
    /// the connection is reset; without memory for it, too, and it is [`over`](Self::over) at once.
    fn opened(service: &mut S, connection: &Connection) -> Option<Self>;

    /// As [`TcpService::received`](crate::net::TcpService::received).
    fn received(&mut self, service: &mut S, connection: &Connection);

    /// As [`TcpService::sent`](crate::net::TcpService::sent).
    fn sent(&mut self, service: &mut S, connection: &Connection) {
        let _ = (service, connection);
    }

    /// As [`TcpService::closed`](crate::net::TcpService::closed).
    fn closed(&mut self, service: &mut S, connection: &Connection) {
        let _ = service;
        connection.finish();
    }

    /// The connection is over: failed, if there is a reason.
    fn over(self, service: &mut S, connection: &Connection, error: Option<ConnectionError>) {
        let _ = (service, connection, error);
    }

    /// An outgoing connection was not established.
    fn failed(service: &mut S, connection: &Connection, error: ConnectionError) {
        let _ = (service, connection, error);
    }
}

/// What one place has for its connections, one after the other.
struct Place<T: Send + 'static> {
    connection: Connection,
    pool: &'static Pool,
    /// That of the present one. Borrowed while it works: no other handler of the context runs meanwhile.
    session: RefCell<Option<Lent<T>>>,
}

/// A place, and the state of the context, in a run of its handler.
struct Run<'run, S, T: Send + 'static> {
    service: &'run mut S,
    place: &'run Place<T>,
}

impl<S, T: Session<S>> Run<'_, S, T> {
    fn open(&mut self) {
        let Place { connection, pool, session } = self.place;
        match T::opened(self.service, connection).map(|made| pool.alloc(made)) {
            Some(Ok(made)) => drop(session.replace(Some(made))),
            // The pool's owner is told, too.
            Some(Err(refused)) => {
                connection.abort();
                let error = Some(ConnectionError::OutOfMemory);
                refused.value.over(self.service, connection, error);
            }
            None => connection.abort(),
        }
    }

    fn with(&mut self, work: impl FnOnce(&mut T, &mut S, &Connection)) {
        if let Some(session) = &mut *self.place.session.borrow_mut() {
            work(session, self.service, &self.place.connection);
        }
    }

    fn over(&mut self, error: Option<ConnectionError>) {
        let connection = &self.place.connection;
        match (self.place.session.take(), error) {
            (Some(session), error) => session.into_inner().over(self.service, connection, error),
            (None, Some(error)) => T::failed(self.service, connection, error),
            (None, None) => {}
        }
    }
}

impl<S, T: Session<S>> TcpService<Runtime> for Run<'_, S, T> {
    fn accepted(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.open();
    }

    fn connected(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.open();
    }

    fn received(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.with(T::received);
    }

    fn sent(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.with(T::sent);
    }

    fn closed(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.with(T::closed);
    }

    fn failed(&mut self, _: &reflex_net::Connection<Runtime>, error: ConnectionError) {
        self.over(Some(error));
    }

    fn ended(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.over(None);
    }
}

/// The handler of a place.
fn handler<S, T: Session<S>>(
    pool: &'static Pool,
    connection: Connection,
) -> Result<impl Fn(&mut S) + Send + 'static, EventError>
where
    S: 'static,
{
    let place = Place::<T> { connection, pool, session: RefCell::new(None) };
    Ok(move |service: &mut S| place.connection.0.tell(&mut Run { service, place: &place }))
}

impl ListenBuilder {
    /// Opens the port: each connection is served by a [`Session`] of its own, made in the event memory of `context`.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_each<T: Session<S>, S: 'static>(
        self,
        context: Context<S>,
    ) -> Result<Listener, Error> {
        let pool = self.system().kernel().pool(context.inner)?;
        self.serve_by(context, move |connection| handler::<S, T>(pool, connection))
    }
}

impl ConnectBuilder {
    /// Has each connection served by a [`Session`] of its own, made in the event memory of `context`.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_each<T: Session<S>, S: 'static>(
        self,
        context: Context<S>,
    ) -> Result<Connector, Error> {
        let pool = self.system().kernel().pool(context.inner)?;
        self.serve_by(context, move |connection| handler::<S, T>(pool, connection))
    }
}
