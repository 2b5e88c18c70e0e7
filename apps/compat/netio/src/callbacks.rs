//! What a socket's owner is called back for.

use alloc::boxed::Box;
use core::fmt;
use reflex::netio::{Event, Socket, Tags};

type Callback<D, A> = Option<Box<dyn Fn(&mut D, A) + Send + Sync>>;
type MessageCallback<D> = Option<Box<dyn Fn(&mut D, Socket, u64, &[u8]) + Send + Sync>>;

/// What a socket's owner is called back for, each with the event loop's data. What nothing is said of is not told.
///
/// ```
/// # use reflex_netio::NetioCallbacks;
/// struct Readout {
///     bytes: usize,
/// }
///
/// let callbacks = NetioCallbacks::new()
///     .message_received(|readout: &mut Readout, _, _, bytes| readout.bytes += bytes.len())
///     .connection_closed(|_, socket| reflex::log::info!("{socket:?} has gone"));
/// # let _ = callbacks;
/// ```
pub struct NetioCallbacks<D> {
    established: Callback<D, Socket>,
    closed: Callback<D, Socket>,
    refused: Callback<D, Socket>,
    message: MessageCallback<D>,
    completed: Callback<D, u64>,
    available: Callback<D, Socket>,
    subscribed: Callback<D, (Socket, Tags)>,
    unsubscribed: Callback<D, (Socket, Tags)>,
}

impl<D> NetioCallbacks<D> {
    /// None.
    pub fn new() -> Self {
        Self {
            established: None,
            closed: None,
            refused: None,
            message: None,
            completed: None,
            available: None,
            subscribed: None,
            unsubscribed: None,
        }
    }

    /// A connection stands.
    pub fn connection_established(
        mut self,
        callback: impl Fn(&mut D, Socket) + Send + Sync + 'static,
    ) -> Self {
        self.established = Some(Box::new(callback));
        self
    }

    /// A connection is down.
    pub fn connection_closed(
        mut self,
        callback: impl Fn(&mut D, Socket) + Send + Sync + 'static,
    ) -> Self {
        self.closed = Some(Box::new(callback));
        self
    }

    /// A connection did not come about. It is tried again.
    pub fn connection_refused(
        mut self,
        callback: impl Fn(&mut D, Socket) + Send + Sync + 'static,
    ) -> Self {
        self.refused = Some(Box::new(callback));
        self
    }

    /// A message has come: its tag and its bytes.
    pub fn message_received(
        mut self,
        callback: impl Fn(&mut D, Socket, u64, &[u8]) + Send + Sync + 'static,
    ) -> Self {
        self.message = Some(Box::new(callback));
        self
    }

    /// The memory of an unbuffered message can be changed again.
    pub fn send_completed(
        mut self,
        callback: impl Fn(&mut D, u64) + Send + Sync + 'static,
    ) -> Self {
        self.completed = Some(Box::new(callback));
        self
    }

    /// It makes sense to send again what was refused as too much.
    pub fn buffer_available(
        mut self,
        callback: impl Fn(&mut D, Socket) + Send + Sync + 'static,
    ) -> Self {
        self.available = Some(Box::new(callback));
        self
    }

    /// A subscriber is sent these from now on, or a publisher sends them.
    pub fn subscribed(
        mut self,
        callback: impl Fn(&mut D, (Socket, Tags)) + Send + Sync + 'static,
    ) -> Self {
        self.subscribed = Some(Box::new(callback));
        self
    }

    /// No more of these.
    pub fn unsubscribed(
        mut self,
        callback: impl Fn(&mut D, (Socket, Tags)) + Send + Sync + 'static,
    ) -> Self {
        self.unsubscribed = Some(Box::new(callback));
        self
    }

    /// Calls back.
    pub(crate) fn call(&self, data: &mut D, event: Event<'_>) {
        fn tell<D, A>(callback: &Callback<D, A>, data: &mut D, argument: A) {
            if let Some(callback) = callback {
                callback(data, argument);
            }
        }
        match event {
            Event::Up { socket, .. } => tell(&self.established, data, socket),
            Event::Down { socket, .. } => tell(&self.closed, data, socket),
            Event::Refused { socket, .. } => tell(&self.refused, data, socket),
            Event::Message { socket, tag, bytes } => {
                if let Some(callback) = &self.message {
                    callback(data, socket, tag, bytes);
                }
            }
            Event::Sent { id, .. } => tell(&self.completed, data, id),
            Event::Room { socket } => tell(&self.available, data, socket),
            Event::Subscribed { socket, tags } => tell(&self.subscribed, data, (socket, tags)),
            Event::Unsubscribed { socket, tags } | Event::Declined { socket, tags } => {
                tell(&self.unsubscribed, data, (socket, tags));
            }
            Event::Slow { .. } | Event::CaughtUp { .. } => {}
        }
    }
}

impl<D> Default for NetioCallbacks<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D> fmt::Debug for NetioCallbacks<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetioCallbacks")
    }
}
