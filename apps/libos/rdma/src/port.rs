//! The port where it works: beside the IP stack. All of this runs in the stack's context, one thing at a time.
//! Frames find their queue pairs, what applications ask for is done, timers expire.

use crate::command::Command;
use crate::counters::Counters;
use crate::inner::{CONNECTIONS, CONTROL, Inner, OWNER_GONE};
use crate::owner_visit::Visit;
use crate::pair_state::{FRAMES, Pair, Share, source_port};
use crate::peer::Peer;
use crate::service_state::Service;
use crate::shared::{Sends, number, slot};
use crate::table::Handle;
use crate::work::{Cqe, Phase};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::IpAddr;
use reflex_event::{Kernel, Priority, Sweep};
use reflex_hil::{AttachedProtocol, Frame, Link};
use reflex_rdma_device::Received;
use reflex_rdma_engine::cm::Listen;
use reflex_rdma_engine::{Attributes, State};
use reflex_rdma_wire::{Envelope, Gid, Qpn};

/// Most commands carried out in one run, and most connection messages looked at.
const BATCH: u32 = 16;
/// Connection messages that may wait while there is something more urgent. The peers that sent others send them
/// again.
const MESSAGES: usize = 64;
/// Received frames that may wait for their queue pairs' priorities in all: they lie in the device's
/// buffers.
const WAITING_FRAMES: usize = 256;

/// The port's half that works beside the IP stack.
pub struct Port<K: Kernel> {
    pub(crate) inner: Arc<Inner<K>>,
    pub(crate) pairs: Box<[Option<Box<Pair>>]>,
    pub(crate) shares: Box<[Option<Box<Share>>]>,
    /// What has been counted since the last time frames were settled.
    tally: Counters,
    /// Queue pairs that got packets since the last time they were settled.
    touched: VecDeque<u16>,
    /// Queue pairs that wait for a buffer or a neighbour's address.
    stalled: VecDeque<u16>,
    /// Received frames that wait, of all queue pairs and of the connection manager.
    frames: usize,
    /// Of these, the connection manager's.
    messages: VecDeque<Received>,
    pub(crate) service: Service,
    /// The look for what gone owners have left, and completions of queues that are gone: their memory goes
    /// back one by one.
    pub(crate) sweep: Sweep<Visit>,
    pub(crate) remains: VecDeque<Cqe>,
}

impl<K: Kernel> Port<K> {
    pub(crate) fn new(inner: Arc<Inner<K>>) -> Self {
        let (pairs, shares) = (inner.limits.queue_pairs, inner.limits.queues);
        Self {
            service: Service::new(&*inner),
            pairs: (0..pairs).map(|_| None).collect(),
            shares: (0..shares).map(|_| None).collect(),
            tally: Counters::default(),
            touched: VecDeque::with_capacity(usize::from(pairs)),
            stalled: VecDeque::with_capacity(usize::from(pairs)),
            frames: 0,
            messages: VecDeque::with_capacity(MESSAGES),
            sweep: Sweep::default(),
            remains: VecDeque::new(),
            inner,
        }
    }

    /// The queue pair of that name.
    pub(crate) fn pair(&mut self, handle: Handle) -> Option<&mut Pair> {
        let (pair, ..) = self.parts(handle.index())?;
        (pair.handle == handle).then_some(pair)
    }

    /// A queue pair and its shared receive queue.
    #[inline]
    fn parts(&mut self, slot: u16) -> Option<(&mut Pair, Option<&mut Share>, &Inner<K>)> {
        if self.pairs.get(usize::from(slot))?.is_none() {
            self.adopt(slot);
        }
        let Self { inner, pairs, shares, .. } = self;
        let pair = pairs[usize::from(slot)].as_deref_mut()?;
        let share = pair.share.and_then(|share| shares.get_mut(usize::from(share.index())));
        Some((pair, share.and_then(Option::as_deref_mut), inner))
    }

    /// Takes a queue pair over that has just been made.
    #[cold]
    fn adopt(&mut self, slot: u16) {
        let pair = self.inner.with(|shared| shared.pairs.at(slot)?.1.requests.arriving.take());
        if let Some(handle) = pair.as_ref().and_then(|pair| pair.share) {
            let share = || self.inner.with(|shared| shared.shares.get_mut(handle)?.arriving.take());
            if let Some(place @ None) = self.shares.get_mut(usize::from(handle.index())) {
                *place = share();
            }
        }
        self.pairs[usize::from(slot)] = pair;
    }

    /// Works for a queue pair: what was asked for and posted, frames that waited, timers, and what is
    /// to be sent.
    fn work(&mut self, slot: u16, link: &mut dyn Link) {
        let Some((pair, ..)) = self.parts(slot) else { return };
        let handle = pair.handle;
        let requests = self.inner.with(|shared| {
            let entry = shared.pairs.get_mut(handle)?;
            entry.wanted = false;
            let requests = &mut entry.requests;
            let (peer, destroy) = (requests.peer.take(), requests.destroy);
            Some((peer, requests.sends.take(), core::mem::take(&mut requests.fail), destroy))
        });
        let (peer, sends, fail, destroy) = requests.unwrap_or_default();
        if let Some(peer) = peer {
            self.establish(handle, &peer);
        }
        let Some((pair, mut share, inner)) = self.parts(slot) else { return };
        let now = inner.kernel.now();
        let state = match (sends, pair.engine.state()) {
            (Some(Sends::Resume), State::Sqe | State::Sqd) => Some(State::Rts),
            (Some(Sends::Drain), State::Rts) => Some(State::Sqd),
            _ => None,
        };
        if let Some(state) = state {
            pair.modify(inner, share.as_deref_mut(), state, &Attributes::default());
        }
        pair.drain(inner, share.as_deref_mut());
        let (mut taken, mut confirmed) = (0, false);
        for _ in 0..FRAMES {
            let Some(received) = pair.frames.pop_front() else { break };
            if let Ok(packet) = received.packet() {
                confirmed |= pair.receive(inner, packet, share.as_deref_mut(), now);
            }
            taken += 1;
        }
        pair.expire(inner, share, link, now);
        self.frames -= taken;
        if confirmed {
            self.confirm(handle, link);
        }
        if destroy {
            return self.destroy(handle, link);
        }
        if fail {
            self.move_to_error(handle);
            self.abandon(handle, link);
        }
        self.send(slot, link);
    }

    /// Sends what a queue pair has to send, and sets its timer. False when there is no buffer for it.
    #[inline]
    fn send(&mut self, slot: u16, link: &mut dyn Link) -> bool {
        let Some((pair, mut share, inner)) = self.parts(slot) else { return true };
        let waited = pair.stalled;
        let now = inner.kernel.now();
        let sent = pair.transmit(inner, share.as_deref_mut(), link, now);
        pair.publish(inner, share);
        pair.arm(inner);
        if sent.more {
            inner.activate(pair.event);
        }
        if pair.stalled && !waited {
            self.stalled.push_back(slot);
        }
        !sent.starved
    }

    /// Takes a queue pair to a state; false when there is none, or no way there.
    pub(crate) fn modify(&mut self, handle: Handle, to: State, attributes: &Attributes) -> bool {
        match self.parts(handle.index()) {
            Some((pair, share, inner)) if pair.handle == handle => {
                pair.modify(inner, share, to, attributes)
            }
            _ => false,
        }
    }

    /// What an application may know of how far its queue pair has come.
    pub(crate) fn set_phase(&self, handle: Handle, phase: Phase) {
        self.inner.with(|shared| {
            if let Ok(entry) = shared.pair(handle)
                && entry.phase != Phase::Failed
            {
                entry.phase = phase;
            }
        });
    }

    /// Has a queue pair fail: what was posted, and will be, is flushed.
    pub(crate) fn move_to_error(&mut self, handle: Handle) {
        if self.modify(handle, State::Err, &Attributes::default())
            && let Some((pair, share, inner)) = self.parts(handle.index())
        {
            pair.publish(inner, share);
        }
    }

    /// Has a queue pair work with a peer.
    fn establish(&mut self, handle: Handle, peer: &Peer) {
        let local = self.inner.local(peer.address);
        let transport = self.pair(handle).map(|pair| pair.engine.transport());
        let (Some(local), Some(transport)) = (local, transport) else {
            // There was an address when it was asked for.
            return self.move_to_error(handle);
        };
        let path = Envelope::new(local, Gid::from(peer.address), source_port(number(handle)));
        for (state, attributes) in peer.steps(transport, path) {
            if !self.modify(handle, state, &attributes) {
                return self.move_to_error(handle);
            }
        }
    }

    fn commands(&mut self, link: &mut dyn Link) {
        for _ in 0..BATCH {
            let Some(command) = self.inner.with(|shared| shared.commands.pop_front()) else {
                return;
            };
            self.carry_out(command, link);
        }
        if self.inner.with(|shared| !shared.commands.is_empty()) {
            self.go_on();
        }
    }

    /// Has the control event run again, after others of its priority.
    pub(crate) fn go_on(&self) {
        if let Ok(events) = self.inner.events() {
            self.inner.activate(events.control);
        }
    }

    fn carry_out(&mut self, command: Command, link: &mut dyn Link) {
        match command {
            Command::Listen { transport, service, channel, backlog } => {
                self.open(&Listen { service, transport, backlog }, channel);
            }
            Command::Close { service } => self.close(service),
            Command::Connect { pair, channel, handle, to, connect } => {
                self.connect(pair, (handle, channel), to, &connect, link);
            }
            Command::Resolve { channel, handle, to, data } => {
                self.resolve((handle, channel), to, &data, link);
            }
            Command::Accept { handle, pair, accept } => self.accept(handle, pair, &accept, link),
            Command::Reject { handle, reason, data } => {
                self.reject(handle, reason, data.as_bytes(), link);
            }
            Command::Disconnect { handle } => self.disconnect(handle, link),
        }
    }

    /// Ends a queue pair. CqShared that wait keep their places until they have been taken.
    pub(crate) fn destroy(&mut self, handle: Handle, link: &mut dyn Link) {
        self.move_to_error(handle);
        self.abandon(handle, link);
        if self.pair(handle).is_none() {
            return;
        }
        let slot = handle.index();
        let Some(pair) = self.pairs[usize::from(slot)].take() else { return };
        pair.withheld.tell(|event| self.inner.activate(event));
        self.frames -= pair.frames.len();
        self.touched.retain(|it| *it != slot);
        self.stalled.retain(|it| *it != slot);
        if let Ok(place) = self.inner.place() {
            place.end(pair.event, pair.priority);
        }
        let entry = self.inner.with(|shared| {
            let entry = shared.pairs.remove(handle)?;
            for reserved in entry.queues {
                if let Some(queue) = shared.queues.get_mut(reserved.queue) {
                    queue.reserved -= reserved.places - reserved.waiting;
                }
            }
            Some(entry)
        });
        if let Some(told) = entry.and_then(|entry| entry.told) {
            self.inner.unregister(told);
        }
    }

    /// A connection message has come. They have the default priority: a flood of them keeps no queue
    /// pair waiting that is above.
    fn negotiate(&mut self, received: Received, link: &mut dyn Link) {
        if Priority::DEFAULT.level() >= link.level() && self.messages.is_empty() {
            self.process(&received, link);
        } else if self.messages.len() < MESSAGES && self.frames < WAITING_FRAMES {
            self.messages.push_back(received);
            self.frames += 1;
            self.go_on();
        } else {
            self.tally.queue_full += 1;
        }
    }

    /// Looks at connection messages that have waited.
    fn messages(&mut self, link: &mut dyn Link) {
        for _ in 0..BATCH {
            let Some(received) = self.messages.pop_front() else { return };
            self.frames -= 1;
            self.process(&received, link);
        }
        if !self.messages.is_empty() {
            self.go_on();
        }
    }

    fn process(&mut self, received: &Received, link: &mut dyn Link) {
        // It was looked at before, to see what it is for.
        if let Ok(packet) = received.packet() {
            self.message(packet, link);
        }
    }
}

impl<K: Kernel> AttachedProtocol for Port<K> {
    fn received(&mut self, frame: Frame, packet: usize, link: &mut dyn Link) {
        let received = Received::new(frame, packet);
        self.tally.frames += 1;
        let Ok(packet) = received.packet() else {
            self.tally.malformed += 1;
            return;
        };
        let number = packet.bth().destination;
        if number == Qpn::GENERAL_SERVICE {
            return self.negotiate(received, link);
        }
        let (slot, frames) = (slot(number), self.frames);
        let Some((pair, share, inner)) =
            self.parts(slot).filter(|(pair, ..)| pair.engine.number() == number)
        else {
            self.tally.no_queue_pair += 1;
            return;
        };
        if pair.priority.level() >= link.level() && pair.frames.is_empty() {
            // Nothing is more urgent.
            let handle = pair.handle;
            let confirmed = pair.receive(inner, packet, share, inner.kernel.now());
            if !core::mem::replace(&mut pair.touched, true) {
                self.touched.push_back(slot);
            }
            if confirmed {
                self.confirm(handle, link);
            }
        } else if pair.frames.len() < FRAMES && frames < WAITING_FRAMES {
            pair.frames.push_back(received);
            inner.activate(pair.event);
            self.frames += 1;
        } else {
            self.tally.queue_full += 1;
        }
    }

    fn end_of_batch(&mut self, link: &mut dyn Link) {
        while let Some(slot) = self.touched.pop_front() {
            if let Some((pair, ..)) = self.parts(slot) {
                pair.touched = false;
            }
            self.send(slot, link);
        }
        let tally = core::mem::take(&mut self.tally);
        self.inner.with(|shared| shared.counters.add(&tally));
    }

    fn run(&mut self, number: u32, link: &mut dyn Link) {
        match number {
            CONTROL => {
                self.commands(link);
                self.messages(link);
                self.sweep(link);
            }
            CONNECTIONS => self.expire_service(link),
            OWNER_GONE => {
                self.sweep.begin();
                self.sweep(link);
            }
            slot => self.work(slot as u16, link),
        }
    }

    fn ready(&mut self, link: &mut dyn Link) {
        self.resume_service(link);
        for _ in 0..self.stalled.len() {
            let Some(slot) = self.stalled.pop_front() else { return };
            if let Some((pair, ..)) = self.parts(slot) {
                pair.stalled = false;
            }
            if !self.send(slot, link) {
                // Those behind it would find no buffer either. They come first the next time.
                return;
            }
        }
    }

    fn addresses_changed(&mut self, addresses: &[IpAddr]) {
        let mut addresses = addresses.to_vec();
        self.inner.with(|shared| core::mem::swap(&mut shared.addresses, &mut addresses));
    }
}
