//! Connections over TCP: each carries records, one after the other.

use crate::driver::{Driver, WeakDriver};
use crate::endpoint_core::{End, Work};
use crate::error::Error;
use crate::event::{Down, Event, Refusal};
use crate::link::{Link, LinkId, Parcel, Posted, Registered, Source, Transport};
use crate::names::Names;
use crate::ports::{Ports, Purpose};
use crate::record::HEADER;
use crate::settings::Settings;
use crate::stream::Stream;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::ops::Range;
use reflex_event::{Ceiling, Context, Kernel};
use reflex_memory::{Exposed, Lent};
use reflex_net::{
    BufferMemory, Connection, ConnectionError, Connector, Listener, Net, TcpService, TcpSettings,
};
use spin::Once;

/// Bytes of an unbuffered message that are copied to the connection at a time.
const PIECE: usize = 1024;
/// Most bytes of a send buffer.
const MOST_BUFFER: usize = 64 << 10;

/// Opens a listening port, or readies outgoing connections.
type Open<T> = Box<dyn Fn(T) -> Result<(), Error> + Send + Sync>;

/// Ports that are listened on.
type Listeners<K> = Vec<(u16, Listener<K>)>;

/// The handler of a place of the stack's.
type Handler<S> = Box<dyn Fn(&mut S) + Send>;

struct Tcp<K: Kernel> {
    kernel: K,
    names: Arc<Names<K, Connection<K>>>,
    connector: Arc<Once<Connector<K>>>,
    listeners: Arc<Ceiling<Listeners<K>>>,
    ready: Open<()>,
    open: Open<u16>,
}

/// Readies connections of `driver`'s endpoint; what comes to a port is for what `ports` say.
pub(crate) fn start<K, S, H>(
    net: &Net<K>,
    context: Context<S>,
    driver: &Driver<K, S, H>,
    ports: Arc<Ports<K>>,
) -> Box<dyn Transport>
where
    K: Kernel,
    S: 'static,
    H: Fn(&mut S, Event<'_>) + Send + Sync + 'static,
{
    let kernel = driver.shared.kernel.clone();
    let names = Arc::new(Names::new(kernel.clone(), driver.shared.settings.links));
    let connector = Arc::new(Once::new());
    let listeners = Arc::new(Ceiling::new(Vec::new()));
    let settings = settings(&driver.shared.settings);
    let ready = {
        let (net, connector, kernel) = (net.clone(), connector.clone(), kernel.clone());
        let place = maker(driver.downgrade(), names.clone(), None);
        move |()| {
            let ready = || net.connector().with(settings).serve_by(context, place.clone());
            // In a section, lest somebody else comes here meanwhile and waits for ever.
            kernel.section(|| connector.try_call_once(ready).map(|_| ()))?;
            Ok(())
        }
    };
    let open = {
        let (net, listeners, kernel) = (net.clone(), listeners.clone(), kernel.clone());
        let (weak, names) = (driver.downgrade(), names.clone());
        move |port| {
            let purpose = ports.purpose(port).ok_or(Error::BadParameter)?;
            let place = maker(weak.clone(), names.clone(), Some(purpose));
            let listener = net.listen(port).with(settings).serve_by(context, place)?;
            listeners.with(&kernel, |listeners: &mut Vec<_>| listeners.push((port, listener)));
            Ok(())
        }
    };
    let (ready, open) = (Box::new(ready), Box::new(open));
    Box::new(Tcp { kernel, names, connector, listeners, ready, open })
}

fn settings(settings: &Settings) -> TcpSettings {
    let page = settings.page as usize;
    TcpSettings {
        priority: settings.priority,
        connections: u32::from(settings.links),
        receive_buffer: (usize::from(settings.receives) * page).min(MOST_BUFFER),
        send_buffer: (usize::from(settings.pages) * page).min(MOST_BUFFER),
        queue: 0,
        memory: BufferMemory::SetAside,
        ..TcpSettings::default()
    }
}

impl<K: Kernel> Transport for Tcp<K> {
    fn dial(&self, link: LinkId, to: SocketAddr) -> Result<Box<dyn Link>, Error> {
        let SocketAddr::V4(to) = to else { return Err(Error::Unsupported) };
        (self.ready)(())?;
        let connector = self.connector.get().ok_or(Error::NotConnected)?;
        // Nobody is told of the connection before it has its name.
        let connection = self.kernel.section(|| {
            let connection = connector.connect(to)?;
            self.names.add(connection.clone(), link);
            Ok::<_, Error>(connection)
        })?;
        Ok(Box::new(TcpLink { connection, offset: 0 }))
    }

    fn ready(&self) -> Result<(), Error> {
        (self.ready)(())
    }

    fn listen(&self, port: u16) -> Result<(), Error> {
        (self.open)(port)
    }

    fn close(&self, port: u16) {
        let listener = self.listeners.with(&self.kernel, |listeners| {
            let at = listeners.iter().position(|(other, _)| *other == port)?;
            Some(listeners.swap_remove(at).1)
        });
        listener.into_iter().for_each(|listener| listener.close());
    }

    fn register(&self, bytes: Lent<[u8]>) -> Result<Arc<dyn Registered>, Error> {
        Ok(Arc::new(Plain(Arc::new(Exposed::new(bytes)))))
    }
}

/// Memory that messages are copied from.
struct Plain(Arc<Exposed>);

impl Registered for Plain {
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Error> {
        self.0.read(offset, into).map_err(|_| Error::OutOfBounds)
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(offset, bytes).map_err(|_| Error::OutOfBounds)
    }

    fn source(self: Arc<Self>, range: Range<usize>) -> Result<Source, Error> {
        let fits = range.start <= range.end && range.end <= self.0.len();
        if fits { Ok(Source::Shared(self.0.clone(), range)) } else { Err(Error::OutOfBounds) }
    }
}

struct TcpLink<K: Kernel> {
    connection: Connection<K>,
    /// Bytes of the present parcel that have been sent.
    offset: usize,
}

impl<K: Kernel> TcpLink<K> {
    /// Sends as many of these as there is room for. False if the connection is over.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = self.connection.send(bytes);
        self.offset += *sent.as_ref().unwrap_or(&0);
        sent.is_ok()
    }

    /// Sends more of a message that lies elsewhere. False if the connection is over.
    fn send_from(&mut self, header: &[u8], memory: &Exposed, range: &Range<usize>) -> bool {
        let total = HEADER + range.len();
        let mut piece = [0; PIECE];
        loop {
            let before = self.offset;
            let goes_on = match before.checked_sub(HEADER) {
                None => self.send(&header[before..HEADER]),
                Some(done) => {
                    let piece = &mut piece[..PIECE.min(range.len() - done)];
                    // It was within bounds when the message was posted.
                    memory.read(range.start + done, piece).is_ok() && self.send(piece)
                }
            };
            if !goes_on {
                return false;
            }
            if self.offset == before || self.offset == total {
                return true;
            }
        }
    }
}

impl<K: Kernel> Link for TcpLink<K> {
    fn post(&mut self, parcel: Parcel) -> Posted {
        let (goes_on, length) = match &parcel {
            Parcel::Page { bytes, used } => {
                let from = self.offset;
                (self.send(&bytes[from..*used]), *used)
            }
            Parcel::Unbuffered { header, source: Source::Shared(memory, range) } => {
                (self.send_from(header, memory, range), HEADER + range.len())
            }
            Parcel::Unbuffered { source: Source::Region(_), .. } => (false, 0),
        };
        if !goes_on {
            return Posted::Over(parcel);
        }
        if self.offset < length {
            return Posted::Later(parcel);
        }
        self.offset = 0;
        match parcel {
            Parcel::Page { bytes, .. } | Parcel::Unbuffered { header: bytes, .. } => {
                Posted::Done(bytes)
            }
        }
    }

    fn close(&mut self) {
        self.connection.finish();
    }

    fn abort(&mut self) {
        self.connection.abort();
    }
}

/// What is kept of one place of the stack's.
struct Place<K: Kernel> {
    names: Arc<Names<K, Connection<K>>>,
    /// Of the connection that it has now.
    link: Cell<Option<LinkId>>,
    stream: RefCell<Option<Stream>>,
    /// Of those that are accepted.
    purpose: Option<Purpose>,
}

/// Makes handlers of places.
fn maker<K, S, H>(
    driver: WeakDriver<K, S, H>,
    names: Arc<Names<K, Connection<K>>>,
    purpose: Option<Purpose>,
) -> impl Fn(Connection<K>) -> Result<Handler<S>, reflex_event::Error> + Clone + Send + Sync + 'static
where
    K: Kernel,
    S: 'static,
    H: Fn(&mut S, Event<'_>) + Send + Sync + 'static,
{
    move |connection| {
        let driver = driver.upgrade().ok_or(reflex_event::Error::Stale)?;
        let (link, stream) = (Cell::new(None), RefCell::new(None));
        let place = Place { names: names.clone(), link, stream, purpose };
        Ok(Box::new(move |state: &mut S| {
            connection.tell(&mut Run { driver: &driver, place: &place, state });
        }))
    }
}

struct Run<'run, K: Kernel, S, H> {
    driver: &'run Driver<K, S, H>,
    place: &'run Place<K>,
    state: &'run mut S,
}

impl<K: Kernel, S: 'static, H: Fn(&mut S, Event<'_>)> Run<'_, K, S, H> {
    /// Where a record is put together; without memory for that there is no connection.
    fn begin(&mut self, link: LinkId) -> bool {
        let shared = &self.driver.shared;
        let page = shared.pool.bytes(shared.settings.page as usize);
        self.place.link.set(Some(link));
        *self.place.stream.borrow_mut() = page.ok().map(Stream::new);
        let begun = self.place.stream.borrow().is_some();
        if !begun {
            self.end(End::Refused(Refusal::OutOfMemory));
        }
        begun
    }

    fn end(&mut self, end: End) {
        if let Some(link) = self.place.link.take() {
            self.driver.handle(self.state, |core| core.lost(link, end));
        }
        *self.place.stream.borrow_mut() = None;
    }
}

impl<K: Kernel, S: 'static, H: Fn(&mut S, Event<'_>)> TcpService<K> for Run<'_, K, S, H> {
    fn accepted(&mut self, connection: &Connection<K>) {
        let made = || TcpLink { connection: connection.clone(), offset: 0 };
        let link = self
            .place
            .purpose
            .and_then(|purpose| self.driver.accept(self.state, purpose, |_| Ok(Box::new(made()))));
        match link {
            Some(link) => _ = self.begin(link),
            None => connection.abort(),
        }
    }

    fn connected(&mut self, connection: &Connection<K>) {
        match self.place.names.take(connection) {
            Some(link) if self.begin(link) => {
                self.driver.handle(self.state, |core| core.established(link));
            }
            Some(_) => {}
            None => connection.abort(),
        }
    }

    fn received(&mut self, connection: &Connection<K>) {
        let mut guard = self.place.stream.borrow_mut();
        let (Some(link), Some(stream)) = (self.place.link.get(), &mut *guard) else {
            connection.discard();
            return;
        };
        let (driver, state) = (self.driver, &mut *self.state);
        let mut read = |bytes: &[u8]| {
            driver.bytes(state, link, stream, bytes);
            bytes.len()
        };
        while connection.receive(&mut read).is_ok_and(|read| read > 0) {}
    }

    fn sent(&mut self, _: &Connection<K>) {
        if let Some(link) = self.place.link.get() {
            self.driver.handle(self.state, |core| core.work.push_back(Work::Pump(link.slot)));
        }
    }

    fn closed(&mut self, connection: &Connection<K>) {
        self.end(End::Down(Down::Closed));
        connection.finish();
    }

    fn failed(&mut self, connection: &Connection<K>, error: ConnectionError) {
        let why = match error {
            ConnectionError::Refused | ConnectionError::Reset => Refusal::Refused,
            ConnectionError::OutOfMemory => Refusal::OutOfMemory,
            ConnectionError::AddressLost => Refusal::NoPlace,
            _ => Refusal::Unanswered,
        };
        if self.place.link.get().is_none() {
            self.place.link.set(self.place.names.take(connection));
        }
        self.end(End::Refused(why));
    }

    fn ended(&mut self, connection: &Connection<K>) {
        self.place.names.take(connection);
        self.end(End::Down(Down::Closed));
    }
}
