//! The handle of a network stack.

use crate::api::connector::ConnectBuilder;
use crate::api::listener::ListenBuilder;
use crate::api::udp_receive::UdpBuilder;
use crate::path::stack::Stack;
use crate::table::flow::FlowHash;
use crate::table::handle::{Net, StackEvents};
use crate::table::tables::Shared;
use crate::types::counters::Counters;
use crate::types::error::Error;
use crate::types::settings::{Config, InterfaceAddress, UdpSettings};
use alloc::boxed::Box;
use reflex_dhcp::Parameters;
use reflex_event::{Accumulation, Activation, Context, EventId, Kernel, Priority, Registration};
use reflex_hil::{Receive, Transmit};

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
        let shared = Shared::new(transmit.mtu(), config.frames, config.fragments);
        let net = Self::of(kernel, hash, shared, config);
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
        let kernel = self.kernel();
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let unmatched = kernel.register(context, registration, |stack, _| stack.unmatched())?;
        let received = kernel.register(context, registration, |stack, _| stack.received())?;
        let transmit_ready =
            kernel.register(context, registration, |stack, _| stack.transmit_ready())?;
        let tick = kernel.register(context, registration, |stack, _| stack.tick())?;
        let tick_timer = kernel.timer(tick)?;
        let owners_gone =
            |stack: &mut Stack<K>, activation: Activation| stack.owners_gone(activation.count);
        let owner_gone = kernel.register(context, registration, owners_gone)?;
        let replace_buffers =
            kernel.register(context, registration, |stack, _| stack.replace_buffers())?;
        let events =
            StackEvents { received, transmit_ready, tick_timer, owner_gone, replace_buffers };
        self.started(context.id(), events);
        self.with(|shared| {
            shared.unmatched_event = Some(unmatched);
            shared.receiving_at = priority;
            shared.priorities.add(priority);
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

    /// Longest IP packet that the interface carries, or the network, if a DHCP server has said so, in
    /// bytes.
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
        let event = self.kernel().register(context, registration, move |state, _| {
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

    /// What a DHCP server has said of the network, while there is a lease: name servers, and the
    /// domain in which names are looked up.
    pub fn parameters(&self) -> Option<Parameters> {
        self.with(|shared| shared.parameters)
    }

    /// What the DHCP client has counted, if there is one.
    pub fn dhcp_counters(&self) -> Option<reflex_dhcp::Counters> {
        self.with(|shared| shared.dhcp_counters)
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.with(|shared| shared.counters)
    }
}
