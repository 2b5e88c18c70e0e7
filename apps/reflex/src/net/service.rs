//! What an application implements to serve connections and datagrams.

use crate::net::{Connection, ConnectionError, Datagram, TcpState, UdpSocket, Undeliverable};
use reflex_runtime::Runtime;

/// The handlers of TCP connections, run in the application's context with `&mut self` its state.
///
/// One activation may have several things to tell of one connection. The handlers are then
/// called in the order in which they stand here. After [`ended`](Self::ended) or
/// [`failed`](Self::failed) nothing more is told, and every call on the connection answers
/// [`NetError::Closed`](crate::net::NetError::Closed).
pub trait TcpService: 'static {
    /// A peer has connected to the listener.
    fn accepted(&mut self, connection: &Connection) {
        let _ = connection;
    }

    /// An outgoing connection is established.
    fn connected(&mut self, connection: &Connection) {
        let _ = connection;
    }

    /// The connection has gone to `state`, if it was asked to
    /// [tell](reflex_net::Connection::watch_states). TIME-WAIT and CLOSED are the last.
    fn state(&mut self, connection: &Connection, state: TcpState) {
        let _ = (connection, state);
    }

    /// Bytes have arrived since the last call. Those left unread stay, and the window closes
    /// as they fill the buffer; the next call comes with the next bytes.
    fn received(&mut self, connection: &Connection);

    /// There is room again, after a [`write`](reflex_net::Connection::write) said
    /// [`Hold`](crate::net::Written::Hold), or a [`send`](reflex_net::Connection::send) or an
    /// [`exchange`](reflex_net::Connection::exchange) took less than it was given.
    fn sent(&mut self, connection: &Connection) {
        let _ = connection;
    }

    /// The peer will send no more. Unless overridden, what has been received is answered, what was written is
    /// sent, and then our side is closed, too: see [`finish`](reflex_net::Connection::finish).
    fn closed(&mut self, connection: &Connection) {
        connection.finish();
    }

    /// The connection failed. Its place is given to another one after this.
    fn failed(&mut self, connection: &Connection, error: ConnectionError) {
        let _ = (connection, error);
    }

    /// Both sides have closed, or the application aborted the connection. Its place is given
    /// to another one after this.
    fn ended(&mut self, connection: &Connection) {
        let _ = connection;
    }
}

/// The handler of a UDP socket, run in the application's context.
///
/// ```
/// # use reflex::{prelude::*, testing::Simulation};
/// struct Echo;
///
/// impl UdpService for Echo {
///     fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
///         // What cannot be sent is lost, as datagrams may be.
///         if let Err(error) = socket.send_to(datagram.payload, datagram.from) {
///             debug!("{}: {error}", datagram.from);
///         }
///     }
/// }
///
/// # let mut sim = Simulation::new(|system| {
/// let echo = system.context("echo", Echo).build()?;
/// system.udp(7).serve(echo)?;
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// # let client = sim.datagrams(40_000);
/// # client.send(7, "hello");
/// # sim.run();
/// # assert_eq!(client.take(), [(7, b"hello".to_vec())]);
/// ```
pub trait UdpService: 'static {
    /// A datagram has arrived. It is still where the device put it, and gone afterwards.
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>);

    /// The network says that a datagram of this socket did not arrive. Anybody can say so: it is a
    /// hint, and no proof.
    fn undeliverable(&mut self, socket: &UdpSocket, what: Undeliverable) {
        let _ = (socket, what);
    }
}

/// A service as the stack calls it, with the handle that is the application's in place of the stack's own.
struct Adapted<'run, S, H> {
    service: &'run mut S,
    handle: &'run H,
}

impl Connection {
    /// Tells `service` what there is to tell: what the handler of a connection's registration does. It does so of
    /// other connections of the same listener or connector as well, if they are told together.
    #[inline]
    pub(crate) fn deliver<S: TcpService>(&self, service: &mut S) {
        self.0.tell(&mut Adapted { service, handle: self });
        for other in self.0.others() {
            let other = Connection(other);
            other.0.tell(&mut Adapted { service, handle: &other });
        }
    }
}

impl UdpSocket {
    /// Hands received datagrams to `service`: what the handler of the socket's registration does.
    #[inline]
    pub(crate) fn deliver<S: UdpService>(&self, service: &mut S) {
        self.0.deliver(&mut Adapted { service, handle: self });
    }
}

impl<S: TcpService> reflex_net::TcpService<Runtime> for Adapted<'_, S, Connection> {
    #[inline]
    fn accepted(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.service.accepted(self.handle);
    }

    #[inline]
    fn connected(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.service.connected(self.handle);
    }

    #[inline]
    fn state(&mut self, _: &reflex_net::Connection<Runtime>, state: TcpState) {
        self.service.state(self.handle, state);
    }

    #[inline]
    fn received(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.service.received(self.handle);
    }

    #[inline]
    fn sent(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.service.sent(self.handle);
    }

    #[inline]
    fn closed(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.service.closed(self.handle);
    }

    #[inline]
    fn failed(&mut self, _: &reflex_net::Connection<Runtime>, error: ConnectionError) {
        self.service.failed(self.handle, error);
    }

    #[inline]
    fn ended(&mut self, _: &reflex_net::Connection<Runtime>) {
        self.service.ended(self.handle);
    }
}

impl<S: UdpService> reflex_net::UdpService<Runtime> for Adapted<'_, S, UdpSocket> {
    #[inline]
    fn datagram(&mut self, _: &reflex_net::UdpSocket<Runtime>, datagram: Datagram<'_>) {
        self.service.datagram(self.handle, datagram);
    }

    #[inline]
    fn undeliverable(&mut self, _: &reflex_net::UdpSocket<Runtime>, what: Undeliverable) {
        self.service.undeliverable(self.handle, what);
    }
}
