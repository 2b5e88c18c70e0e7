//! The connections of a port, answered by an engine.

use crate::clock;
use crate::plan::SEND_BUFFER;
use keyval_engine::{Engine, Execute, Session};
use reflex::collections::{Memory, Vec};
use reflex::net::ConnectionError;
use reflex::prelude::*;

/// A connection, and what is kept of it.
struct Client {
    connection: Connection,
    session: Session,
}

/// The state of a context that serves a port: commands of one kind, for all connections.
pub(crate) struct Server<C> {
    system: System,
    memory: Memory,
    pub(crate) engine: Engine<C>,
    /// By the place of the connection.
    clients: Vec<Option<Client>>,
    /// Where replies are put together.
    block: Vec<u8>,
}

impl<C: Execute> Server<C> {
    /// # Errors
    /// When the context's memory does not do for so many connections.
    pub(crate) fn new(
        system: System,
        memory: Memory,
        engine: Engine<C>,
        connections: usize,
    ) -> Result<Self> {
        let (mut clients, mut block) = (memory.vec(), memory.vec());
        let room = clients.try_reserve_exact(connections).is_ok();
        if !room || block.try_reserve_exact(SEND_BUFFER).is_err() {
            return Err(Error::Application("there is no memory for as many connections"));
        }
        clients.resize_with(connections, || None);
        block.resize(SEND_BUFFER, 0);
        Ok(Self { system, memory, engine, clients, block })
    }

    /// Answers what a connection has sent, as far as there is room; `sent` goes on when there is more.
    fn answer(&mut self, connection: &Connection) {
        let Self { system, engine, clients, block, .. } = self;
        let Some(Client { session, .. }) = client(clients, connection) else { return };
        let now = clock::now(*system);
        loop {
            if !session.is_sent() && !send(engine, session, connection) {
                return;
            }
            if session.is_closing() {
                connection.finish();
            }
            let exchanged = connection.exchange(block, |input, room| {
                let done = engine.exchange(session, input, room, now);
                (done.consumed, done.written)
            });
            // A connection that is over has nothing more to say.
            let goes_on = exchanged.is_ok_and(|exchanged| exchanged.goes_on());
            if !goes_on && session.is_sent() && !session.is_closing() {
                return;
            }
            if session.is_sent() && session.is_closing() {
                connection.finish();
                connection.discard();
                return;
            }
        }
    }

    /// Ends all connections once what was asked has been answered.
    pub(crate) fn finish(&self) {
        self.clients.iter().flatten().for_each(|client| client.connection.finish());
    }

    /// Forgets a connection that is over.
    fn forget(&mut self, connection: &Connection) {
        let client = self.clients.get_mut(connection.slot()).and_then(Option::take);
        client.into_iter().for_each(|client| self.engine.close(client.session));
    }
}

/// What is kept of a connection.
#[inline]
fn client<'a>(
    clients: &'a mut [Option<Client>],
    connection: &Connection,
) -> Option<&'a mut Client> {
    clients.get_mut(connection.slot())?.as_mut()
}

/// Sends what waits of a session's replies. False when not all of it found room: the service is told by `sent` when
/// there is some.
fn send<C: Execute>(
    engine: &mut Engine<C>,
    session: &mut Session,
    connection: &Connection,
) -> bool {
    while !session.is_sent() {
        let bytes = engine.backlog(session);
        let (length, taken) = (bytes.len(), connection.send(bytes).unwrap_or(0));
        engine.sent(session, taken);
        if taken < length {
            return false;
        }
    }
    true
}

impl<C: Execute + 'static> TcpService for Server<C> {
    fn accepted(&mut self, connection: &Connection) {
        let (Some(place), Ok(session)) =
            (self.clients.get_mut(connection.slot()), self.engine.open(self.memory))
        else {
            return connection.abort();
        };
        *place = Some(Client { connection: connection.clone(), session });
    }

    #[inline]
    fn received(&mut self, connection: &Connection) {
        self.answer(connection);
    }

    fn sent(&mut self, connection: &Connection) {
        self.answer(connection);
    }

    fn failed(&mut self, connection: &Connection, error: ConnectionError) {
        debug!("a connection failed: {error}");
        self.forget(connection);
    }

    fn ended(&mut self, connection: &Connection) {
        self.forget(connection);
    }
}
