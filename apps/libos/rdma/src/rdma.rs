//! The port, as applications have it.

use crate::counters::Counters;
use crate::inner::{COMMANDS, CONNECTIONS, CONTROL, Events, Inner, OWNER_GONE, Place, Started};
use crate::limits::Limits;
use crate::shared::{Channel, CqShared, PdShared, Shared};
use crate::table::Table;
use crate::{CompletionQueue, ConnectionEvent, ConnectionManager, Error, Port, ProtectionDomain};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use reflex_event::{
    Accumulation, Ceiling, Context, EventId, Kernel, Owner, Priority, Registration,
};
use reflex_rdma_device::Regions;
use reflex_rdma_engine::Domain;
use reflex_rdma_wire::PathMtu;
use spin::Once;

/// A RoCEv2 port. Copies are of the same.
pub struct Rdma<K: Kernel>(pub(crate) Arc<Inner<K>>);

impl<K: Kernel> Clone for Rdma<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kernel> Rdma<K> {
    /// A port on an interface with IP packets of up to `mtu` bytes, and its other half, which is to
    /// be given the frames of [`UDP_PORT`](crate::UDP_PORT).
    pub fn new(kernel: K, limits: Limits, mtu: usize) -> (Self, Port<K>) {
        let limits = Limits {
            queue_pairs: limits.queue_pairs.min(1 << 10),
            connections: limits.connections.clamp(1, 1 << 16),
            ..limits
        };
        // So that a machine that starts anew does not use the numbers of before.
        let mut random = [0; 2];
        kernel.random(&mut random);
        let shared = Shared {
            domains: Table::new(limits.queues, 0),
            pairs: Table::new(limits.queue_pairs, u16::from_ne_bytes(random).into()),
            shares: Table::new(limits.queues, 0),
            queues: Table::new(limits.queues, 0),
            channels: Table::new(limits.queues, 0),
            listening: Vec::with_capacity(usize::from(limits.queues)),
            regions: Regions::new(limits.regions),
            commands: VecDeque::with_capacity(COMMANDS),
            addresses: Vec::new(),
            counters: Counters::default(),
            handles: 0,
        };
        let (shared, place) = (Ceiling::new(shared), Once::new());
        let inner = Arc::new(Inner { kernel, limits, mtu: path_mtu(mtu), shared, place });
        (Self(inner.clone()), Port::new(inner))
    }

    /// Starts the port, once its other half has its place.
    ///
    /// # Errors
    /// [`Error::Event`].
    pub fn start(&self, place: Box<dyn Place<K>>) -> Result<(), Error> {
        let control = place.event(Priority::DEFAULT, CONTROL)?;
        let timed = place.event(Priority::DEFAULT, CONNECTIONS)?;
        let owner_gone = place.event(Priority::DEFAULT, OWNER_GONE)?;
        let connections = self.0.kernel.timer(timed)?;
        let events = Events { control, connections, owner_gone };
        self.0.place.call_once(|| Started { place, events });
        Ok(())
    }

    /// Largest payload of a packet.
    pub fn mtu(&self) -> PathMtu {
        self.0.mtu
    }

    /// The interface's addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let room = self.0.with(|shared| shared.addresses.len());
        let mut addresses = Vec::with_capacity(room);
        self.0.with(|shared| addresses.extend(shared.addresses.iter().copied().take(room)));
        addresses
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.0.with(|shared| shared.counters)
    }

    /// A protection domain of a context's: its memory and its queue pairs are given up with the
    /// context.
    ///
    /// # Errors
    /// [`Error::NotStarted`], [`Error::LimitReached`], [`Error::Event`].
    pub fn domain<S>(&self, context: impl Into<Context<S>>) -> Result<ProtectionDomain<K>, Error> {
        let context = context.into();
        self.0.kernel.guarded(|| {
            let owner = self.owner(context)?;
            let pool = self.0.kernel.pool(context)?;
            let entry = PdShared { owner };
            let handle = self.0.insert(owner, |shared| &mut shared.domains, entry)?;
            Ok(ProtectionDomain::new(self.clone(), Domain(handle.0), pool))
        })
    }

    /// A queue for so many completions, each of which is handled by `context`'s state, at that
    /// priority.
    ///
    /// # Errors
    /// [`Error::NotStarted`], [`Error::LimitReached`], [`Error::BadParameter`], [`Error::Event`].
    pub fn completion_queue<S: 'static>(
        &self,
        context: impl Into<Context<S>>,
        size: u32,
        priority: Priority,
        handler: impl Fn(&mut S, &mut crate::Completion) + Send + 'static,
    ) -> Result<CompletionQueue<K>, Error> {
        let context = context.into();
        if size == 0 || size > 1 << 16 {
            return Err(Error::BadParameter);
        }
        self.0.kernel.guarded(|| {
            let owner = self.owner(context)?;
            let ring = VecDeque::with_capacity(size as usize);
            let queue = CqShared {
                owner,
                ring,
                size,
                reserved: 0,
                event: None,
                armed: true,
                solicited: false,
            };
            let handle = self.0.insert(owner, |shared| &mut shared.queues, queue)?;
            let port = self.clone();
            let event = self.handler(context, priority, move |state| {
                port.hand_completions(handle, |done| handler(state, done));
            });
            let event = event.inspect_err(|_| {
                let _queue = self.0.with(|shared| shared.queues.remove(handle));
            })?;
            self.0.with(|shared| {
                let queue = shared.queues.get_mut(handle);
                queue.into_iter().for_each(|queue| queue.event = Some(event));
            });
            Ok(CompletionQueue::new(self.clone(), handle))
        })
    }

    /// Connections with events that `context`'s state handles, at that priority.
    ///
    /// # Errors
    /// As [`completion_queue`](Self::completion_queue).
    pub fn connections<S: 'static>(
        &self,
        context: impl Into<Context<S>>,
        priority: Priority,
        handler: impl Fn(&mut S, ConnectionEvent<K>) + Send + 'static,
    ) -> Result<ConnectionManager<K>, Error> {
        let context = context.into();
        self.0.kernel.guarded(|| {
            let owner = self.owner(context)?;
            // One event of each connection, and as many for those that come and go.
            let size = 2 * self.0.limits.connections as usize;
            let queue = VecDeque::with_capacity(size);
            let channel = Channel { owner, queue, size, promised: 0, event: None, armed: true };
            let handle = self.0.insert(owner, |shared| &mut shared.channels, channel)?;
            let manager = ConnectionManager::new(self.clone(), handle);
            let told = manager.clone();
            let event = self.handler(context, priority, move |state| {
                told.hand_events(|event| handler(state, event));
            });
            let event = event.inspect_err(|_| {
                let _channel = self.0.with(|shared| shared.channels.remove(handle));
            })?;
            self.0.with(|shared| {
                let channel = shared.channels.get_mut(handle);
                channel.into_iter().for_each(|channel| channel.event = Some(event));
            });
            Ok(manager)
        })
    }

    fn handler<S: 'static>(
        &self,
        context: Context<S>,
        priority: Priority,
        run: impl Fn(&mut S) + Send + 'static,
    ) -> Result<EventId, reflex_event::Error> {
        let registration = Registration { priority, accumulation: Accumulation::Count };
        self.0.kernel.register(context, registration, move |state: &mut S, _| run(state))
    }

    /// The present life of a context, which is to be remembered by whatever it owns.
    fn owner<S>(&self, context: Context<S>) -> Result<Owner, Error> {
        let kernel = &self.0.kernel;
        kernel.permit(context.id(), "rdma")?;
        let owner_gone = self.0.events()?.owner_gone;
        // In one life of the context: its end is told once.
        kernel.section(|| {
            let owner = Owner::of(kernel, context.id())?;
            kernel.on_end(context.id(), owner_gone)?;
            Ok(owner)
        })
    }
}

/// The largest payload that fits in IP packets of so many bytes.
fn path_mtu(mtu: usize) -> PathMtu {
    // The longest headers that payload of a whole MTU can have: IPv6, UDP, BTH, RETH with immediate
    // data, and the ICRC.
    const HEADERS: usize = 40 + 8 + 12 + 16 + 4 + 4;
    let all = [PathMtu::B4096, PathMtu::B2048, PathMtu::B1024, PathMtu::B512];
    let fits = |it: &PathMtu| it.bytes() + HEADERS <= mtu;
    all.into_iter().find(fits).unwrap_or(PathMtu::B256)
}
