//! Outgoing TCP connections.

use crate::net::{Connection, TcpService};
use crate::{Context, Error, System};
use core::net::SocketAddrV4;
use reflex_net::TcpSettings;
use reflex_runtime::Runtime;

/// How outgoing TCP connections are to behave; [`serve`](Self::serve) readies them. See
/// [`System::connector`].
#[must_use = "nothing can connect before `serve`"]
#[derive(Clone, Copy)]
pub struct ConnectBuilder {
    system: System,
    settings: TcpSettings,
}

impl ConnectBuilder {
    pub(super) fn new(system: System) -> Self {
        Self { system, settings: super::settings() }
    }

    reflex_net::connection_settings!();

    /// Has the connections served by the state of `context`.
    ///
    /// # Errors
    /// As [`ListenBuilder::serve`](crate::net::ListenBuilder::serve).
    pub fn serve<S: TcpService>(self, context: Context<S>) -> Result<Connector, Error> {
        let settings = TcpSettings { together: true, ..self.settings };
        let builder = self.system.net()?.0.connector().with(settings);
        let make = |connection| {
            let connection = Connection(connection);
            Ok(move |service: &mut S| connection.deliver(service))
        };
        Ok(Connector(builder.serve_by(context, make)?))
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
