//! Queue pairs, as they are made.

use crate::pair_state::{FRAMES, Pair};
use crate::shared::{Posted, QpShared, Requests, Reserved, Shared, number};
use crate::table::Handle;
use crate::withheld::Withheld;
use crate::work::Phase;
use crate::{
    Access, CompletionQueue, Error, Event, ProtectionDomain, QueuePair, SharedReceiveQueue,
    Transport,
};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::cell::RefCell;
use reflex_event::{EventId, Kernel, Priority, TimerId};
use reflex_rdma_device::{InFlight, MAX_SGE};
use reflex_rdma_engine::{Attributes, Config, Domain, QueuePair as Engine, State};
use reflex_rdma_wire::{PKey, Psn, QKey};

/// Most sends, and most receives, of a queue.
pub(crate) const DEEPEST: u32 = 1 << 15;
/// Kinds of events that no completion tells.
const EVENTS: usize = 8;

/// A queue pair about to be made.
#[must_use = "there is none before `build`"]
pub struct QueuePairBuilder<K: Kernel> {
    domain: ProtectionDomain<K>,
    transport: Transport,
    /// Completion queues of sends and of receives.
    queues: [Handle; 2],
    sends: u32,
    receives: u32,
    share: Option<(Handle, u32, Domain)>,
    access: Access,
    priority: Priority,
    key: QKey,
    tells_writes: bool,
}

impl<K: Kernel> QueuePairBuilder<K> {
    pub(crate) fn new(
        domain: ProtectionDomain<K>,
        transport: Transport,
        sends: &CompletionQueue<K>,
        receives: &CompletionQueue<K>,
    ) -> Self {
        Self {
            domain,
            transport,
            queues: [sends.handle, receives.handle],
            sends: 64,
            receives: 64,
            share: None,
            access: Access::NONE,
            priority: Priority::DEFAULT,
            key: QKey::IP_CM,
            tells_writes: false,
        }
    }

    /// How many sends and how many receives may be in flight; 64 each unless said otherwise.
    pub fn depth(mut self, sends: u32, receives: u32) -> Self {
        (self.sends, self.receives) = (sends, receives);
        self
    }

    /// Receives are taken from a shared queue of the same domain.
    pub fn shared(mut self, queue: &SharedReceiveQueue<K>) -> Self {
        self.share = Some((queue.handle, queue.size, queue.domain.handle));
        self
    }

    /// What the peer may do; nothing but send unless said otherwise.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// [`Event::Written`] is raised when a peer has written, and no completion tells so: for
    /// [`on_event`](QueuePair::on_event). Several writes may be told as one.
    pub fn tell_writes(mut self) -> Self {
        self.tells_writes = true;
        self
    }

    /// The priority at which its packets and its posted work are done.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The key that datagrams have to have.
    pub fn key(mut self, key: QKey) -> Self {
        self.key = key;
        self
    }

    /// Makes the queue pair. It takes receives from now on, and sends when it has a peer; one for
    /// datagrams takes sends at once.
    ///
    /// # Errors
    /// [`Error::LimitReached`], [`Error::BadParameter`], [`Error::CompletionsShort`],
    /// [`Error::OtherDomain`], [`Error::Gone`], [`Error::NotStarted`], [`Error::Event`].
    pub fn build(self) -> Result<QueuePair<K>, Error> {
        let inner = self.domain.rdma.0.clone();
        // Not to be cut off between its steps, nor to leave anything behind if one is refused.
        inner.kernel.guarded(|| {
            let handle = inner.with(|shared| shared.pairs.reserve()).ok_or(Error::LimitReached)?;
            let made = self.make(handle);
            if made.is_err() {
                inner.with(|shared| shared.pairs.release(handle));
            }
            made
        })
    }

    fn make(self, handle: Handle) -> Result<QueuePair<K>, Error> {
        let inner = &self.domain.rdma.0;
        if self.sends == 0 || self.sends > DEEPEST || self.receives > DEEPEST {
            return Err(Error::BadParameter);
        }
        if self.share.is_some_and(|(.., other)| other != self.domain.handle) {
            return Err(Error::OtherDomain);
        }
        let place = inner.place()?;
        let event = place.event(self.priority, u32::from(handle.index()))?;
        let entered = self.enter(handle, event);
        if entered.is_err() {
            place.end(event, self.priority);
        }
        let Self { domain, transport, .. } = self;
        entered.map(|()| QueuePair::new(domain.rdma, handle, transport, domain.handle))
    }

    fn enter(&self, handle: Handle, event: EventId) -> Result<(), Error> {
        let timer = self.domain.rdma.0.kernel.timer(event)?;
        let pair = self.pair(handle, event, timer);
        let mut entry = Some(self.entry(pair));
        self.domain.rdma.0.with(|shared| {
            self.reserve(shared)?;
            entry.take().into_iter().for_each(|entry| shared.pairs.put(handle, entry));
            Ok(())
        })
    }

    /// Receives of its own.
    fn own_receives(&self) -> u32 {
        if self.share.is_some() { 0 } else { self.receives }
    }

    /// Places that it takes in its completion queues.
    fn places(&self) -> [u32; 2] {
        [self.sends, self.share.map_or(self.receives, |(_, size, _)| size)]
    }

    /// The queue pair as the port works with it.
    fn pair(&self, handle: Handle, event: EventId, timer: TimerId) -> Box<Pair> {
        let Self { domain, transport, sends, share, .. } = self;
        let own = self.own_receives();
        let config = Config {
            sends: *sends,
            receives: share.is_none().then_some(own),
            send_segments: MAX_SGE as u32,
            receive_segments: MAX_SGE as u32,
            mtu: domain.rdma.0.mtu,
            tells_writes: self.tells_writes,
            ..Config::new(*transport, number(handle), domain.handle)
        };
        Box::new(Pair {
            engine: prepared(Engine::new(&config), self.access, self.key),
            handle,
            priority: self.priority,
            key: self.key,
            event,
            timer,
            armed: None,
            sends: RefCell::new(InFlight::new(*sends, false)),
            receives: RefCell::new(InFlight::new(own, true)),
            share: share.map(|(handle, ..)| handle),
            frames: VecDeque::with_capacity(FRAMES),
            touched: false,
            stalled: false,
            last_queued: 0,
            excused: None,
            failed: false,
            withheld: Withheld::default(),
            published: 0,
            connection: None,
            unconfirmed: false,
        })
    }

    /// The queue pair as its application sees it, on its way to the port.
    fn entry(&self, pair: Box<Pair>) -> QpShared {
        let (queues, places) = (self.queues, self.places());
        let reserved = |at: usize| Reserved { queue: queues[at], places: places[at], waiting: 0 };
        let ready = self.transport == Transport::Datagram;
        QpShared {
            domain: self.domain.handle,
            phase: if ready { Phase::Ready } else { Phase::Fresh },
            sends: Posted::new(self.sends),
            receives: Posted::new(self.own_receives()),
            shared: self.share.map(|(handle, ..)| handle),
            event: pair.event,
            wanted: false,
            queues: [reserved(0), reserved(1)],
            happened: VecDeque::with_capacity(EVENTS),
            told: None,
            counters: pair.engine.counters().clone(),
            requests: Requests { arriving: Some(pair), ..Requests::default() },
        }
    }

    /// Takes its places in its completion queues, if all that it is made of is there.
    fn reserve(&self, shared: &mut Shared) -> Result<(), Error> {
        let (queues, places) = (self.queues, self.places());
        let has_share = self.share.is_none_or(|(handle, ..)| shared.shares.get(handle).is_some());
        let has_queues = queues.iter().all(|queue| shared.queues.get(*queue).is_some());
        if !shared.has(self.domain.handle) || !has_share || !has_queues {
            return Err(Error::Gone);
        }
        let mut reserve = |at: usize| {
            let queue = shared.queues.get_mut(queues[at]);
            queue.is_some_and(|queue| queue.reserve(places[at]))
        };
        if !reserve(0) {
            return Err(Error::CompletionsShort);
        }
        if !reserve(1) {
            // What the first queue gave goes back.
            let first = shared.queues.get_mut(queues[0]);
            first.into_iter().for_each(|first| first.reserved -= places[0]);
            return Err(Error::CompletionsShort);
        }
        Ok(())
    }
}

/// The engine's queue pair as it is made: it takes receives.
fn prepared(mut engine: Engine, access: Access, key: QKey) -> Engine {
    struct Nobody;
    impl reflex_rdma_engine::Report for Nobody {
        fn complete(&mut self, _: reflex_rdma_engine::Completion) {}
        fn raise(&mut self, _: Event) {}
    }
    let partition = Some(PKey::DEFAULT);
    let init = Attributes { partition, ..Attributes::default() };
    let datagram = [
        (State::Init, Attributes { key: Some(key), ..init }),
        (State::Rtr, Attributes::default()),
        (State::Rts, Attributes { send_psn: Some(Psn::new(0)), ..Attributes::default() }),
    ];
    let connected = [(State::Init, Attributes { access: Some(access), ..init })];
    let steps = match engine.transport() {
        Transport::Datagram => &datagram[..],
        _ => &connected[..],
    };
    for (state, attributes) in steps {
        let made = engine.modify(*state, attributes, &mut Nobody);
        // Every step has what it needs, so it is taken.
        debug_assert!(made.is_ok(), "{state:?}: {made:?}");
    }
    engine
}
