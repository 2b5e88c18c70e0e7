//! Queue pairs, as applications have them.

use crate::command::Command;
use crate::front::{
    Front, Owner, Phase, Posted, ReceiveWork, SendWork, SharedFront, Tag, free_place,
};
use crate::pair::{FRAMES, Pair, Share};
use crate::{Access, Error, Event, ProtectionDomain, Rdma, Receive, Refused, Send, Transport};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::cell::RefCell;
use core::net::IpAddr;
use reflex_event::{Accumulation, Context, EventId, Kernel, Priority, Registration};
use reflex_rdma_device::{Held, PARTS, Part, Parts};
use reflex_rdma_engine::{
    Attributes, Config, Domain, Flags, MAX_MESSAGE, QueuePair as Engine, ReceiveQueue, State, Work,
};
use reflex_rdma_wire::{AckTimeout, PKey, PathMtu, Psn, QKey, Qpn};

/// What is told by no completion and has not been told yet.
const HAPPENED: usize = 8;

/// A peer of a queue pair, as the two sides told each other without a connection manager.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address; of a datagram queue pair, of no meaning.
    pub address: IpAddr,
    /// Its queue pair.
    pub queue_pair: Qpn,
    /// The number that its packets begin with.
    pub receive_psn: Psn,
    /// The number that ours begin with.
    pub send_psn: Psn,
    /// Payload of a packet.
    pub mtu: PathMtu,
    /// How long to wait for an acknowledge; 4.096 us times two to this power, and for ever if 0.
    pub timeout: u8,
    /// How often to try again without one, at most 7.
    pub retries: u8,
    /// How often to try again when it has no receive; 7 is for ever.
    pub rnr_retries: u8,
    /// Reads and atomics that may be outstanding, each way.
    pub reads: u8,
}

/// A queue pair about to be made.
#[must_use = "there is none before `build`"]
pub struct QueuePairBuilder<K: Kernel> {
    domain: ProtectionDomain<K>,
    transport: Transport,
    queues: [u16; 2],
    sends: u32,
    receives: u32,
    share: Option<(u16, u32, Domain)>,
    access: Access,
    priority: Priority,
    key: QKey,
}

impl<K: Kernel> QueuePairBuilder<K> {
    pub(crate) fn new(domain: ProtectionDomain<K>, transport: Transport, queues: [u16; 2]) -> Self {
        Self {
            domain,
            transport,
            queues,
            sends: 64,
            receives: 64,
            share: None,
            access: Access::NONE,
            priority: Priority::DEFAULT,
            key: QKey::IP_CM,
        }
    }

    /// How many sends and how many receives may be in flight; 64 each unless said otherwise.
    pub fn depth(mut self, sends: u32, receives: u32) -> Self {
        (self.sends, self.receives) = (sends, receives);
        self
    }

    /// Receives are taken from a shared queue of the same domain.
    pub fn shared(mut self, queue: &SharedReceiveQueue<K>) -> Self {
        self.share = Some((queue.index, queue.size, queue.domain.name));
        self
    }

    /// What the peer may do; nothing but send unless said otherwise.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
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
    /// [`Error::OtherDomain`], [`Error::Gone`], [`Error::Event`].
    pub fn build(self) -> Result<QueuePair<K>, Error> {
        let inner = self.domain.rdma.0.clone();
        inner.kernel.clone().guarded(|| self.make())
    }

    fn make(self) -> Result<QueuePair<K>, Error> {
        let Self { domain, transport, queues, sends, receives, share, .. } = self;
        let inner = &domain.rdma.0;
        let most = 1 << 15;
        if sends == 0 || sends > most || receives > most {
            return Err(Error::BadParameter);
        }
        if share.is_some_and(|(.., other)| other != domain.name) {
            return Err(Error::OtherDomain);
        }
        let owner = domain.owner()?;
        let own = if share.is_some() { 0 } else { receives };
        let places = [sends, share.map_or(own, |(_, size, _)| size)];
        let (slot, number) = inner.with(|shared| {
            let slot = free_place(&shared.pairs).ok_or(Error::LimitReached)?;
            // Numbers are not used again soon, and none is one of the two special ones.
            shared.generation = shared.generation.wrapping_add(1);
            let generation = shared.generation % ((1 << 14) - 1) + 1;
            Ok::<_, Error>((slot, Qpn::new(generation << 10 | u32::from(slot))))
        })?;
        let place = inner.place()?;
        let event = place.event(self.priority, u32::from(slot))?;
        let undo = |error: Error| {
            place.end(event, self.priority);
            error
        };
        let timer = inner.kernel.timer(event).map_err(|error| undo(error.into()))?;
        let config = Config {
            sends,
            receives: share.is_none().then_some(receives),
            send_segments: PARTS as u32,
            receive_segments: PARTS as u32,
            mtu: inner.mtu,
            ..Config::new(transport, number, domain.name)
        };
        let pair = Box::new(Pair {
            engine: Engine::new(&config),
            slot,
            owner,
            priority: self.priority,
            event,
            timer,
            armed: None,
            sends: RefCell::new(Held::new(sends, false)),
            receives: RefCell::new(Held::new(own, true)),
            share: share.map(|(index, ..)| index),
            queues,
            frames: VecDeque::with_capacity(FRAMES),
            touched: false,
            stalled: false,
        });
        let pair = prepared(pair, self.access, self.key);
        let datagram = transport == Transport::Datagram;
        let front = Front {
            number,
            phase: if datagram { Phase::Ready } else { Phase::Fresh },
            sends: Posted::new(sends),
            receives: Posted::new(own),
            shared: share.map(|(index, ..)| index),
            event,
            wanted: false,
            queues: [(queues[0], places[0]), (queues[1], places[1])],
            happened: VecDeque::with_capacity(HAPPENED),
            told: None,
        };
        let mut front = Some(front);
        let entered = inner.with(|shared| {
            if shared.pairs[usize::from(slot)].is_some() {
                return Err(Error::LimitReached);
            }
            for (at, (queue, places)) in queues.into_iter().zip(places).enumerate() {
                let taken = match shared.queues.get_mut(usize::from(queue)) {
                    Some(Some(queue)) => queue.reserve(places),
                    _ => return Err(Error::Gone),
                };
                if !taken {
                    // What the first queue gave goes back.
                    if at == 1
                        && let Some(Some(first)) = shared.queues.get_mut(usize::from(queues[0]))
                    {
                        first.reserved -= sends;
                    }
                    return Err(Error::CompletionsShort);
                }
            }
            shared.pairs[usize::from(slot)] = front.take();
            Ok(())
        });
        entered.map_err(undo)?;
        inner.command(Command::Adopt(slot, pair))?;
        Ok(QueuePair { rdma: domain.rdma.clone(), number, transport, domain: domain.name })
    }
}

/// The engine's queue pair as it is made: it takes receives.
fn prepared(mut pair: Box<Pair>, access: Access, key: QKey) -> Box<Pair> {
    struct Nobody;
    impl reflex_rdma_engine::Report for Nobody {
        fn complete(&mut self, _: reflex_rdma_engine::Completion) {}
        fn raise(&mut self, _: Event) {}
    }
    let (engine, report) = (&mut pair.engine, &mut Nobody);
    let partition = Some(PKey::DEFAULT);
    // Every step has what it needs, so it is taken.
    let steps = match engine.transport() {
        Transport::Datagram => {
            let init = Attributes { partition, key: Some(key), ..Attributes::default() };
            let rts = Attributes { send_psn: Some(Psn::new(0)), ..Attributes::default() };
            [(State::Init, init), (State::Rtr, Attributes::default()), (State::Rts, rts)].to_vec()
        }
        _ => {
            let access = Some(access);
            [(State::Init, Attributes { partition, access, ..Attributes::default() })].to_vec()
        }
    };
    for (state, attributes) in steps {
        let made = engine.modify(state, &attributes, report);
        debug_assert!(made.is_ok(), "{state:?}: {made:?}");
    }
    pair
}

/// A queue pair. It is taken down when this is dropped; what was in flight completes as flushed.
pub struct QueuePair<K: Kernel> {
    pub(crate) rdma: Rdma<K>,
    pub(crate) number: Qpn,
    transport: Transport,
    domain: Domain,
}

impl<K: Kernel> QueuePair<K> {
    /// Its number.
    pub fn number(&self) -> Qpn {
        self.number
    }

    /// Posts work to the send queue: it is done in order, and its completion returns its memory.
    ///
    /// # Errors
    /// The work, with [`Error::NotReady`], [`Error::QueueFull`], [`Error::OtherDomain`],
    /// [`Error::Unsupported`], [`Error::TooLong`], [`Error::BadParameter`], [`Error::Gone`].
    #[expect(clippy::result_large_err, reason = "what was refused goes back as it came")]
    pub fn post_send(&self, send: Send) -> Result<(), Refused<Send>> {
        if let Err(error) = self.check(&send) {
            return Err(Refused { error, work: send });
        }
        let Send { id, work, flags, to, parts } = send;
        let tag = Tag { id, signalled: flags.contains(Flags::SIGNALLED) };
        let mut send = Some(SendWork { tag, work, flags, to, parts });
        let posted = self.rdma.0.with(|shared| {
            let front = front(shared, self.number)?;
            if front.phase == Phase::Fresh {
                return Err(Error::NotReady);
            }
            if let Some(work) = send.take() {
                front.sends.push(work).map_err(|work| {
                    send = Some(work);
                    Error::QueueFull
                })?;
            }
            Ok(want(front))
        });
        match (posted, send) {
            (Ok(event), _) => {
                event.into_iter().for_each(|event| self.rdma.0.activate(event));
                Ok(())
            }
            (Err(error), Some(SendWork { work, flags, to, parts, .. })) => {
                Err(Refused { error, work: Send { id, work, flags, to, parts } })
            }
            // It was taken, so there is no error.
            (Err(_), None) => Ok(()),
        }
    }

    fn check(&self, send: &Send) -> Result<(), Error> {
        let datagram = self.transport == Transport::Datagram;
        let atomic = matches!(send.work, Work::CompareSwap { .. } | Work::FetchAdd { .. });
        let supported = match send.work {
            Work::Send(_) => true,
            Work::Write { .. } => !datagram,
            _ => self.transport == Transport::Reliable,
        };
        if !supported || send.to.is_some() != datagram {
            return Err(Error::Unsupported);
        }
        if atomic && send.length() != size_of::<u64>() {
            return Err(Error::BadParameter);
        }
        let most = if datagram { self.rdma.0.mtu.bytes() } else { MAX_MESSAGE as usize };
        if send.length() > most {
            return Err(Error::TooLong);
        }
        self.check_parts(&send.parts, send.access())
    }

    fn check_parts(&self, parts: &Parts, access: Access) -> Result<(), Error> {
        for part in parts {
            if let Part::Region(segment) = part {
                let permitted = self
                    .rdma
                    .0
                    .with(|shared| shared.regions.permits(segment.region, self.domain, access));
                if !permitted {
                    return Err(Error::OtherDomain);
                }
            }
        }
        Ok(())
    }

    /// Posts a receive: messages take receives in order, and the completion returns the memory.
    ///
    /// # Errors
    /// The receive, with [`Error::QueueFull`], [`Error::OtherDomain`], [`Error::Gone`], or
    /// [`Error::Unsupported`] when receives come from a shared queue.
    pub fn post_receive(&self, receive: Receive) -> Result<(), Refused<Receive>> {
        if let Err(error) = self.check_parts(&receive.parts, Access::LOCAL_WRITE) {
            return Err(Refused { error, work: receive });
        }
        let Receive { id, parts } = receive;
        let mut work = Some(ReceiveWork { id, parts });
        let posted = self.rdma.0.with(|shared| {
            let front = front(shared, self.number)?;
            if front.shared.is_some() {
                return Err(Error::Unsupported);
            }
            if let Some(receive) = work.take() {
                front.receives.push(receive).map_err(|receive| {
                    work = Some(receive);
                    Error::QueueFull
                })?;
            }
            // The port looks for it when a packet comes, and otherwise only to flush it.
            Ok(if front.phase == Phase::Failed { want(front) } else { None })
        });
        match (posted, work) {
            (Ok(event), _) => {
                event.into_iter().for_each(|event| self.rdma.0.activate(event));
                Ok(())
            }
            (Err(error), Some(ReceiveWork { id, parts })) => {
                Err(Refused { error, work: Receive { id, parts } })
            }
            (Err(_), None) => Ok(()),
        }
    }

    /// Takes up work with a peer that is known by other means than a connection manager: from now on
    /// sends may be posted.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for datagrams, which need no peer; [`Error::NotReady`] when it has one
    /// or has failed, [`Error::BadParameter`], [`Error::NoAddress`], [`Error::Gone`].
    pub fn establish(&self, peer: Peer) -> Result<(), Error> {
        let small = peer.retries <= 7 && peer.rnr_retries <= 7 && peer.timeout < 32;
        if !small || peer.reads > 16 || peer.mtu > self.rdma.0.mtu {
            return Err(Error::BadParameter);
        }
        if self.transport == Transport::Datagram {
            return Err(Error::Unsupported);
        }
        self.rdma.0.local(peer.address).ok_or(Error::NoAddress)?;
        self.rdma.0.with(|shared| {
            let front = front(shared, self.number)?;
            match front.phase {
                Phase::Fresh => {
                    front.phase = Phase::Ready;
                    Ok(())
                }
                _ => Err(Error::NotReady),
            }
        })?;
        self.rdma.0.command(Command::Establish(self.number, Box::new(peer)))
    }

    /// Takes the queue pair down: whatever was posted, and will be, completes as flushed.
    ///
    /// # Errors
    /// [`Error::QueueFull`] when the port has too much to do.
    pub fn fail(&self) -> Result<(), Error> {
        self.rdma.0.command(Command::Fail(self.number))
    }

    /// Has `handler` told of what happens to it that no completion tells.
    ///
    /// # Errors
    /// [`Error::Event`], [`Error::Gone`].
    pub fn on_event<S: 'static>(
        &self,
        context: impl Into<Context<S>>,
        priority: Priority,
        handler: impl Fn(&mut S, Event) + core::marker::Send + 'static,
    ) -> Result<EventId, Error> {
        let (rdma, number) = (self.rdma.clone(), self.number);
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let kernel = &self.rdma.0.kernel;
        let event = kernel.register(context.into(), registration, move |state: &mut S, _| {
            while let Some(event) = rdma.0.with(|shared| {
                front(shared, number).ok().and_then(|front| front.happened.pop_front())
            }) {
                handler(state, event);
            }
        })?;
        self.rdma.0.with(|shared| {
            front(shared, self.number)?.told = Some(event);
            Ok::<_, Error>(())
        })?;
        Ok(event)
    }
}

/// The queue pair of that number.
#[inline]
pub(crate) fn front(shared: &mut crate::front::Shared, number: Qpn) -> Result<&mut Front, Error> {
    let front = shared.pairs.get_mut(number.get() as usize & 0x3ff).and_then(Option::as_mut);
    front.filter(|front| front.number == number).ok_or(Error::Gone)
}

/// Has the port work for the queue pair, unless it will already.
#[inline]
fn want(front: &mut Front) -> Option<EventId> {
    (!core::mem::replace(&mut front.wanted, true)).then_some(front.event)
}

impl<K: Kernel> Drop for QueuePair<K> {
    fn drop(&mut self) {
        // When the port has too much to do it stays, and is given up with its context.
        let _ = self.rdma.0.command(Command::Destroy(self.number));
    }
}

/// How a peer's values reach the engine.
pub(crate) fn steps(
    peer: &Peer,
    transport: Transport,
    path: reflex_rdma_wire::Envelope,
) -> [(State, Attributes); 2] {
    let reliable = transport == Transport::Reliable;
    let rtr = Attributes {
        path: Some(path),
        mtu: Some(peer.mtu),
        destination: Some(peer.queue_pair),
        receive_psn: Some(peer.receive_psn),
        max_reads_in: reliable.then_some(peer.reads),
        rnr_timer: reliable.then_some(reflex_rdma_wire::RnrTimer::from_code(12)),
        ..Attributes::default()
    };
    let rts = Attributes {
        send_psn: Some(peer.send_psn),
        timeout: reliable.then_some(AckTimeout::from_code(peer.timeout)),
        retries: reliable.then_some(peer.retries),
        rnr_retries: reliable.then_some(peer.rnr_retries),
        max_reads_out: reliable.then_some(peer.reads),
        ..Attributes::default()
    };
    [(State::Rtr, rtr), (State::Rts, rts)]
}

/// A queue of receives, from which several queue pairs take theirs. It is there as long as the
/// domain's context.
pub struct SharedReceiveQueue<K: Kernel> {
    domain: ProtectionDomain<K>,
    index: u16,
    size: u32,
}

impl<K: Kernel> SharedReceiveQueue<K> {
    pub(crate) fn make(domain: ProtectionDomain<K>, size: u32) -> Result<Self, Error> {
        if size == 0 || size > 1 << 15 {
            return Err(Error::BadParameter);
        }
        let inner = &domain.rdma.0;
        inner.events()?;
        let front = SharedFront { receives: Posted::new(size) };
        let share = Share {
            engine: ReceiveQueue::new(size, PARTS as u32),
            held: RefCell::new(Held::new(size, true)),
        };
        let index = inner.insert(|shared| &mut shared.shares, front)?;
        inner.command(Command::Share(index, Box::new(share)))?;
        Ok(Self { domain, index, size })
    }

    /// Posts a receive.
    ///
    /// # Errors
    /// The receive, with [`Error::QueueFull`], [`Error::OtherDomain`], [`Error::Gone`].
    pub fn post_receive(&self, receive: Receive) -> Result<(), Refused<Receive>> {
        let Receive { id, parts } = receive;
        let mut work = Some(ReceiveWork { id, parts });
        let name = self.domain.name;
        let posted = self.domain.rdma.0.with(|shared| {
            let permitted = work.iter().flat_map(|work| &work.parts).all(|part| match part {
                Part::Region(it) => shared.regions.permits(it.region, name, Access::LOCAL_WRITE),
                _ => true,
            });
            if !permitted {
                return Err(Error::OtherDomain);
            }
            let front = shared.shares.get_mut(usize::from(self.index)).and_then(Option::as_mut);
            let front = front.ok_or(Error::Gone)?;
            if let Some(receive) = work.take() {
                front.receives.push(receive).map_err(|receive| {
                    work = Some(receive);
                    Error::QueueFull
                })?;
            }
            Ok(())
        });
        match (posted, work) {
            (Err(error), Some(ReceiveWork { id, parts })) => {
                Err(Refused { error, work: Receive { id, parts } })
            }
            _ => Ok(()),
        }
    }
}

impl<K: Kernel> ProtectionDomain<K> {
    /// The context that the domain belongs to.
    fn owner(&self) -> Result<Owner, Error> {
        self.rdma.0.with(|shared| {
            let mut domains = shared.domains.iter().flatten();
            let domain = domains.find(|domain| domain.name == self.name);
            domain.map(|domain| domain.owner).ok_or(Error::Gone)
        })
    }
}
