//! What an application implements.

use crate::api::connection::{Connection, Told};
use crate::api::udp::{Datagram, UdpSocket};
use crate::table::connection_record::notice;
use crate::types::error::ConnectionError;
use crate::types::tcp_state::TcpState;
use crate::types::unreachable::Undeliverable;
use reflex_event::Kernel;

/// The handlers of TCP connections, run in the application's context with `&mut self` its state.
///
/// One activation may have several things to tell of one connection. The handlers are then
/// called in the order in which they stand here. After [`ended`](Self::ended) or
/// [`failed`](Self::failed) nothing more is told, and every call on the connection answers
/// [`Error::Closed`](crate::Error::Closed).
pub trait TcpService<K: Kernel> {
    /// A peer has connected to the listener.
    fn accepted(&mut self, connection: &Connection<K>) {
        let _ = connection;
    }

    /// An outgoing connection is established.
    fn connected(&mut self, connection: &Connection<K>) {
        let _ = connection;
    }

    /// The connection has gone to `state`, if it was asked to
    /// [tell](Connection::watch_states). TIME-WAIT and CLOSED are the last.
    fn state(&mut self, connection: &Connection<K>, state: TcpState) {
        let _ = (connection, state);
    }

    /// Bytes have arrived since the last call. Those left unread stay, and the window closes
    /// as they fill the buffer; the next call comes with the next bytes.
    fn received(&mut self, connection: &Connection<K>);

    /// There is room again, after [`Connection::write`] said [`Hold`](crate::Written::Hold), or
    /// [`Connection::send`] or [`Connection::exchange`] took less than it was given.
    fn sent(&mut self, connection: &Connection<K>) {
        let _ = connection;
    }

    /// The peer will send no more. Unless overridden, what has been received is answered, what was written is
    /// sent, and then our side is closed, too: see [`Connection::finish`].
    fn closed(&mut self, connection: &Connection<K>) {
        connection.finish();
    }

    /// The connection failed. Its place is given to another one after this.
    fn failed(&mut self, connection: &Connection<K>, error: ConnectionError) {
        let _ = (connection, error);
    }

    /// Both sides have closed, or the application aborted the connection. Its place is given
    /// to another one after this.
    fn ended(&mut self, connection: &Connection<K>) {
        let _ = connection;
    }
}

/// The handler of a UDP socket, run in the application's context.
pub trait UdpService<K: Kernel> {
    /// A datagram has arrived. It is still where the device put it, and gone afterwards.
    fn datagram(&mut self, socket: &UdpSocket<K>, datagram: Datagram<'_>);

    /// The network says that a datagram of this socket did not arrive.
    fn undeliverable(&mut self, socket: &UdpSocket<K>, what: Undeliverable) {
        let _ = (socket, what);
    }
}

impl<K: Kernel> Connection<K> {
    /// Tells `service` what there is to tell: what the handler of a connection's registration
    /// does. It does so of the [others](Self::others) as well, if they are told together.
    pub fn deliver<S: TcpService<K>>(&self, service: &mut S) {
        self.tell(service);
        for other in self.others() {
            other.tell(service);
        }
    }

    /// Tells `service` what there is to tell of this connection.
    #[inline]
    pub fn tell<S: TcpService<K>>(&self, service: &mut S) {
        tell(service, self);
    }
}

/// Tells `service` what there is to tell of `connection`.
#[inline]
fn tell<K: Kernel, S: TcpService<K>>(service: &mut S, connection: &Connection<K>) {
    let Some(Told { notices, error, ending }) = connection.take_notices() else { return };
    if notices & notice::ACCEPTED != 0 {
        service.accepted(connection);
    }
    if notices & notice::CONNECTED != 0 {
        service.connected(connection);
    }
    if notices & notice::STATE != 0 {
        while let Some(state) = connection.take_state() {
            service.state(connection, state);
        }
    }
    if notices & notice::RECEIVED != 0 {
        service.received(connection);
    }
    if notices & notice::SENT != 0 {
        service.sent(connection);
    }
    if notices & notice::CLOSED != 0 {
        service.closed(connection);
    }
    if notices & notice::FAILED != 0 {
        service.failed(connection, error.unwrap_or(ConnectionError::Reset));
    }
    if notices & notice::ENDED != 0 {
        service.ended(connection);
    }
    if notices & (notice::FAILED | notice::ENDED) != 0 {
        connection.told();
    } else if ending {
        connection.finish_told();
    }
}
