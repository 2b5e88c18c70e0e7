//! Connections over RDMA: each page is a message of a reliable connection.

use crate::driver::Driver;
use crate::endpoint_core::{Core, End};
use crate::error::Error;
use crate::event::{Down, Event, Refusal};
use crate::link::{Link, LinkId, Parcel, Posted, Registered, Source, Transport};
use crate::names::Names;
use crate::ports::Ports;
use crate::record::Malformed;
use crate::settings::Settings;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;
use reflex_event::{Ceiling, Context, Kernel};
use reflex_memory::Lent;
use reflex_rdma::{
    Accept, Access, Completion, CompletionQueue, Connect, Connection, ConnectionChange,
    ConnectionEvent, ConnectionManager, Kind, MemoryRegion, ProtectionDomain, QueuePair, Rdma,
    ReceiveRequest, SendRequest, Status, Transport as QueuePairTransport,
};
use spin::Once;

/// How often is tried again without an acknowledge, and by a peer without a receive: the latter for ever.
const RETRIES: (u8, u8) = (7, 7);
/// Requests that may wait at a port.
const BACKLOG: u16 = 16;

/// A link, and its queue pair.
type Paired<K> = (LinkId, Arc<QueuePair<K>>);

/// What connections are made with.
struct Means<K: Kernel> {
    kernel: K,
    settings: Settings,
    domain: ProtectionDomain<K>,
    queue: CompletionQueue<K>,
    manager: Once<ConnectionManager<K>>,
    names: Names<K, Connection<K>>,
    /// The queue pair in each place for links.
    pairs: Ceiling<Vec<Option<Paired<K>>>>,
}

struct RdmaTransport<K: Kernel>(Arc<Means<K>>);

/// Readies connections of `driver`'s endpoint; what comes to a port is for what `ports` say.
pub(crate) fn start<K, S, H>(
    rdma: &Rdma<K>,
    context: Context<S>,
    driver: &Driver<K, S, H>,
    ports: Arc<Ports<K>>,
) -> Result<Box<dyn Transport>, Error>
where
    K: Kernel,
    S: 'static,
    H: Fn(&mut S, Event<'_>) + Send + Sync + 'static,
{
    let settings = driver.shared.settings;
    let kernel = driver.shared.kernel.clone();
    let links = u32::from(settings.links);
    let completions = links * (settings.sends() + u32::from(settings.receives));
    let domain = rdma.domain(context)?;
    // What completes is of queue pairs that are made with the queue, and so later.
    let means: Arc<Once<Arc<Means<K>>>> = Arc::new(Once::new());
    let (own, of) = (driver.clone(), means.clone());
    let completed = move |state: &mut S, done: &mut Completion<'_>| {
        if let Some(means) = of.get() {
            means.completed(&own, state, done);
        }
    };
    let queue = rdma.completion_queue(context, completions, settings.priority, completed)?;
    let names = Names::new(kernel.clone(), settings.links);
    let mut pairs = Vec::with_capacity(links as usize);
    pairs.resize_with(links as usize, || None);
    let (manager, pairs) = (Once::new(), Ceiling::new(pairs));
    let made = Arc::new(Means { kernel, settings, domain, queue, manager, names, pairs });
    means.call_once(|| made.clone());
    let (own, of) = (driver.clone(), made.clone());
    let happened = move |state: &mut S, event| of.happened(&own, state, event, &ports);
    let manager = rdma.connections(context, settings.priority, happened)?;
    made.manager.call_once(|| manager);
    Ok(Box::new(RdmaTransport(made)))
}

impl<K: Kernel> Means<K> {
    /// A queue pair for a link, with its receives posted.
    fn pair(&self, link: LinkId) -> Result<Arc<QueuePair<K>>, Error> {
        let Settings { receives, page, priority, .. } = self.settings;
        let sends = self.settings.sends();
        let pair = self.domain.queue_pair(QueuePairTransport::Reliable, &self.queue, &self.queue);
        let pair = pair.depth(sends, receives.into()).priority(priority).build()?;
        for _ in 0..receives {
            let receive = ReceiveRequest::bytes(self.domain.bytes(page as usize)?);
            pair.post_receive(receive.id(link.into_word())).map_err(|refused| refused.error)?;
        }
        let pair = Arc::new(pair);
        let before = self.pairs.with(&self.kernel, |pairs| {
            pairs.get_mut(usize::from(link.slot)).and_then(|it| it.replace((link, pair.clone())))
        });
        drop(before);
        Ok(pair)
    }

    /// Posts the memory of a receive again, unless its connection has gone.
    fn post_again(&self, link: LinkId, page: Lent<[u8]>) {
        let pair = self.pairs.with(&self.kernel, |pairs| {
            let (at, pair) = pairs.get(usize::from(link.slot))?.as_ref()?;
            (*at == link).then(|| pair.clone())
        });
        if let Some(pair) = pair {
            // One that has failed takes it and gives it back.
            let _ = pair.post_receive(ReceiveRequest::bytes(page).id(link.into_word()));
        }
    }

    /// The link is no more.
    fn forget(&self, link: LinkId, connection: &Connection<K>) {
        self.names.take(connection);
        let pair = self.pairs.with(&self.kernel, |pairs| {
            let place = pairs.get_mut(usize::from(link.slot))?;
            place.take_if(|(at, _)| *at == link)
        });
        drop(pair);
    }

    /// Work is done: a page has come, or one has been sent.
    fn completed<S: 'static, H: Fn(&mut S, Event<'_>)>(
        &self,
        driver: &Driver<K, S, H>,
        state: &mut S,
        done: &mut Completion<'_>,
    ) {
        let link = LinkId::from_word(done.id);
        match (done.status, done.kind) {
            (Status::Success, Kind::Receive) => {
                driver.page(state, link, done.bytes());
                if let Some(page) = done.take_bytes() {
                    self.post_again(link, page);
                }
            }
            (Status::Success, _) => {
                if let Some(bytes) = done.take_bytes() {
                    driver.handle(state, |core| core.returned(link, bytes));
                }
            }
            (status, _) => driver.handle(state, |core| core.lost(link, ending(status))),
        }
    }

    /// Something has happened to a connection.
    fn happened<S: 'static, H: Fn(&mut S, Event<'_>)>(
        self: &Arc<Self>,
        driver: &Driver<K, S, H>,
        state: &mut S,
        ConnectionEvent { connection, what }: ConnectionEvent<K>,
        ports: &Ports<K>,
    ) {
        if let ConnectionChange::Requested { port, .. } = what {
            let accepted = ports.purpose(port).and_then(|purpose| {
                let make = |link| self.accept(link, connection.clone());
                driver.accept(state, purpose, make)
            });
            if accepted.is_none() {
                // If that does not go either, the peer gives up by itself.
                let _ = connection.reject(&[]);
            }
            return;
        }
        let Some(link) = self.names.find(&connection) else { return };
        let note = |core: &mut Core| match what {
            ConnectionChange::Connected { .. } => core.established(link),
            ConnectionChange::Rejected { .. } => core.lost(link, End::Refused(Refusal::Refused)),
            ConnectionChange::Failed { .. } => core.lost(link, End::Refused(Refusal::Unanswered)),
            ConnectionChange::Disconnected => core.disconnected(link),
            ConnectionChange::Requested { .. } | ConnectionChange::Resolved { .. } => {}
        };
        driver.handle(state, note);
    }

    fn accept(
        self: &Arc<Self>,
        id: LinkId,
        connection: Connection<K>,
    ) -> Result<Box<dyn Link>, Error> {
        let pair = self.pair(id)?;
        self.names.add(connection.clone(), id);
        let link = RdmaLink { id, pair, connection, means: self.clone() };
        link.connection.accept(&link.pair, Accept::new().rnr_retries(RETRIES.1))?;
        Ok(Box::new(link))
    }
}

/// What the first completion without success says.
fn ending(status: Status) -> End {
    match status {
        Status::Flushed => End::Down(Down::Closed),
        Status::LocalLength => End::Down(Down::Malformed(Malformed::Length)),
        _ => End::Down(Down::Failed),
    }
}

impl<K: Kernel> Transport for RdmaTransport<K> {
    fn dial(&self, id: LinkId, to: SocketAddr) -> Result<Box<dyn Link>, Error> {
        let means = &self.0;
        let manager = means.manager.get().ok_or(Error::NotConnected)?;
        let pair = means.pair(id)?;
        let connect = Connect::new().retries(RETRIES.0, RETRIES.1);
        // Nobody is told of the connection before it has its name.
        let connection = means.kernel.section(|| {
            let connection = manager.connect(&pair, (to.ip(), to.port()), connect)?;
            means.names.add(connection.clone(), id);
            Ok::<_, Error>(connection)
        })?;
        Ok(Box::new(RdmaLink { id, pair, connection, means: means.clone() }))
    }

    fn ready(&self) -> Result<(), Error> {
        Ok(())
    }

    fn listen(&self, port: u16) -> Result<(), Error> {
        let manager = self.0.manager.get().ok_or(Error::NotConnected)?;
        Ok(manager.listen(QueuePairTransport::Reliable, port, BACKLOG)?)
    }

    fn close(&self, port: u16) {
        if let Some(manager) = self.0.manager.get() {
            // It listens there, or there is nothing to be closed.
            let _ = manager.close(QueuePairTransport::Reliable, port);
        }
    }

    fn register(&self, bytes: Lent<[u8]>) -> Result<Arc<dyn Registered>, Error> {
        Ok(Arc::new(Region(self.0.domain.register(bytes, Access::NONE)?)))
    }
}

/// Memory that the port sends from.
struct Region<K: Kernel>(MemoryRegion<K>);

impl<K: Kernel> Registered for Region<K> {
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Error> {
        Ok(self.0.read(offset, into)?)
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.0.write(offset, bytes)?)
    }

    fn source(self: Arc<Self>, range: Range<usize>) -> Result<Source, Error> {
        self.0.slice(range).map(Source::Region).map_err(|_| Error::OutOfBounds)
    }
}

struct RdmaLink<K: Kernel> {
    id: LinkId,
    pair: Arc<QueuePair<K>>,
    connection: Connection<K>,
    means: Arc<Means<K>>,
}

impl<K: Kernel> Link for RdmaLink<K> {
    fn post(&mut self, parcel: Parcel) -> Posted {
        let message = SendRequest::message().id(self.id.into_word());
        let work = match parcel {
            Parcel::Page { bytes, used } => message.prefix(bytes, used),
            Parcel::Unbuffered { header, source: Source::Region(slice) } => {
                message.bytes(header).slice(slice)
            }
            parcel @ Parcel::Unbuffered { source: Source::Shared(..), .. } => {
                return Posted::Over(parcel);
            }
        };
        match self.pair.post_send(work) {
            Ok(()) => Posted::UnderWay,
            // The queue has a place for everything that may be under way, so the connection is over.
            Err(refused) => match refused.work.into_bytes() {
                Some(bytes) => Posted::Over(Parcel::Page { bytes, used: 0 }),
                None => Posted::UnderWay,
            },
        }
    }

    fn close(&mut self) {
        // When the port is too busy for that, the queue pair's end ends it, too.
        let _ = self.connection.disconnect();
    }

    fn abort(&mut self) {
        self.close();
    }
}

impl<K: Kernel> Drop for RdmaLink<K> {
    fn drop(&mut self) {
        self.means.forget(self.id, &self.connection);
    }
}
