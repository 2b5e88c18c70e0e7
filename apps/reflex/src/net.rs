//! The network: TCP and UDP over the machine's interface.
//!
//! A state that implements [`TcpService`] serves connections: those that peers open, by [`System::tcp`], and
//! those that it opens, by [`System::connector`]. One that implements [`UdpService`] serves a UDP port, by
//! [`System::udp`]. The first of them starts the stack.

mod connect;
mod connection;
mod listen;
mod service;
mod session;
mod start;
mod udp;

pub use connect::{ConnectBuilder, Connector};
pub use connection::Connection;
pub use listen::{ListenBuilder, Listener};
#[doc(inline)]
pub use reflex_net::{
    ConnectionError, Counters, Datagram, Error as NetError, Exchanged, InterfaceAddress, TcpState,
    TcpStates, Undeliverable, Unreachable, Written, dhcp,
};
pub use service::{TcpService, UdpService};
pub use session::Session;
pub(crate) use start::start;
pub use udp::{UdpBuilder, UdpSocket};

use crate::{Context, Error, Registered, System};
use reflex_event::EventSystem as _;
use reflex_net::{BufferMemory, TcpSettings};
use reflex_runtime::Runtime;

/// What connections are given unless said otherwise: their memory is set aside, so that all there may be are served.
fn settings() -> TcpSettings {
    TcpSettings { memory: BufferMemory::SetAside, ..TcpSettings::default() }
}

/// The network stack, once it has been started; see [`System::net`].
pub struct Net(pub(crate) reflex_net::Net<Runtime>, pub(crate) Runtime);

impl Net {
    /// The interface's address, once there is one.
    pub fn address(&self) -> Option<InterfaceAddress> {
        self.0.address()
    }

    /// Has `handler` told of every change of the interface's address, and of the address it has already.
    ///
    /// # Errors
    /// When memory or a table does not allow one registration more.
    pub fn on_address<S, F>(&self, context: Context<S>, handler: F) -> Result<Registered, Error>
    where
        S: 'static,
        F: Fn(&mut S, Option<InterfaceAddress>) + Send + 'static,
    {
        let event = self.0.on_address(context.inner, context.priority, handler)?;
        Ok(Registered::new(self.1, event))
    }

    /// Longest IP packet that the interface carries, or the network, if a DHCP server has said so, in bytes.
    pub fn mtu(&self) -> usize {
        self.0.mtu()
    }

    /// What a DHCP server has said of the network, while there is a lease.
    pub fn parameters(&self) -> Option<dhcp::Parameters> {
        self.0.parameters()
    }

    /// What the DHCP client has counted, if there is one.
    pub fn dhcp_counters(&self) -> Option<dhcp::Counters> {
        self.0.dhcp_counters()
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.0.counters()
    }
}

impl System {
    /// The network. The first call starts the stack over the machine's first interface, which
    /// takes its time, with all handlers waiting: it is best made in `main`.
    ///
    /// # Errors
    /// [`Error::Interface`] without an interface; others when memory does not allow it.
    pub fn net(self) -> Result<&'static Net, Error> {
        match self.started_net() {
            Some(net) => Ok(net),
            // In a section: a handler that came here during the start could only wait for ever.
            None => self.kernel().section(|| self.net_once().try_call_once(|| start(self))),
        }
    }

    /// Prepares to serve a TCP port.
    pub fn tcp(self, port: u16) -> ListenBuilder {
        ListenBuilder::new(self, port)
    }

    /// Prepares outgoing TCP connections.
    ///
    /// ```
    /// # use core::net::{Ipv4Addr, SocketAddrV4};
    /// # use reflex::net::{ConnectionError, Connector};
    /// # use reflex::{prelude::*, testing::Simulation};
    /// #[derive(Default)]
    /// struct Dialer {
    ///     failures: u32,
    /// }
    ///
    /// impl TcpService for Dialer {
    ///     fn connected(&mut self, connection: &Connection) {
    ///         connection.write(b"anybody there?");
    ///     }
    ///
    ///     fn received(&mut self, connection: &Connection) {
    ///         connection.discard();
    ///     }
    ///
    ///     fn failed(&mut self, _: &Connection, _: ConnectionError) {
    ///         self.failures += 1;
    ///     }
    /// }
    ///
    /// # let mut sim = Simulation::new(|system| {
    /// let dialer = system.context("dialer", Dialer::default()).build()?;
    /// let connector = system.connector().serve(dialer)?;
    /// # system.after(millis(1)).on(dialer, move |_, _| {
    /// # let dial = || -> Result {
    /// // In any handler, and in `main` once there is an address:
    /// connector.connect(SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 1), 80))?;
    /// # connector.connect(SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 1), 81))?;
    /// # Ok(())
    /// # };
    /// # dial().unwrap();
    /// # })?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # let server = sim.listen(80);
    /// # sim.advance(secs(1));
    /// # assert_eq!(server.received(), b"anybody there?");
    /// # assert_eq!(sim.state("dialer", |dialer: &mut Dialer| dialer.failures), 1);
    /// ```
    pub fn connector(self) -> ConnectBuilder {
        ConnectBuilder::new(self)
    }

    /// Prepares a UDP socket on a port.
    pub fn udp(self, port: u16) -> UdpBuilder {
        UdpBuilder::new(self, port)
    }
}
