//! UDP sockets.

use crate::net::UdpService;
use crate::{Context, Error, System};
use core::ops::Deref;
use reflex_net::UdpSettings;
use reflex_runtime::Runtime;

/// How a UDP socket is to behave; [`serve`](Self::serve) opens it. See [`System::udp`].
#[must_use = "the port is not open before `serve`"]
#[derive(Clone, Copy)]
pub struct UdpBuilder {
    system: System,
    port: u16,
    settings: UdpSettings,
}

impl UdpBuilder {
    pub(super) fn new(system: System, port: u16) -> Self {
        Self { system, port, settings: UdpSettings::default() }
    }

    reflex_net::datagram_settings!();

    /// Opens the port: its datagrams are served by the state of `context`.
    ///
    /// # Errors
    /// Those of [`System::net`]; [`NetError::PortInUse`](crate::net::NetError::PortInUse),
    /// [`NetError::BadParameter`](crate::net::NetError::BadParameter); others when memory or a table does
    /// not allow it.
    pub fn serve<S: UdpService>(self, context: Context<S>) -> Result<UdpSocket, Error> {
        let builder = self.system.net()?.0.udp(self.port).with(self.settings);
        let socket = builder.serve_by(context, |socket| {
            let socket = UdpSocket(socket);
            move |service: &mut S| socket.deliver(service)
        })?;
        Ok(UdpSocket(socket))
    }

    /// Opens the port for sending alone, in the memory of `context`: what arrives there is dropped and counted.
    /// Port 0 is any that is free.
    ///
    /// # Errors
    /// As [`serve`](Self::serve); [`NetError::NoPort`](crate::net::NetError::NoPort) when no port was found that is
    /// free.
    pub fn send_only<S: 'static>(self, context: Context<S>) -> Result<UdpSocket, Error> {
        let builder = self.system.net()?.0.udp(self.port).with(self.settings);
        Ok(UdpSocket(builder.send_only(context)?))
    }
}

/// An open UDP port.
#[derive(Clone)]
pub struct UdpSocket(pub(crate) reflex_net::UdpSocket<Runtime>);

impl Deref for UdpSocket {
    type Target = reflex_net::UdpSocket<Runtime>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
