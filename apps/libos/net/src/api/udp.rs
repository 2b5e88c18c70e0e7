//! The application's handle of a UDP socket.

use crate::table::datagram_queue::Place;
use crate::table::handle::Net;
use crate::table::socket_record::{HEADERS, PIECE, UdpRecord};
use crate::table::tables::Shared;
use crate::types::error::Error;
use core::net::{Ipv4Addr, SocketAddrV4};
use reflex_event::{EventId, Kernel, Owner};

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The sender.
    pub from: SocketAddrV4,
    /// The address it was sent to: our own, or a broadcast address.
    pub to: SocketAddrV4,
    /// What it says, where the device put it.
    pub payload: &'a [u8],
}

/// An open UDP port.
pub struct UdpSocket<K: Kernel> {
    pub(crate) net: Net<K>,
    pub(crate) index: u32,
    pub(crate) port: u16,
    /// The context that serves it, in the life in which it was opened.
    pub(crate) owner: Owner,
}

impl<K: Kernel> Clone for UdpSocket<K> {
    fn clone(&self) -> Self {
        Self { net: self.net.clone(), index: self.index, port: self.port, owner: self.owner }
    }
}

impl<K: Kernel> UdpSocket<K> {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Queues a datagram to `to`. Constant time, but for the bytes copied.
    ///
    /// # Errors
    /// [`Error::Closed`] when the context that served it has been given up.
    /// [`Error::QueueFull`]: send again when an answer has come, or later.
    /// [`Error::TooLong`], [`Error::BadDestination`], [`Error::NoAddress`].
    pub fn send_to(&self, payload: &[u8], to: SocketAddrV4) -> Result<(), Error> {
        let address = *to.ip();
        if to.port() == 0 || address.is_unspecified() || address.is_multicast() {
            return Err(Error::BadDestination);
        }
        let event = if payload.len() <= PIECE {
            self.net.with(|shared| {
                let place = self.reserve(shared, address, payload.len())?;
                Ok::<_, Error>(self.complete(shared, place, payload, 0, to.port()))
            })?
        } else {
            // A context that is given up in the midst of it would leave a datagram that never goes.
            self.net.kernel().guarded(|| self.send_pieces(payload, to))?
        };
        if let Some(event) = event {
            self.net.activate(event);
        }
        Ok(())
    }

    fn send_pieces(&self, payload: &[u8], to: SocketAddrV4) -> Result<Option<EventId>, Error> {
        let place = self.net.with(|shared| self.reserve(shared, *to.ip(), payload.len()))?;
        let (first, last) = payload.split_at((payload.len() - 1) / PIECE * PIECE);
        for (number, piece) in first.chunks(PIECE).enumerate() {
            self.net.with(|shared| {
                shared.sockets[self.index as usize].unsent.write(place, number * PIECE, piece);
            });
        }
        Ok(self.net.with(|shared| self.complete(shared, place, last, first.len(), to.port())))
    }

    /// Takes a place in the send queue.
    fn reserve(&self, shared: &mut Shared, to: Ipv4Addr, length: usize) -> Result<Place, Error> {
        if !shared.sockets[self.index as usize].is_of(self.owner) {
            return Err(Error::Closed);
        }
        shared.address.ok_or(Error::NoAddress)?;
        if length + HEADERS > shared.mtu {
            return Err(Error::TooLong);
        }
        let record = &mut shared.sockets[self.index as usize];
        record.unsent.reserve(to, length).ok_or(Error::QueueFull)
    }

    /// Writes the last piece of a datagram, and lets it go: the event to activate.
    fn complete(
        &self,
        shared: &mut Shared,
        place: Place,
        piece: &[u8],
        from: usize,
        port: u16,
    ) -> Option<EventId> {
        let record = &mut shared.sockets[self.index as usize];
        record.unsent.write(place, from, piece);
        record.unsent.complete(place, port);
        record.send_event
    }

    /// Looks at what is kept of the socket, which is another's when its owner has been given up.
    pub(crate) fn record<R>(&self, look: impl FnOnce(&mut UdpRecord) -> R) -> Result<R, Error> {
        self.net.with(|shared| {
            let record = &mut shared.sockets[self.index as usize];
            if record.is_of(self.owner) { Ok(look(record)) } else { Err(Error::Closed) }
        })
    }
}
