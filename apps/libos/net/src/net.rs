//! The handle of a network stack.

use crate::connector::ConnectBuilder;
use crate::flow::FlowHash;
use crate::group::UdpSettings;
use crate::listener::ListenBuilder;
use crate::shared::Shared;
use crate::udp::UdpBuilder;
use crate::{Config, Counters, Error, InterfaceAddress, Stack, Transport};
use alloc::boxed::Box;
use alloc::sync::Arc;
use reflex_event::{
    Accumulation, Activation, Ceiling, Context, EventId, Kernel, Priority, Registration,
};
use reflex_hil::{Receive, Transmit};
use spin::Once;

/// A network stack: what applications open sockets with.
///
/// ```text
/// let (net, stack) = Net::new(kernel, receive, transmit, config);
/// let context = /* a context of its own with the state `stack` */; let interrupts =
/// net.start(context, priority)?; /* from then on, each interrupt of the interface is an occurrence
/// of one of `interrupts` */
/// ```
pub struct Net<K: Kernel> {
    inner: Arc<Inner<K>>,
}

struct Inner<K: Kernel> {
    kernel: K,
    hash: FlowHash,
    shared: Ceiling<Shared<K>>,
    stack: Once<Context<Stack<K>>>,
    pub(crate) events: Once<StackEvents>,
    opened: Option<fn(Transport, u16)>,
}

/// What the interface's interrupts are to activate.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts {
    /// Frames have been received. The interface's interrupts for these are to be suppressed before
    /// it is activated, and it is to be activated once at first: the stack enables them when it has
    /// taken all that had come.
    pub received: EventId,
    /// Transmit buffers have become free.
    pub sent: EventId,
}

/// The stack's own registrations.
#[derive(Clone, Copy)]
pub(crate) struct StackEvents {
    pub(crate) received: EventId,
    pub(crate) transmit_ready: EventId,
    pub(crate) tick_timer: reflex_event::TimerId,
    /// Activated by the kernel when a context has been given up.
    pub(crate) bereaved: EventId,
    /// Activated when a buffer of a frame does not come back.
    pub(crate) replace_buffers: EventId,
}

impl<K: Kernel> Clone for Net<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K: Kernel> Net<K> {
    /// A stack over a network interface, and the state of the context it is to run in.
    pub fn new(
        kernel: K,
        receive: Box<dyn Receive>,
        transmit: Box<dyn Transmit>,
        config: &Config,
    ) -> (Self, Stack<K>) {
        let mut key = [0; 16];
        kernel.random(&mut key);
        let hash = FlowHash::new(&key);
        let shared = Shared::new(transmit.mtu(), config.frames);
        let inner = Inner {
            kernel,
            hash,
            shared: Ceiling::new(shared),
            stack: Once::new(),
            events: Once::new(),
            opened: config.opened,
        };
        let net = Self { inner: Arc::new(inner) };
        let stack = Stack::new(net.clone(), receive, transmit, hash, config);
        (net, stack)
    }

    /// Starts the stack in its context: addresses are configured from now on, frames answered.
    /// Its work for no connection in particular (ARP, ICMP, DHCP) runs at `priority`. Frames are
    /// received at that priority, or at the highest of those that ports and connections have.
    ///
    /// The context's event memory holds one small handler for each connection there has been at
    /// a time, and one or two for each listener and socket; the connections themselves and
    /// their buffers lie in the event memory of the contexts that serve them.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Event`].
    pub fn start(
        &self,
        context: Context<Stack<K>>,
        priority: Priority,
    ) -> Result<Interrupts, Error> {
        let kernel = &self.inner.kernel;
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let others = kernel.register(context, registration, |stack, _| stack.others())?;
        let received = kernel.register(context, registration, |stack, _| stack.received())?;
        let transmit_ready =
            kernel.register(context, registration, |stack, _| stack.transmit_ready())?;
        let tick = kernel.register(context, registration, |stack, _| stack.tick())?;
        let tick_timer = kernel.timer(tick)?;
        let mourn = |stack: &mut Stack<K>, activation: Activation| stack.mourn(activation.count);
        let bereaved = kernel.register(context, registration, mourn)?;
        let replace_buffers =
            kernel.register(context, registration, |stack, _| stack.replace_buffers())?;
        self.inner.stack.call_once(|| context);
        let events =
            StackEvents { received, transmit_ready, tick_timer, bereaved, replace_buffers };
        self.inner.events.call_once(|| events);
        self.with(|shared| {
            shared.others_event = Some(others);
            shared.receiving_at = priority;
            shared.levels.add(priority);
        });
        self.follow_priorities();
        self.activate(tick);
        Ok(Interrupts { received, sent: transmit_ready })
    }

    /// Prepares to listen on a TCP port.
    pub fn listen(&self, port: u16) -> ListenBuilder<K> {
        ListenBuilder::new(self.clone(), port)
    }

    /// Prepares outgoing TCP connections.
    pub fn connector(&self) -> ConnectBuilder<K> {
        ConnectBuilder::new(self.clone())
    }

    /// Prepares a UDP socket on a port.
    pub fn udp(&self, port: u16) -> UdpBuilder<K> {
        UdpBuilder::new(self.clone(), port, UdpSettings::default())
    }

    /// Longest IP packet that the interface carries, in bytes.
    pub fn mtu(&self) -> usize {
        self.with(|shared| shared.mtu)
    }

    /// The interface's address, once there is one.
    pub fn address(&self) -> Option<InterfaceAddress> {
        self.with(|shared| shared.address)
    }

    /// Has `handler` told of every change of the interface's address, and of the address it
    /// has already.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Event`].
    pub fn on_address<S, F>(
        &self,
        context: Context<S>,
        priority: Priority,
        handler: F,
    ) -> Result<EventId, Error>
    where
        S: 'static,
        F: Fn(&mut S, Option<InterfaceAddress>) + Send + 'static,
    {
        let net = self.clone();
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let event = self.inner.kernel.register(context, registration, move |state, _| {
            handler(state, net.address());
        })?;
        self.make_room(|shared| &mut shared.address_events);
        let known = self.with(|shared| {
            shared.address_events.push(event);
            shared.address.is_some()
        });
        if known {
            self.activate(event);
        }
        Ok(event)
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.with(|shared| shared.counters)
    }

    /// Tells that a port is open, if that was asked for.
    pub(crate) fn announce(&self, transport: Transport, port: u16) {
        if let Some(opened) = self.inner.opened {
            opened(transport, port);
        }
    }

    pub(crate) fn kernel(&self) -> &K {
        &self.inner.kernel
    }

    /// The hash of 4-tuples.
    pub(crate) fn hash(&self) -> &FlowHash {
        &self.inner.hash
    }

    pub(crate) fn stack(&self) -> Result<Context<Stack<K>>, Error> {
        self.inner.stack.get().copied().ok_or(Error::NotStarted)
    }

    pub(crate) fn events(&self) -> Option<&StackEvents> {
        self.inner.events.get()
    }

    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Shared<K>) -> R) -> R {
        self.inner.shared.with(&self.inner.kernel, work)
    }

    /// Activates an event of ours. It can only be refused when its registration has ended or
    /// four billion occurrences are pending; either way there is nobody to tell.
    #[inline]
    pub(crate) fn activate(&self, event: EventId) {
        let _ = self.inner.kernel.activate(event, 1);
    }
}
