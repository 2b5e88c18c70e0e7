//! UDP sockets.

use crate::net::UdpService;
use crate::{Context, Error, Priority, Registered, System};
use core::ops::Deref;
use reflex_net::UdpSettings;
use reflex_runtime::Runtime;

/// How a UDP socket is to behave; [`serve`](Self::serve) opens it. See [`System::udp`].
#[must_use = "the port is not open before `serve`"]
#[derive(Clone, Copy)]
pub struct UdpBuilder {
    system: System,
    port: u16,
    priority: Option<Priority>,
    settings: UdpSettings,
}

impl UdpBuilder {
    pub(super) fn new(system: System, port: u16) -> Self {
        Self { system, port, priority: None, settings: UdpSettings::default() }
    }

    /// The priority of all work for the socket: protocol and handlers; the context's unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    reflex_net::datagram_settings!();

    /// Opens the port: its datagrams are served by the state of `context`.
    ///
    /// # Errors
    /// Those of [`System::net`]; [`NetError::PortInUse`](crate::net::NetError::PortInUse),
    /// [`NetError::BadParameter`](crate::net::NetError::BadParameter); others when memory or a table does
    /// not allow it.
    pub fn serve<S: UdpService>(self, context: Context<S>) -> Result<UdpSocket, Error> {
        let kernel = self.system.kernel();
        let socket = self.builder(context)?.serve_by(context, |socket| {
            let socket = UdpSocket(socket, kernel);
            move |service: &mut S| socket.deliver(service)
        })?;
        Ok(UdpSocket(socket, kernel))
    }

    /// Opens the port for sending alone, in the memory of `context`: what arrives there is dropped and counted.
    /// Port 0 is any that is free.
    ///
    /// # Errors
    /// As [`serve`](Self::serve); [`NetError::NoPort`](crate::net::NetError::NoPort) when no port was found that is
    /// free.
    pub fn send_only<S: 'static>(self, context: Context<S>) -> Result<UdpSocket, Error> {
        let socket = self.builder(context)?.send_only(context)?;
        Ok(UdpSocket(socket, self.system.kernel()))
    }

    fn builder<S>(self, context: Context<S>) -> Result<reflex_net::UdpBuilder<Runtime>, Error> {
        let priority = self.priority.unwrap_or(context.priority);
        let settings = UdpSettings { priority, ..self.settings };
        Ok(self.system.net()?.0.udp(self.port).with(settings))
    }
}

/// An open UDP port.
#[derive(Clone)]
pub struct UdpSocket(pub(crate) reflex_net::UdpSocket<Runtime>, Runtime);

impl UdpSocket {
    /// The registration of its handler, for control; `None` when the context that serves it has been given up.
    pub fn registration(&self) -> Option<Registered> {
        self.0.registration().map(|event| Registered::of_queue(self.1, event))
    }
}

impl Deref for UdpSocket {
    type Target = reflex_net::UdpSocket<Runtime>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
