//! `sockasync_accept`: connections that wait to be accepted, and the event that they activate.
//!
//! Each place for a connection keeps the socket of its present one, and can be in the queue of those
//! that wait. A connection that ends while it waits leaves the next one of its place to wait in its
//! stead, so the queue is never longer than there may be connections.

use crate::socket::{Socket, SocketShared};
use core::fmt;
use reflex::net::ConnectionError;
use reflex::net::{Connection, ListenBuilder, Listener, TcpService, TcpState};
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Activation, Context, Error, EventError, EventId, Priority, Registration, Runtime, System,
};
use reflex::{Ceiling, Pool, Shared};

/// A socket that listens: the old one, as seen by the handler that is told of a new one.
pub struct Listening {
    kernel: Runtime,
    port: u16,
    queue: Ceiling<Queue>,
}

#[derive(Default)]
struct Queue {
    /// The event of the handler that accepts.
    event: Option<EventId>,
    /// To be closed when no handler accepts any more.
    listener: Option<Listener>,
    first: Option<Shared<ConnectionSlot>>,
    last: Option<Shared<ConnectionSlot>>,
}

/// What a place for a connection keeps.
struct ConnectionSlot(Ceiling<SlotContent>);

#[derive(Default)]
struct SlotContent {
    present: Option<Shared<SocketShared>>,
    /// The present one has not been accepted.
    fresh: bool,
    queued: bool,
    next: Option<Shared<ConnectionSlot>>,
}

impl Listening {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn with<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R {
        self.queue.with(&self.kernel, work)
    }

    /// Queues a place, unless it is queued; false when no handler accepts.
    fn push(&self, place: &Shared<ConnectionSlot>) -> bool {
        let event = self.with(|queue| {
            let queued = place.0.with(&self.kernel, |content| {
                content.fresh = true;
                core::mem::replace(&mut content.queued, true)
            });
            if !queued {
                match queue.last.replace(place.clone()) {
                    Some(last) => last.0.with(&self.kernel, |content| {
                        content.next = Some(place.clone());
                    }),
                    None => queue.first = Some(place.clone()),
                }
            }
            queue.event
        });
        event.is_some_and(|event| self.kernel.activate(event, 1).is_ok())
    }

    /// The connection that has waited longest, if it still is one, and whether others wait. `None`
    /// when none waits.
    fn pop(&self) -> Option<(Option<Shared<SocketShared>>, bool)> {
        self.with(|queue| {
            let place = queue.first.take()?;
            let socket = place.0.with(&self.kernel, |content| {
                content.queued = false;
                queue.first = content.next.take();
                let fresh = core::mem::take(&mut content.fresh);
                content.present.clone().filter(|_| fresh)
            });
            if queue.first.is_none() {
                queue.last = None;
            }
            Some((socket, queue.first.is_some()))
        })
    }

    /// No handler accepts any more.
    fn close(&self) {
        if let Some(listener) = self.with(|queue| queue.listener.take()) {
            listener.close();
        }
    }
}

/// Listens at a port, and has `handler` told of each connection, with the old socket and the new:
/// there is none when the event did not occur in its [time](crate::SetTimeOut).
///
/// The connections' sockets and handlers lie in the context's event memory. Those that the handler has not been told of yet wait, also when the event is
/// disabled. When the event is unregistered no more are accepted.
///
/// A socket that has no handler for reading and none for its closing closes when its peer does.
///
/// # Errors
/// Those of [`ListenBuilder::serve`]; others when memory or a table does not allow one more.
pub fn sockasync_accept<S, F>(
    system: System,
    socket: ListenBuilder,
    context: Context<S>,
    priority: Option<Priority>,
    handler: F,
) -> Result<EventId, Error>
where
    S: 'static,
    F: Fn(&mut S, Activation, &Listening, Option<&Socket<S>>) + Send + 'static,
{
    let kernel = raw::kernel(system);
    let pool = system.pool(context)?;
    let out_of_memory = |_| EventError::OutOfMemory;
    let queue = Ceiling::new(Queue::default());
    let listening = Listening { kernel, port: socket.port(), queue };
    let listening = Shared::new(pool, listening).map_err(|refused| out_of_memory(refused.error))?;
    let priority = priority.unwrap_or(context.priority());
    let registration = Registration { priority, ..Registration::default() };
    let old = listening.clone();
    let event = kernel.register(context.handle(), registration, move |state, activation| {
        accept(kernel, context, &old, state, activation, &handler);
    })?;
    listening.with(|queue| queue.event = Some(event));
    let listens = listening.clone();
    let opened = raw::serve_by(socket, context, move |connection| {
        let present = ConnectionSlot(Ceiling::new(SlotContent::default()));
        let place = Shared::new(pool, present).map_err(|refused| out_of_memory(refused.error))?;
        let service = Service { kernel, pool, place, listening: listening.clone() };
        Ok(move |_: &mut S| {
            // The handles that it holds are not the process's own.
            kernel.guarded(|| raw::tell(&connection, &mut service.clone()));
        })
    });
    match opened {
        Ok(listener) => listens.with(|queue| queue.listener = Some(listener)),
        Err(error) => {
            kernel.unregister(event)?;
            return Err(error);
        }
    }
    Ok(event)
}

/// Tells the handler of one connection; others have a run of their own.
fn accept<S: 'static>(
    kernel: Runtime,
    context: Context<S>,
    old: &Listening,
    state: &mut S,
    mut activation: Activation,
    handler: &impl Fn(&mut S, Activation, &Listening, Option<&Socket<S>>),
) {
    match old.pop() {
        None if activation.timed_out() => handler(state, activation, old, None),
        None => {}
        Some((socket, more)) => {
            activation.count = 1;
            if more {
                // Registered, as it runs.
                let _ = kernel.activate(activation.event, 1);
            }
            let Some(inner) = socket else { return };
            // When the handler is given up its handle is forgotten, like all that it has on its stack.
            let new = Socket { inner, context };
            handler(state, activation, old, Some(&new));
            new.inner.follow_unread();
        }
    }
}

/// What one place's connections have to tell.
#[derive(Clone)]
struct Service {
    kernel: Runtime,
    pool: &'static Pool,
    place: Shared<ConnectionSlot>,
    listening: Shared<Listening>,
}

impl Service {
    fn present(&self, work: impl FnOnce(&SocketShared)) {
        let present = self.place.0.with(&self.kernel, |content| content.present.clone());
        if let Some(inner) = present {
            work(&inner);
        }
    }

    fn end(&self, error: Option<ConnectionError>) {
        let present = self.place.0.with(&self.kernel, |content| {
            content.fresh = false;
            content.present.take()
        });
        if let Some(inner) = present {
            inner.end(error);
        }
    }
}

impl TcpService for Service {
    fn accepted(&mut self, connection: &Connection) {
        let inner = SocketShared::new(self.kernel, connection);
        // Without memory the connection cannot be served; the pool has told its owner.
        let Ok(inner) = Shared::new(self.pool, inner) else { return connection.abort() };
        let before = self.place.0.with(&self.kernel, |content| content.present.replace(inner));
        debug_assert!(before.is_none(), "a place has one connection at a time");
        if !self.listening.push(&self.place) {
            self.listening.close();
            connection.abort();
        }
    }

    fn state(&mut self, _: &Connection, state: TcpState) {
        self.present(|inner| inner.state(state));
    }

    fn received(&mut self, _: &Connection) {
        self.present(SocketShared::received);
    }

    fn sent(&mut self, _: &Connection) {
        self.present(SocketShared::sent);
    }

    fn closed(&mut self, _: &Connection) {
        self.present(SocketShared::closed);
        let accepted = self.place.0.with(&self.kernel, |content| !content.fresh);
        if accepted {
            self.present(SocketShared::follow_unread);
        }
    }

    fn failed(&mut self, _: &Connection, error: ConnectionError) {
        self.end(Some(error));
    }

    fn ended(&mut self, _: &Connection) {
        self.end(None);
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listening({})", self.port)
    }
}
