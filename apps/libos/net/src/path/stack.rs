//! The stack as a context's state: its handlers, and what they do for all connections together.

use crate::ip::dhcp::Dhcp;
use crate::ip::interface::Engine;
use crate::ip::neighbour::RETRY;
use crate::ip::rate_limit::Limiter;
use crate::ip::reassembly::{ASSEMBLED, Reassembly};
use crate::ip::routes::Routes;
use crate::path::attached::Attached;
use crate::path::owner_visit::Visit;
use crate::table::flow::FlowHash;
use crate::table::handle::Net;
use crate::table::records::Records;
use crate::table::waiter::Waiter;
use crate::types::conflict::{AddressConflict, ConflictDetection};
use crate::types::counters::Tally;
use crate::types::error::Error;
use crate::types::settings::{Address, Config, InterfaceAddress};
use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_event::{Context, EventId, Instant, Kernel, Priority, Sweep};
use reflex_hil::{Frame, Receive, Transmit};

/// The stack: the state of the context in which all protocol work is done.
pub struct Stack<K: Kernel> {
    pub(crate) net: Net<K>,
    pub(crate) receiver: Box<dyn Receive>,
    pub(crate) engine: Engine,
    pub(crate) hash: FlowHash,
    pub(crate) dhcp: Option<Box<Dhcp>>,
    /// Given, and not yet configured.
    configured: Option<InterfaceAddress>,
    pub(crate) conflict_detection: ConflictDetection,
    /// Is told when somebody else has an address of ours.
    pub(crate) conflict: Option<fn(AddressConflict)>,
    /// What the timer of [`Stack::tick`] is set to.
    armed: Option<Instant>,
    /// When neighbours are asked for again.
    retry_at: Option<Instant>,
    /// Packets in fragments, and those that have been put together: they go the way of what is received.
    pub(crate) reassembly: Reassembly,
    pub(crate) assembled: Vec<Frame>,
    /// The look for what gone owners have left.
    pub(crate) sweep: Sweep<Visit>,
    pub(crate) attached: Option<Box<Attached>>,
    /// The level at which frames are handed to it.
    pub(crate) attached_priority: u8,
}

impl<K: Kernel> Stack<K> {
    pub(crate) fn new(
        net: Net<K>,
        receiver: Box<dyn Receive>,
        transmit: Box<dyn Transmit>,
        hash: FlowHash,
        config: &Config,
    ) -> Self {
        let kernel = net.kernel().clone();
        let now = kernel.now();
        let (mut seed, mut key, mut secret) = ([0; 8], [0; 16], [0; 16]);
        kernel.random(&mut seed);
        kernel.random(&mut key);
        kernel.random(&mut secret);
        let (configured, dhcp) = match config.address {
            Address::Static { address, prefix, gateway } => {
                (Some(InterfaceAddress { address, prefix: prefix.min(32), gateway }), None)
            }
            Address::Dhcp => {
                let dhcp = Dhcp::new(transmit.mac(), transmit.mtu(), config.hostname);
                (None, Some(Box::new(dhcp)))
            }
        };
        let limiter = Limiter::new(config.replies_per_second, now);
        let keys = [&key, &secret];
        let mut engine = Engine::new(transmit, u64::from_ne_bytes(seed), keys, limiter, now);
        engine.set_address6(config.address6);
        engine.station.hears_dhcp = dhcp.is_some();
        engine.station.loopback = config.loopback;
        engine.gateway6 = config.gateway6.map(u128::from);
        Self {
            net,
            receiver,
            engine,
            hash,
            dhcp,
            configured,
            conflict_detection: config.conflict_detection,
            conflict: config.conflict,
            armed: None,
            retry_at: None,
            reassembly: Reassembly::new(config.fragments),
            assembled: Vec::with_capacity(ASSEMBLED),
            sweep: Sweep::default(),
            attached: None,
            attached_priority: 0,
        }
    }

    /// Everything that comes with time and not for one connection.
    pub(crate) fn tick(&mut self) {
        let now = self.net.kernel().now();
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        self.engine.room = self.engine.transmit.available();
        if let Some(address) = self.configured.take() {
            self.set_address(Some(address));
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.resolved();
        }
        self.run_watch();
        self.dhcp_expired();
        self.fragments_expired(now);
        self.settle_accounts();
        self.arm_tick(now);
    }

    /// Makes `address` the interface's, with the routes it was configured with.
    pub(crate) fn set_address(&mut self, address: Option<InterfaceAddress>) {
        self.set_network(address, address.as_ref().map(Routes::configured).unwrap_or_default());
    }

    /// Makes `address` the interface's, with these routes, and tells everybody.
    pub(crate) fn set_network(&mut self, address: Option<InterfaceAddress>, routes: Routes) {
        if (self.engine.address, &self.engine.routes) == (address, &routes) {
            return;
        }
        let before = self.engine.address.is_some();
        self.engine.set_network(address, routes);
        let (listeners, groups) = self.net.with(|shared| {
            shared.address = address;
            (shared.address_events.len(), shared.groups.len() as u32)
        });
        self.make_known();
        self.attached_addresses_changed();
        for at in 0..listeners {
            if let Some(event) = self.net.with(|shared| shared.address_events.get(at).copied()) {
                self.net.activate(event);
            }
        }
        if !before {
            return;
        }
        // Connections of the old address find out, each in its own run.
        for group in 0..groups {
            for place in 0..self.net.with(|shared| shared.records.count(group)) {
                let event = self.net.with(|shared| {
                    let record = shared.records.get(Records::index(group, place));
                    let record = record.filter(|record| record.in_table());
                    record.and_then(|record| record.events).map(|events| events.segment)
                });
                if let Some(event) = event {
                    self.net.activate(event);
                }
            }
        }
    }

    /// A neighbour has answered: all that wait for one look again.
    pub(crate) fn resolved(&mut self) {
        self.dhcp_send_waiting();
        let waiting = self.net.with(|shared| shared.unresolved.len());
        for _ in 0..waiting {
            if let Some(Some(event)) = self.net.with(|shared| shared.next_unresolved()) {
                self.net.activate(event);
            }
        }
    }

    /// Has neighbours asked for again in a while.
    pub(crate) fn retry_later(&mut self) {
        let now = self.net.kernel().now();
        self.retry_at = Some(now + RETRY);
        self.arm_tick(now);
    }

    /// Lets `waiter` wait for a transmit buffer, behind the others.
    pub(crate) fn starve(&mut self, waiter: Waiter) {
        self.engine.tally.transmit_full += 1;
        self.settle_accounts();
        self.net.with(|shared| shared.wait_for_buffer(waiter));
        self.when_available();
    }

    /// Has [`Stack::transmit_ready`] run when a transmit buffer is free.
    pub(crate) fn when_available(&mut self) {
        // What is queued must be with the device before one can become free.
        self.engine.transmit.flush();
        self.engine.unflushed = None;
        if self.engine.transmit.notify_when_available()
            && let Some(events) = self.net.events()
        {
            self.net.activate(events.transmit_ready);
        }
    }

    /// Transmit buffers are free: those that wait go on, oldest first.
    pub(crate) fn transmit_ready(&mut self) {
        let free = self.engine.transmit.available();
        for _ in 0..free {
            let Some(event) = self.net.with(|shared| shared.next_starved()) else { break };
            if let Some(event) = event {
                self.net.activate(event);
            }
        }
        if self.net.with(|shared| !shared.starved.is_empty()) {
            self.when_available();
        }
    }

    /// Has the device told of queued frames once all work at hand of this priority is done:
    /// one notification, which leaves the machine, for as many frames as there are.
    #[inline]
    pub(crate) fn flush_later(&mut self, priority: Priority, event: Option<EventId>) {
        if self.engine.unflushed.is_some_and(|others| others >= priority) {
            return;
        }
        match event {
            Some(event) => {
                self.engine.unflushed = Some(priority);
                self.net.activate(event);
            }
            None => {
                self.engine.unflushed = None;
                self.engine.transmit.flush();
            }
        }
    }

    /// Tells the device of queued frames.
    pub(crate) fn flush(&mut self) {
        if self.engine.unflushed.take().is_some() {
            self.engine.transmit.flush();
        }
    }

    /// Adds what seldom is counted to the shared counters, if it was.
    #[inline]
    pub(crate) fn settle_rest(&mut self) {
        if self.engine.tally != Tally::default() {
            self.settle_accounts();
        }
    }

    /// Adds what was counted to the shared counters.
    pub(crate) fn settle_accounts(&mut self) {
        let tally = core::mem::take(&mut self.engine.tally);
        self.net.with(|shared| shared.counters.add(&tally));
    }

    pub(crate) fn arm_tick(&mut self, now: Instant) {
        let dhcp = self.dhcp.as_ref().and_then(|dhcp| dhcp.due());
        let dues = [self.retry_at, dhcp, self.engine.watch.due(), self.reassembly.due()];
        let Some(due) = dues.into_iter().flatten().min() else { return };
        if self.armed.is_some_and(|armed| armed <= due) {
            return;
        }
        if let Some(events) = self.net.events()
            && self.net.kernel().arm(events.tick_timer, due.max(now), None).is_ok()
        {
            self.armed = Some(due);
        }
    }
}

impl<K: Kernel> Net<K> {
    /// The context in which the stack works.
    pub(crate) fn stack(&self) -> Result<Context<Stack<K>>, Error> {
        self.stack_context().map(Context::new).ok_or(Error::NotStarted)
    }
}
