//! Sockets, and which handlers are to be told of what occurs there.
//!
//! What a process has registered for a socket lies with it, in the process's event memory: at most
//! one event of a kind. What occurred is noted there, and the event activated; its handler's run
//! takes the notes and tells them. When the connection has ended, each event has its last run, which
//! tells what is left and ends the registration.

use core::fmt;
use core::ops::Deref;
use reflex::net::{Connection, TcpState, TcpStates};
use reflex::net::{ConnectionError, NetError};
use reflex::raw::Kernel;
use reflex::{Accumulation, Ceiling, Registration, Shared};
use reflex::{Activation, Context, Error, EventError, EventId, Priority, Runtime};

/// A connection that was accepted by a process with a state of type `S`.
///
/// A small handle: copies are of the same socket. It reads and writes as the [`Connection`] that it
/// stands for.
pub struct Socket<S> {
    pub(super) inner: Shared<SocketShared>,
    pub(super) context: Context<S>,
}

/// What has become of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketState {
    /// It is connected.
    Connected,
    /// Bytes have arrived.
    Readable,
    /// There is room for bytes to send, again if there was none.
    Writable,
    /// The peer will send no more.
    Closing,
    /// The connection is over: failed, if there is a reason.
    Closed(Option<ConnectionError>),
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "connected",
            Self::Readable => "readable",
            Self::Writable => "writable",
            Self::Closing => "closing",
            Self::Closed(None) => "closed",
            Self::Closed(Some(error)) => return write!(f, "closed: {error}"),
        })
    }
}

/// What a process may ask to be told of.
#[derive(Clone, Copy)]
enum SocketEvent {
    Read,
    Close,
    Tcp,
    Socket,
}

/// Every kind.
const KINDS: usize = 4;

/// What all handles of a socket share.
pub(super) struct SocketShared {
    pub(super) kernel: Runtime,
    pub(super) connection: Connection,
    notes: Ceiling<Notes>,
}

#[derive(Default)]
struct Notes {
    events: [Option<EventId>; KINDS],
    tcp: TcpStates,
    /// The state that was told last.
    tcp_told: Option<TcpState>,
    /// States of the socket as bits, in the order in which they are told.
    socket: u8,
    socket_told: Option<SocketState>,
    /// The socket closes, and no handler has been told.
    close: bool,
    /// The peer will send no more.
    closing: bool,
    over: bool,
    error: Option<ConnectionError>,
}

const CONNECTED: u8 = 1;
const READABLE: u8 = 2;
const WRITABLE: u8 = 4;
const CLOSING: u8 = 8;
const CLOSED: u8 = 16;

impl Notes {
    fn take_socket_state(&mut self) -> Option<SocketState> {
        let state = match self.socket & self.socket.wrapping_neg() {
            CONNECTED => SocketState::Connected,
            READABLE => SocketState::Readable,
            WRITABLE => SocketState::Writable,
            CLOSING => SocketState::Closing,
            CLOSED => SocketState::Closed(self.error),
            _ => return None,
        };
        self.socket &= self.socket - 1;
        self.socket_told = Some(state);
        Some(state)
    }

    fn take_tcp_state(&mut self) -> Option<TcpState> {
        let state = self.tcp.take_first()?;
        self.tcp_told = Some(state);
        Some(state)
    }
}

impl SocketShared {
    pub(super) fn new(kernel: Runtime, connection: &Connection) -> Self {
        Self { kernel, connection: connection.clone(), notes: Ceiling::new(Notes::default()) }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Notes) -> R) -> R {
        self.notes.with(&self.kernel, work)
    }

    /// Activates the event of a kind. False when there is none.
    fn tell(&self, kind: SocketEvent) -> bool {
        let event = self.with(|notes| notes.events[kind as usize]);
        event.is_some_and(|event| self.kernel.activate(event, 1).is_ok())
    }

    /// Whether there is an event of a kind.
    fn has(&self, kind: SocketEvent) -> bool {
        let event = self.with(|notes| notes.events[kind as usize]);
        event.is_some_and(|event| self.kernel.look_up(event).is_ok())
    }

    fn note(&self, bit: u8) {
        self.with(|notes| notes.socket |= bit);
        self.tell(SocketEvent::Socket);
    }

    pub(super) fn received(&self) {
        self.note(READABLE);
        self.tell(SocketEvent::Read);
    }

    pub(super) fn sent(&self) {
        self.note(WRITABLE);
        // What could not be answered for want of room now can.
        if self.connection.receivable().is_ok_and(|unread| unread > 0) {
            self.tell(SocketEvent::Read);
        }
    }

    pub(super) fn state(&self, state: TcpState) {
        self.with(|notes| notes.tcp.insert(state));
        self.tell(SocketEvent::Tcp);
    }

    /// The peer will send no more.
    pub(super) fn closed(&self) {
        self.with(|notes| (notes.closing, notes.close) = (true, true));
        self.note(CLOSING);
        // A read that finds nothing tells it too, as in read(2).
        let _ = self.tell(SocketEvent::Close) || self.tell(SocketEvent::Read);
    }

    /// Closes our side too when the peer has closed, unless that is the process's affair.
    pub(super) fn follow(&self) {
        if self.with(|notes| notes.closing) && !self.has(SocketEvent::Close) {
            self.connection.finish();
        }
    }

    /// Does so unless a handler is to read what came before.
    pub(super) fn follow_unread(&self) {
        if !self.has(SocketEvent::Read) {
            self.follow();
        }
    }

    /// The connection is over: all events have their last run.
    pub(super) fn end(&self, error: Option<ConnectionError>) {
        let events = self.with(|notes| {
            (notes.over, notes.error) = (true, error);
            notes.socket |= CLOSED;
            // A process was told, or will be, when the peer closed: once is enough.
            notes.close |= !notes.closing;
            core::mem::take(&mut notes.events)
        });
        for event in events.into_iter().flatten() {
            let _ = self.kernel.activate(event, 1);
            // It does not run any more when it is disabled or filtered.
            if self.kernel.look_up(event).is_ok_and(|info| info.pending == 0) {
                let _ = self.kernel.unregister(event);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.with(|notes| notes.over)
    }

    /// Takes `event` down as the one of its kind.
    fn place(&self, kind: SocketEvent, event: EventId) -> Result<(), Error> {
        let before = self.with(|notes| notes.events[kind as usize]);
        if before.is_some_and(|before| self.kernel.look_up(before).is_ok()) {
            return Err(EventError::Exclusive.into());
        }
        self.with(|notes| {
            if notes.over {
                return Err(NetError::Closed.into());
            }
            // Unless another came here in between.
            if notes.events[kind as usize] != before {
                return Err(EventError::Exclusive.into());
            }
            notes.events[kind as usize] = Some(event);
            Ok(())
        })
    }
}

impl<S: 'static> Socket<S> {
    /// Registers `run` for a kind of occurrences.
    fn register(
        &self,
        kind: SocketEvent,
        priority: Option<Priority>,
        run: impl Fn(&mut S, Activation, &Self) + Send + 'static,
    ) -> Result<EventId, Error> {
        let kernel = self.inner.kernel;
        let socket = self.clone();
        let priority = priority.unwrap_or(self.context.priority());
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let event =
            kernel.register(self.context.handle(), registration, move |state, activation| {
                run(state, activation, &socket);
                if socket.inner.is_over() {
                    // Registered, unless the handler has ended that.
                    let _ = kernel.unregister(activation.event);
                }
            })?;
        self.inner.place(kind, event).inspect_err(|_| {
            // It was registered just now.
            let _ = kernel.unregister(event);
        })?;
        Ok(event)
    }
}

/// Has `handler` told when there are bytes to read: those that there are already, and whenever more
/// have come. It reads them by [`Connection::receive`] or [`Connection::exchange`].
///
/// When the peer has closed, and no handler is told by [`sockasync_close`], it runs once more and finds
/// nothing; then the socket closes too.
///
/// # Errors
/// [`EventError::Exclusive`] when a handler is told already, [`NetError::Closed`] when the connection is over;
/// others when memory or a table does not allow one more.
pub fn sockasync_read<S: 'static>(
    socket: &Socket<S>,
    priority: Option<Priority>,
    handler: impl Fn(&mut S, Activation, &Socket<S>) + Send + 'static,
) -> Result<EventId, Error> {
    let event =
        socket.register(SocketEvent::Read, priority, move |state, activation, socket| {
            if !socket.inner.is_over() {
                handler(state, activation, socket);
                socket.inner.follow();
            }
        })?;
    let inner = &socket.inner;
    if inner.with(|notes| notes.closing) || socket.receivable().is_ok_and(|unread| unread > 0) {
        inner.tell(SocketEvent::Read);
    }
    Ok(event)
}

/// Has `handler` told, once, that the socket closes: that its peer will send no more; or that the
/// connection is over without that, with the reason if it failed. It closes the socket itself when
/// it has nothing more to send, by [`Connection::close`].
///
/// # Errors
/// As [`sockasync_read`].
pub fn sockasync_close<S: 'static>(
    socket: &Socket<S>,
    priority: Option<Priority>,
    handler: impl Fn(&mut S, Activation, &Socket<S>, Option<ConnectionError>) + Send + 'static,
) -> Result<EventId, Error> {
    let event =
        socket.register(SocketEvent::Close, priority, move |state, activation, socket| {
            let (due, error) =
                socket.inner.with(|notes| (core::mem::take(&mut notes.close), notes.error));
            if due || activation.timed_out() {
                handler(state, activation, socket, error);
            }
        })?;
    if socket.inner.with(|notes| notes.close) {
        socket.inner.tell(SocketEvent::Close);
    }
    Ok(event)
}

/// Has `handler` told the state of the connection (RFC 9293, 3.3.2), and each that it goes to from now
/// on, in order. TIME-WAIT or CLOSED is the last.
///
/// # Errors
/// As [`sockasync_read`].
pub fn sockasync_sk<S: 'static>(
    socket: &Socket<S>,
    priority: Option<Priority>,
    handler: impl Fn(&mut S, Activation, &Socket<S>, TcpState) + Send + 'static,
) -> Result<EventId, Error> {
    let event = socket.register(SocketEvent::Tcp, priority, move |state, activation, socket| {
        if activation.timed_out()
            && let Some(present) = socket.inner.with(|notes| notes.tcp_told)
        {
            handler(state, activation, socket, present);
        }
        while let Some(next) = socket.inner.with(Notes::take_tcp_state) {
            handler(state, activation, socket, next);
        }
    })?;
    // When it is over by now, that is told.
    let _ = socket.watch_states();
    Ok(event)
}

/// Has `handler` told what the socket is, and what becomes of it from now on.
///
/// # Errors
/// As [`sockasync_read`].
pub fn sockasync_sock<S: 'static>(
    socket: &Socket<S>,
    priority: Option<Priority>,
    handler: impl Fn(&mut S, Activation, &Socket<S>, SocketState) + Send + 'static,
) -> Result<EventId, Error> {
    let event =
        socket.register(SocketEvent::Socket, priority, move |state, activation, socket| {
            if activation.timed_out()
                && let Some(present) = socket.inner.with(|notes| notes.socket_told)
            {
                handler(state, activation, socket, present);
            }
            while let Some(next) = socket.inner.with(Notes::take_socket_state) {
                handler(state, activation, socket, next);
            }
        })?;
    let inner = &socket.inner;
    let (readable, writable) = (socket.receivable(), socket.sendable());
    inner.with(|notes| {
        notes.socket |= CONNECTED;
        notes.socket |= if readable.is_ok_and(|bytes| bytes > 0) { READABLE } else { 0 };
        notes.socket |= if writable.is_ok_and(|bytes| bytes > 0) { WRITABLE } else { 0 };
        notes.socket |= if notes.closing { CLOSING } else { 0 };
    });
    inner.tell(SocketEvent::Socket);
    Ok(event)
}

impl<S> Deref for Socket<S> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.inner.connection
    }
}

impl<S> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), context: self.context }
    }
}

impl<S> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({:?})", self.inner.connection)
    }
}
