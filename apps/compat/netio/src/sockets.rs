//! Messages and publications (N-6), by the names of the document's manner.
//!
//! ```
//! # use core::net::{Ipv4Addr, SocketAddr};
//! # use reflex::{Error, println, testing::Simulation};
//! # use reflex_netio::{
//! #     NetioAttr, NetioCallbacks, netio_buffered_send_socket_init, netio_buffered_send_socket_send,
//! #     netio_init_with_memory, netio_listen_socket_init, netio_run, netio_terminate,
//! # };
//! # let mut sim = Simulation::new(|system| {
//! # system.enable_loopback();
//! let attr = NetioAttr { links: 4, ..NetioAttr::default() };
//! let ctx = netio_init_with_memory(system, 0usize, 2 * attr.memory())?;
//! let evloop = ctx.evloop.clone();
//! let callbacks = NetioCallbacks::new().message_received(move |received, _, tag, bytes| {
//!     println!("{tag}: {}", core::str::from_utf8(bytes).unwrap_or("?"));
//!     *received += 1;
//!     if *received == 2 {
//!         netio_terminate(&evloop);
//!     }
//! });
//! let _listen = netio_listen_socket_init(&ctx.evloop, 12_350, attr, callbacks)?;
//!
//! let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 12_350));
//! let send = netio_buffered_send_socket_init(&ctx.evloop, to, attr, |send| {
//!     NetioCallbacks::new().connection_established(move |_: &mut usize, _| {
//!         let sent = netio_buffered_send_socket_send(&send, 7, b"hello");
//!         sent.and(netio_buffered_send_socket_send(&send, 8, b"world")).unwrap();
//!     })
//! })?;
//! netio_run(&ctx.evloop)?;
//! # let _ = send;
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! # sim.advance(core::time::Duration::from_secs(2));
//! # let lines = sim.take_lines();
//! # assert!(lines.contains(&"7: hello".to_owned()) && lines.contains(&"8: world".to_owned()));
//! ```

use crate::{EventLoop, NetioCallbacks};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use reflex::Error;
use reflex::netio::{
    Endpoint, Memory, NetioError, Over, Publication, PublishSocket, SendSocket, Settings, Slow,
    Socket, SubscribeSocket, Tags,
};
use spin::Once;

/// Event memory of a socket's handlers, and of the rest of its context's.
const BESIDE: usize = 16 << 10;

/// What a socket is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetioAttr {
    /// Pages of each connection, to be filled, and as many to receive in.
    pub num_pages: u16,
    /// Bytes of a page.
    pub pagesize: u32,
    /// A page with so many bytes is sent.
    pub watermark: u32,
    /// Milliseconds that a message waits at most for its page to fill.
    pub timeout_ms: u64,
    /// Connections at a time, of a socket that accepts them.
    pub links: u16,
    /// What carries them.
    pub over: Over,
}

impl NetioAttr {
    /// Bytes of event memory that a socket takes which has as many connections as it may.
    pub fn memory(self) -> usize {
        self.settings(self.links).memory(self.links) + BESIDE
    }

    fn settings(self, links: u16) -> Settings {
        Settings {
            links,
            page: self.pagesize,
            pages: self.num_pages,
            receives: self.num_pages,
            watermark: self.watermark,
            patience: Duration::from_millis(self.timeout_ms),
            ..Settings::default()
        }
    }
}

impl Default for NetioAttr {
    fn default() -> Self {
        let Settings { pages, page, watermark, patience, links, .. } = Settings::default();
        let timeout_ms = patience.as_millis() as u64;
        let over = Over::Tcp;
        Self { num_pages: pages, pagesize: page, watermark, timeout_ms, links, over }
    }
}

/// Sends messages that are put together in pages.
#[derive(Clone, Debug)]
pub struct NetioBufferedSendSocket(Arc<Once<Sending>>);

/// Sends messages from where they are.
#[derive(Clone, Debug)]
pub struct NetioUnbufferedSendSocket(Arc<Once<Sending>>);

/// Accepts connections, and receives.
#[derive(Clone)]
pub struct NetioListenSocket {
    endpoint: Endpoint,
    port: u16,
}

/// Publishes.
#[derive(Clone)]
pub struct NetioPublishSocket {
    endpoint: Endpoint,
    socket: PublishSocket,
    port: u16,
}

/// Receives what it has asked a publisher for.
#[derive(Clone)]
pub struct NetioSubscribeSocket {
    endpoint: Endpoint,
    socket: SubscribeSocket,
}

struct Sending {
    endpoint: Endpoint,
    socket: SendSocket,
}

impl core::fmt::Debug for Sending {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.socket.fmt(f)
    }
}

fn endpoint<D: Send + 'static>(
    evloop: &EventLoop<D>,
    attr: NetioAttr,
    links: u16,
    callbacks: NetioCallbacks<D>,
) -> Result<Endpoint, Error> {
    let builder = evloop.system.netio(evloop.context);
    let builder = builder.settings(attr.settings(links)).over(attr.over);
    builder.on(move |data, event| callbacks.call(data, event))
}

fn sending<D: Send + 'static>(
    evloop: &EventLoop<D>,
    to: SocketAddr,
    attr: NetioAttr,
    place: &Once<Sending>,
    callbacks: NetioCallbacks<D>,
) -> Result<(), Error> {
    let endpoint = endpoint(evloop, attr, 1, callbacks)?;
    // The event loop calls nobody back before it runs, or before the caller has come back to it.
    let socket = endpoint.connect(to)?;
    place.call_once(|| Sending { endpoint, socket });
    Ok(())
}

/// What there is once the socket is connected to somewhere.
fn connected(place: &Once<Sending>) -> Result<&Sending, Error> {
    place.get().ok_or(Error::Netio(NetioError::NotConnected))
}

/// Connects to a listening socket, and again whenever the connection is down. `make` makes the callbacks of the
/// socket, which so can send.
///
/// # Errors
/// When memory or a table does not allow it, or `attr` makes no sense.
pub fn netio_buffered_send_socket_init<D: Send + 'static>(
    evloop: &EventLoop<D>,
    to: SocketAddr,
    attr: NetioAttr,
    make: impl FnOnce(NetioBufferedSendSocket) -> NetioCallbacks<D>,
) -> Result<NetioBufferedSendSocket, Error> {
    let socket = NetioBufferedSendSocket(Arc::new(Once::new()));
    sending(evloop, to, attr, &socket.0, make(socket.clone()))?;
    Ok(socket)
}

/// Puts a message into a page.
///
/// # Errors
/// [`NetioError::Again`] when all pages are under way, after which [`buffer_available`](NetioCallbacks::buffer_available)
/// is called; [`NetioError::NotConnected`], [`NetioError::TooLong`], [`NetioError::Gone`].
pub fn netio_buffered_send_socket_send(
    socket: &NetioBufferedSendSocket,
    tag: u64,
    message: &[u8],
) -> Result<(), Error> {
    Ok(connected(&socket.0)?.socket.send(tag, message)?)
}

/// Sends what is in pages.
///
/// # Errors
/// When the socket was closed.
pub fn netio_buffered_send_socket_flush(socket: &NetioBufferedSendSocket) -> Result<(), Error> {
    Ok(connected(&socket.0)?.socket.flush()?)
}

/// Sends what was taken, and closes.
///
/// # Errors
/// When the socket was closed.
pub fn netio_buffered_send_socket_close(socket: &NetioBufferedSendSocket) -> Result<(), Error> {
    let Sending { endpoint, socket } = connected(&socket.0)?;
    Ok(endpoint.close(socket.socket())?)
}

/// As [`netio_buffered_send_socket_init`], for messages that are sent from where they are.
///
/// # Errors
/// As there.
pub fn netio_unbuffered_send_socket_init<D: Send + 'static>(
    evloop: &EventLoop<D>,
    to: SocketAddr,
    attr: NetioAttr,
    make: impl FnOnce(NetioUnbufferedSendSocket) -> NetioCallbacks<D>,
) -> Result<NetioUnbufferedSendSocket, Error> {
    let socket = NetioUnbufferedSendSocket(Arc::new(Once::new()));
    sending(evloop, to, attr, &socket.0, make(socket.clone()))?;
    Ok(socket)
}

/// Registered memory of so many bytes, that messages are sent from.
///
/// # Errors
/// When there is no memory.
pub fn netio_unbuffered_send_socket_register(
    socket: &NetioUnbufferedSendSocket,
    length: usize,
) -> Result<Memory, Error> {
    Ok(connected(&socket.0)?.endpoint.memory(length)?)
}

/// Sends a message from where it is; [`send_completed`](NetioCallbacks::send_completed) is called with `id` when its
/// memory can be changed again.
///
/// # Errors
/// As [`netio_buffered_send_socket_send`]; [`NetioError::OutOfBounds`].
pub fn netio_unbuffered_send_socket_send(
    socket: &NetioUnbufferedSendSocket,
    tag: u64,
    memory: &Memory,
    range: Range<usize>,
    id: u64,
) -> Result<(), Error> {
    Ok(connected(&socket.0)?.socket.send_from(tag, memory, range, id)?)
}

/// Sends what was taken, and closes.
///
/// # Errors
/// When the socket was closed.
pub fn netio_unbuffered_send_socket_close(socket: &NetioUnbufferedSendSocket) -> Result<(), Error> {
    let Sending { endpoint, socket } = connected(&socket.0)?;
    Ok(endpoint.close(socket.socket())?)
}

/// Listens at a port.
///
/// # Errors
/// As [`netio_buffered_send_socket_init`], and when the port is taken.
pub fn netio_listen_socket_init<D: Send + 'static>(
    evloop: &EventLoop<D>,
    port: u16,
    attr: NetioAttr,
    callbacks: NetioCallbacks<D>,
) -> Result<NetioListenSocket, Error> {
    let endpoint = endpoint(evloop, attr, attr.links, callbacks)?;
    endpoint.listen(port)?;
    Ok(NetioListenSocket { endpoint, port })
}

/// Closes one of the connections that were accepted.
///
/// # Errors
/// When it is over.
pub fn netio_listen_socket_disconnect(
    socket: &NetioListenSocket,
    connection: Socket,
) -> Result<(), Error> {
    Ok(socket.endpoint.close(connection)?)
}

/// Accepts no more connections. Those there are stay.
pub fn netio_listen_socket_close(socket: &NetioListenSocket) {
    socket.endpoint.close_port(socket.port);
}

/// Publishes at a port, to which subscribers connect.
///
/// # Errors
/// As [`netio_listen_socket_init`].
pub fn netio_publish_socket_init<D: Send + 'static>(
    evloop: &EventLoop<D>,
    port: u16,
    attr: NetioAttr,
    slow: Slow,
    callbacks: NetioCallbacks<D>,
) -> Result<NetioPublishSocket, Error> {
    let endpoint = endpoint(evloop, attr, attr.links, callbacks)?;
    let socket = endpoint.publish(Publication::new(port).slow(slow))?;
    Ok(NetioPublishSocket { endpoint, socket, port })
}

/// Puts a message into a page of each subscriber of its tag; says how many that are.
///
/// # Errors
/// [`NetioError::Again`] when a subscriber that is waited for has no page; [`NetioError::TooLong`].
pub fn netio_publish_socket_buffered(
    socket: &NetioPublishSocket,
    tag: u64,
    message: &[u8],
) -> Result<u32, Error> {
    Ok(socket.socket.publish(tag, message)?)
}

/// Registered memory of so many bytes, that messages are published from.
///
/// # Errors
/// When there is no memory.
pub fn netio_publish_socket_register(
    socket: &NetioPublishSocket,
    length: usize,
) -> Result<Memory, Error> {
    Ok(socket.endpoint.memory(length)?)
}

/// Sends a message from where it is to each subscriber of its tag;
/// [`send_completed`](NetioCallbacks::send_completed) is called with `id` when all have it.
///
/// # Errors
/// As [`netio_publish_socket_buffered`]; [`NetioError::OutOfBounds`].
pub fn netio_publish_socket_unbuffered(
    socket: &NetioPublishSocket,
    tag: u64,
    memory: &Memory,
    range: Range<usize>,
    id: u64,
) -> Result<(), Error> {
    Ok(socket.socket.publish_from(tag, memory, range, id)?)
}

/// Sends what is in pages.
pub fn netio_publish_socket_flush(socket: &NetioPublishSocket) {
    socket.socket.flush();
}

/// Accepts no more subscribers. Those there are stay.
pub fn netio_publish_socket_close(socket: &NetioPublishSocket) {
    socket.endpoint.close_port(socket.port);
}

/// Connects to a publisher, and again whenever the connection is down.
///
/// # Errors
/// As [`netio_buffered_send_socket_init`].
pub fn netio_subscribe_socket_init<D: Send + 'static>(
    evloop: &EventLoop<D>,
    to: SocketAddr,
    attr: NetioAttr,
    callbacks: NetioCallbacks<D>,
) -> Result<NetioSubscribeSocket, Error> {
    let endpoint = endpoint(evloop, attr, 1, callbacks)?;
    let socket = endpoint.subscribe(to)?;
    Ok(NetioSubscribeSocket { endpoint, socket })
}

/// Asks for messages with these tags, of this connection and of those to come.
///
/// # Errors
/// When they are asked for already, or too many are.
pub fn netio_subscribe_socket_subscribe(
    socket: &NetioSubscribeSocket,
    tags: Tags,
) -> Result<(), Error> {
    Ok(socket.socket.add(tags)?)
}

/// Asks for them no longer.
///
/// # Errors
/// When they are not asked for.
pub fn netio_subscribe_socket_unsubscribe(
    socket: &NetioSubscribeSocket,
    tags: Tags,
) -> Result<(), Error> {
    Ok(socket.socket.remove(tags)?)
}

/// Closes the connection.
///
/// # Errors
/// When the socket was closed.
pub fn netio_subscribe_socket_close(socket: &NetioSubscribeSocket) -> Result<(), Error> {
    Ok(socket.endpoint.close(socket.socket.socket())?)
}
