//! What other interfaces are made of, as those of `apps/compat` are: the kernel's own, and handlers that are told of
//! connections by functions. An application has all it needs without them.

use crate::net::{Connection, ListenBuilder, Listener, TcpService};
use crate::{Context, Error, EventError, EventId, Registered, Runtime, System};

pub use reflex_event::EventSystem as Kernel;

/// The kernel.
pub fn kernel(system: System) -> Runtime {
    system.kernel()
}

/// The registration of an event that is told without data.
pub fn registration(system: System, event: EventId) -> Registered {
    Registered::new(system.kernel(), event)
}

/// Opens a port for connections that are told to handlers of their places: `make` makes one of the
/// place's handle whenever there are more connections at a time than there have been, in a section. When
/// it fails, the context is given up. [`tell`] tells a service what there is to tell.
///
/// # Errors
/// As [`ListenBuilder::serve`].
pub fn serve_by<S: 'static, F>(
    port: ListenBuilder,
    context: Context<S>,
    make: impl Fn(Connection) -> Result<F, EventError> + Send + Sync + 'static,
) -> Result<Listener, Error>
where
    F: Fn(&mut S) + Send + 'static,
{
    port.serve_by(context, make)
}

/// Tells `service` what there is to tell of a connection, or of others of the same listener that are told together.
#[inline]
pub fn tell<S: TcpService>(connection: &Connection, service: &mut S) {
    connection.deliver(service);
}
