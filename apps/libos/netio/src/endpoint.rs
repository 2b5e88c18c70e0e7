//! An endpoint, and the sockets that it makes.

use crate::driver::Driver;
use crate::endpoint_core::Counters;
use crate::error::Error;
use crate::event::{Event, Role, Socket};
use crate::link::Transport;
use crate::memory::Memory;
use crate::ports::{Ports, Purpose};
use crate::publisher::{Publication, Publisher};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::state::State;
use crate::subscriptions::Subscriptions;
use crate::{PublishSocket, SendSocket, SubscribeSocket, rdma, tcp};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use reflex_collections::Keyed;
use reflex_event::{Accumulation, Context, Kernel, Registration};
use reflex_keyed_timers::KeyedTimers;
use reflex_net::Net;
use reflex_rdma::Rdma;

/// What carries an endpoint's connections.
pub enum Carrier<'a, K: Kernel> {
    /// TCP.
    Tcp(&'a Net<K>),
    /// Reliable connections of RDMA.
    Rdma(&'a Rdma<K>),
}

/// Sends, receives, publishes and subscribes, with events that one context's state handles. Copies are of the same.
///
/// Any context may call it, and what it makes. When a context comes upon another one of lower priority that is sending
/// by the very same socket, it is refused with [`Error::Busy`].
pub struct Endpoint<K: Kernel> {
    pub(crate) shared: Arc<Shared<K>>,
    ports: Arc<Ports<K>>,
}

impl<K: Kernel> Clone for Endpoint<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), ports: self.ports.clone() }
    }
}

impl<K: Kernel> Endpoint<K> {
    /// An endpoint of `context`'s, over TCP or RDMA; `handler` is told what happens. Its pages are event memory of the
    /// context's.
    ///
    /// # Errors
    /// [`Error::BadParameter`]; others when memory or a table does not allow it.
    pub fn start<S, H>(
        kernel: &K,
        context: impl Into<Context<S>>,
        carrier: Carrier<'_, K>,
        settings: Settings,
        handler: H,
    ) -> Result<Self, Error>
    where
        S: 'static,
        H: Fn(&mut S, Event<'_>) + Send + Sync + 'static,
    {
        Self::start_over(kernel, context.into(), settings, handler, |context, driver, purpose| {
            match carrier {
                Carrier::Tcp(net) => Ok(tcp::start(net, context, driver, purpose)),
                Carrier::Rdma(rdma) => rdma::start(rdma, context, driver, purpose),
            }
        })
    }

    /// As [`start`](Self::start), over whatever `carry` makes of what is to be told.
    pub(crate) fn start_over<S, H>(
        kernel: &K,
        context: Context<S>,
        settings: Settings,
        handler: H,
        carry: impl FnOnce(
            Context<S>,
            &Driver<K, S, H>,
            Arc<Ports<K>>,
        ) -> Result<Box<dyn Transport>, Error>,
    ) -> Result<Self, Error>
    where
        S: 'static,
        H: Fn(&mut S, Event<'_>) + Send + Sync + 'static,
    {
        if !settings.are_possible() {
            return Err(Error::BadParameter);
        }
        let shared = Arc::new(Shared::new(kernel.clone(), settings, kernel.pool(context)?));
        let driver = Driver::new(shared.clone(), handler);
        let deadlines = 2 * usize::from(settings.links) + 2;
        let own = driver.clone();
        let timers = KeyedTimers::new(
            kernel,
            context,
            settings.priority,
            deadlines,
            move |state, key, ()| {
                own.handle(state, |core| core.expired(crate::endpoint_core::Timer::from_key(key)));
            },
        )?;
        shared.timers.call_once(|| timers);
        let own = driver.clone();
        let priority = settings.priority;
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let told = kernel.register(context, registration, move |state, _| own.tell(state))?;
        shared.told.call_once(|| told);
        let ports = Arc::new(Ports::new(kernel.clone()));
        let transport = carry(context, &driver, ports.clone())?;
        shared.transport.call_once(|| transport);
        Ok(Self { shared, ports })
    }

    /// Listens at a port: the handler is told of each connection and of its messages.
    ///
    /// # Errors
    /// Those of the port, and [`Error::LimitReached`].
    pub fn listen(&self, port: u16) -> Result<(), Error> {
        self.open(port, (Role::Receives, 0))
    }

    /// Publishes at a port, to which subscribers connect.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub fn publish(&self, publication: Publication) -> Result<PublishSocket<K>, Error> {
        let mut key = [0; 16];
        self.shared.kernel.random(&mut key);
        let limit = self.shared.settings.subscriptions.1 as usize;
        let port = publication.port;
        let publisher = Publisher::new(publication, Subscriptions::new(limit, Keyed::new(key)));
        let number = self.shared.with(|core| {
            core.publishers.push(publisher);
            core.publishers.len() - 1
        });
        // A publisher without a port has no subscribers, and stays without.
        self.open(port, (Role::Subscriber, number))?;
        Ok(PublishSocket::new(self.shared.clone(), number))
    }

    fn open(&self, port: u16, purpose: Purpose) -> Result<(), Error> {
        let shared = &self.shared;
        let transport = shared.transport.get().ok_or(Error::NotConnected)?;
        shared.kernel.guarded(|| {
            self.ports.open(port, purpose)?;
            transport.listen(port).inspect_err(|_| self.ports.close(port))
        })
    }

    /// Listens, or publishes, there no longer. Connections that were accepted stay.
    pub fn close_port(&self, port: u16) {
        self.shared.kernel.guarded(|| {
            self.ports.close(port);
            if let Some(transport) = self.shared.transport.get() {
                transport.close(port);
            }
        });
    }

    /// Connects to a listening port, and again whenever the connection is down, until the socket is
    /// [closed](Self::close).
    ///
    /// # Errors
    /// [`Error::LimitReached`], and those of the transport.
    pub fn connect(&self, to: SocketAddr) -> Result<SendSocket<K>, Error> {
        let socket = self.begin(Role::Sends, to)?;
        Ok(SendSocket::new(self.shared.clone(), socket))
    }

    /// Connects to a publisher, as [`connect`](Self::connect) does; what is asked for is asked again of each
    /// connection.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn subscribe(&self, to: SocketAddr) -> Result<SubscribeSocket<K>, Error> {
        let socket = self.begin(Role::Subscribes, to)?;
        Ok(SubscribeSocket::new(self.shared.clone(), socket))
    }

    fn begin(&self, role: Role, to: SocketAddr) -> Result<Socket, Error> {
        let transport = self.shared.transport.get().ok_or(Error::NotConnected)?;
        self.shared.kernel.guarded(|| transport.ready())?;
        let state = State::new(role, Some(to), 0, &self.shared.settings);
        let reserved = self.shared.act(|core| {
            let link = core.reserve(state)?;
            Ok::<_, Box<State>>(core.socket(link.slot))
        });
        reserved.map_err(|_| Error::LimitReached)
    }

    /// Sends what a socket has taken, and closes it, whatever it is. Its end is told; it is not connected again.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn close(&self, socket: Socket) -> Result<(), Error> {
        self.shared.act(|core| core.close(socket))
    }

    /// Memory that unbuffered messages are sent from: so many bytes of the context's event memory.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], and those of the transport.
    pub fn memory(&self, length: usize) -> Result<Memory, Error> {
        let transport = self.shared.transport.get().ok_or(Error::NotConnected)?;
        let bytes = self.shared.pool.bytes(length).map_err(|_| Error::OutOfMemory)?;
        let registered = self.shared.kernel.guarded(|| transport.register(bytes))?;
        Ok(Memory::new(registered, length, self.shared.identity()))
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.shared.with(|core| core.counters)
    }

    /// What it was made for.
    pub fn settings(&self) -> Settings {
        self.shared.settings
    }
}
