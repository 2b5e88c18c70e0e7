//! A UDP port, as a source of typed events.
//!
//! A handler that reads datagrams where the device has put them, without a copy, is registered by
//! [`System::udp`] and a [`UdpService`].

use super::{Each, Kind, Source};
use crate::net::{Datagram, UdpService, UdpSocket};
use crate::{Error, Priority, Runtime, System};
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddrV4;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reflex_memory::Lent;

/// A UDP port that is open. It goes to one registration. Copies are of the same port.
///
/// A port cannot be held up: datagrams that find no room, or no event memory, are dropped and
/// counted, as they are everywhere on a network; or the registration ends, if it has chosen
/// [`Shortage::Abort`](super::Shortage).
#[derive(Clone)]
pub struct Udp(Arc<UdpShared>);

/// What its copies share.
struct UdpShared {
    source: Source<Received>,
    socket: UdpSocket,
    dropped: Arc<AtomicU64>,
}

/// A datagram has arrived.
pub struct Received {
    /// The sender.
    pub from: SocketAddrV4,
    /// The address it was sent to: our own, or a broadcast address.
    pub to: SocketAddrV4,
    /// What it says, in the event memory of the handler's context.
    pub payload: Lent<[u8]>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes from {} to {}", self.payload.len(), self.from, self.to)
    }
}

impl Udp {
    /// Opens a port. Its work is done at a priority.
    ///
    /// # Errors
    /// Those of [`System::udp`]; others when memory or a table does not allow it.
    pub fn open(system: System, port: u16, priority: Priority) -> Result<Self, Error> {
        let source: Source<Received> = system.exclusive(|| {})?;
        let dropped: Arc<AtomicU64> = Arc::default();
        let bridge = UdpBridge { source: source.clone(), dropped: dropped.clone() };
        let context = system.context("udp", bridge).priority(priority).build()?;
        let socket = system.udp(port).priority(priority).serve(context)?;
        Ok(Self(Arc::new(UdpShared { source, socket, dropped })))
    }

    /// The socket, for sending.
    pub fn socket(&self) -> &UdpSocket {
        &self.0.socket
    }

    /// Datagrams that were dropped for want of room, or because there was no registration.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }
}

impl Kind<Runtime> for Udp {
    const NAME: &str = "udp";
    type Data = Received;
    type Accumulation = Each<16>;

    fn source(&self) -> &Source<Received> {
        &self.0.source
    }
}

/// Datagrams on their way to the source.
struct UdpBridge {
    source: Source<Received>,
    dropped: Arc<AtomicU64>,
}

impl UdpService for UdpBridge {
    fn datagram(&mut self, _: &UdpSocket, datagram: Datagram<'_>) {
        let Datagram { from, to, payload: arrived } = datagram;
        let taken =
            self.source.sole().is_some_and(|owner| match owner.pool().bytes(arrived.len()) {
                Ok(mut payload) => {
                    payload.copy_from_slice(arrived);
                    self.source.deliver(Received { from, to, payload }).is_ok()
                }
                Err(_) => {
                    // The kernel tells the owner, which may have chosen to end in that case. A
                    // network does not wait.
                    let _ = owner.no_room(1);
                    false
                }
            });
        self.dropped.fetch_add(u64::from(!taken), Relaxed);
    }
}
