//! Outgoing TCP connections.

use crate::net::{Connection, TcpService};
use crate::{Context, Error, EventError, Priority, System};
use core::net::SocketAddrV4;
use reflex_net::TcpSettings;
use reflex_runtime::Runtime;

/// How outgoing TCP connections are to behave; [`serve`](Self::serve) readies them. See
/// [`System::connector`].
#[must_use = "nothing can connect before `serve`"]
#[derive(Clone, Copy)]
pub struct ConnectBuilder {
    system: System,
    priority: Option<Priority>,
    settings: TcpSettings,
}

impl ConnectBuilder {
    pub(super) fn new(system: System) -> Self {
        Self { system, priority: None, settings: super::settings() }
    }

    /// The priority of all work for the connections: protocol and handlers; the context's unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    reflex_net::connection_settings!();

    /// Has the connections served by the state of `context`.
    ///
    /// # Errors
    /// As [`ListenBuilder::serve`](crate::net::ListenBuilder::serve).
    pub fn serve<S: TcpService>(self, context: Context<S>) -> Result<Connector, Error> {
        let settings = TcpSettings { together: true, ..self.settings };
        Self { settings, ..self }
            .serve_by(context, |connection| Ok(move |service: &mut S| connection.deliver(service)))
    }

    /// Has the connections told to handlers of their places, which `make` makes, as for
    /// [`ListenBuilder::serve_by`](crate::net::ListenBuilder::serve_by).
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub(crate) fn serve_by<S: 'static, F>(
        self,
        context: Context<S>,
        make: impl Fn(Connection) -> Result<F, EventError> + Send + Sync + 'static,
    ) -> Result<Connector, Error>
    where
        F: Fn(&mut S) + Send + 'static,
    {
        let priority = self.priority.unwrap_or(context.priority);
        let settings = TcpSettings { priority, ..self.settings };
        let builder = self.system.net()?.0.connector().with(settings);
        let make = move |connection| make(Connection(connection));
        Ok(Connector(builder.serve_by(context, make)?))
    }

    pub(super) fn system(&self) -> System {
        self.system
    }
}

/// Opens connections for one context. Their places are recycled, as a listener's are.
#[derive(Clone)]
pub struct Connector(pub(crate) reflex_net::Connector<Runtime>);

impl Connector {
    /// Begins to connect to `peer`, from an ephemeral port. [`TcpService::connected`] or
    /// [`TcpService::failed`] says what became of it.
    ///
    /// # Errors
    /// [`NetError::Closed`](crate::net::NetError::Closed) when the context that served the connections has
    /// been given up; `BadDestination`, `NoAddress`, `NoPort`, `LimitReached`; others when memory or a table
    /// does not allow one more.
    pub fn connect(&self, peer: SocketAddrV4) -> Result<Connection, Error> {
        Ok(Connection(self.0.connect(peer)?))
    }
}
