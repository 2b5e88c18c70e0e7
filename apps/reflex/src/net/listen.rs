//! Serving a TCP port.

use crate::net::{Connection, TcpService};
use crate::{Context, Error, EventError, Priority, System};
use core::ops::Deref;
use reflex_net::TcpSettings;
use reflex_runtime::Runtime;

/// How a TCP port is to be served; [`serve`](Self::serve) opens it. See [`System::tcp`].
#[must_use = "nothing listens before `serve`"]
#[derive(Clone, Copy)]
pub struct ListenBuilder {
    system: System,
    port: u16,
    priority: Option<Priority>,
    settings: TcpSettings,
}

impl ListenBuilder {
    pub(super) fn new(system: System, port: u16) -> Self {
        Self { system, port, priority: None, settings: super::settings() }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn system(&self) -> System {
        self.system
    }

    /// The priority of all work for the connections: protocol and handlers; the context's unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    reflex_net::connection_settings!();
    reflex_net::listen_settings!();

    /// Opens the port: its connections are served by the state of `context`.
    ///
    /// # Errors
    /// Those of [`System::net`]; [`NetError::PortInUse`](crate::net::NetError::PortInUse),
    /// [`NetError::BadParameter`](crate::net::NetError::BadParameter); others when memory or a table does
    /// not allow it.
    pub fn serve<S: TcpService>(mut self, context: Context<S>) -> Result<Listener, Error> {
        self.settings.together = true;
        self.serve_by(context, |connection| Ok(move |service: &mut S| connection.deliver(service)))
    }

    /// Opens the port for connections that are told to handlers of their places: `make` makes one of the
    /// place's handle whenever there are more connections at a time than there have been, in a section. When
    /// it fails, the context is given up. [`Connection::deliver`] says what there is to tell.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub(crate) fn serve_by<S: 'static, F>(
        self,
        context: Context<S>,
        make: impl Fn(Connection) -> Result<F, EventError> + Send + Sync + 'static,
    ) -> Result<Listener, Error>
    where
        F: Fn(&mut S) + Send + 'static,
    {
        let priority = self.priority.unwrap_or(context.priority);
        let settings = TcpSettings { priority, ..self.settings };
        let builder = self.system.net()?.0.listen(self.port).with(settings);
        let make = move |connection| make(Connection(connection));
        Ok(Listener(builder.serve_by(context, make)?))
    }
}

/// An open TCP port. Dropping it changes nothing; the port stays open until it is
/// [closed](reflex_net::Listener::close), or until the context that serves it is given up: then this is a handle of
/// nothing, also when the context opens the port again in its next life.
pub struct Listener(pub(crate) reflex_net::Listener<Runtime>);

impl Deref for Listener {
    type Target = reflex_net::Listener<Runtime>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
