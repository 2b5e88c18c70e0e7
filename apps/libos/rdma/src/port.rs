//! The port where it works: beside the IP stack, in whose context all of this runs, one thing at a
//! time. Frames find their queue pairs, commands are carried out, timers expire.

use crate::command::Command;
use crate::front::Phase;
use crate::pair::{FRAMES, Pair, Share, source_port};
use crate::queue_pair::{front, steps};
use crate::rdma::{BEREAVED, CONNECTIONS, CONTROL, Inner};
use crate::service::Service;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use reflex_driver_api::{Frame, Link, Protocol};
use reflex_event::Kernel;
use reflex_rdma_device::Received;
use reflex_rdma_engine::cm::Listen;
use reflex_rdma_engine::{Attributes, State};
use reflex_rdma_wire::{Envelope, Gid, Qpn};

/// Most commands carried out in one run.
const BATCH: u32 = 16;

/// The port's half that works beside the IP stack.
pub struct Port<K: Kernel> {
    pub(crate) inner: Arc<Inner<K>>,
    #[allow(clippy::vec_box, reason = "large, and made elsewhere")]
    pairs: Vec<Option<Box<Pair>>>,
    shares: Vec<Option<Box<Share>>>,
    /// Queue pairs that got packets since the last time they were settled.
    touched: VecDeque<u16>,
    /// Queue pairs that wait for a buffer or a neighbour's address.
    stalled: VecDeque<u16>,
    pub(crate) service: Service,
}

impl<K: Kernel> Port<K> {
    pub(crate) fn new(inner: Arc<Inner<K>>) -> Self {
        let (pairs, shares) = (inner.limits.queue_pairs, inner.limits.queues);
        Self {
            service: Service::new(&*inner),
            pairs: (0..pairs).map(|_| None).collect(),
            shares: (0..shares).map(|_| None).collect(),
            touched: VecDeque::with_capacity(usize::from(pairs)),
            stalled: VecDeque::with_capacity(usize::from(pairs)),
            inner,
        }
    }

    /// The queue pair of that number.
    pub(crate) fn pair(&mut self, number: Qpn) -> Option<&mut Pair> {
        let pair = self.pairs.get_mut(number.get() as usize & 0x3ff)?.as_deref_mut();
        pair.filter(|pair| pair.engine.number() == number)
    }

    /// A queue pair and its shared receive queue.
    #[inline]
    fn parts(&mut self, slot: u16) -> Option<(&mut Pair, Option<&mut Share>, &Inner<K>)> {
        let Self { inner, pairs, shares, .. } = self;
        let pair = pairs.get_mut(usize::from(slot))?.as_deref_mut()?;
        let share = pair.share.and_then(|share| shares.get_mut(usize::from(share)));
        Some((pair, share.and_then(Option::as_deref_mut), inner))
    }

    /// Works for a queue pair: what has been posted, frames that waited, timers, and what is to be
    /// sent.
    fn work(&mut self, slot: u16, link: &mut dyn Link) {
        let Some((pair, mut share, inner)) = self.parts(slot) else { return };
        inner.with(|shared| {
            let front = shared.pairs.get_mut(usize::from(slot));
            front.into_iter().flatten().for_each(|front| front.wanted = false);
        });
        let now = inner.kernel.now();
        pair.drain(inner, share.as_deref_mut());
        for _ in 0..FRAMES {
            let Some(received) = pair.frames.pop_front() else { break };
            pair.receive(inner, &received, share.as_deref_mut(), now);
        }
        pair.expire(inner, share, now);
        self.send(slot, link);
    }

    /// Sends what a queue pair has to send, and sets its timer.
    #[inline]
    fn send(&mut self, slot: u16, link: &mut dyn Link) {
        let Some((pair, share, inner)) = self.parts(slot) else { return };
        let waited = pair.stalled;
        let now = inner.kernel.now();
        let more = pair.transmit(inner, share, link, now);
        pair.arm(inner);
        if more {
            inner.activate(pair.event);
        }
        if pair.stalled && !waited {
            self.stalled.push_back(slot);
        }
    }

    /// Takes a queue pair to a state; false when there is none, or no way there.
    pub(crate) fn modify(&mut self, number: Qpn, to: State, attributes: &Attributes) -> bool {
        if self.pair(number).is_none() {
            return false;
        }
        let slot = number.get() as u16 & 0x3ff;
        let modified = self
            .parts(slot)
            .is_some_and(|(pair, share, inner)| pair.modify(inner, share, to, attributes));
        if modified && to == State::Err {
            self.set_phase(number, Phase::Failed);
        }
        modified
    }

    /// What an application may know of how far its queue pair has come.
    pub(crate) fn set_phase(&self, number: Qpn, phase: Phase) {
        self.inner.with(|shared| {
            if let Ok(front) = front(shared, number)
                && front.phase != Phase::Failed
            {
                front.phase = phase;
            }
        });
    }

    /// Has a queue pair fail: what was posted, and will be, is flushed.
    pub(crate) fn take_down(&mut self, number: Qpn) {
        if self.modify(number, State::Err, &Attributes::default())
            && let Some((pair, share, inner)) = self.parts(number.get() as u16 & 0x3ff)
        {
            // What had been posted and not yet been looked at.
            pair.drain(inner, share);
        }
    }

    fn commands(&mut self, link: &mut dyn Link) {
        for _ in 0..BATCH {
            let Some(command) = self.inner.with(|shared| shared.commands.pop_front()) else {
                return;
            };
            self.carry_out(command, link);
        }
        if let Ok(events) = self.inner.events()
            && self.inner.with(|shared| !shared.commands.is_empty())
        {
            self.inner.activate(events.control);
        }
    }

    fn carry_out(&mut self, command: Command, link: &mut dyn Link) {
        match command {
            Command::Adopt(slot, pair) => {
                self.pairs[usize::from(slot)] = Some(pair);
                self.work(slot, link);
            }
            Command::Share(place, share) => self.shares[usize::from(place)] = Some(share),
            Command::Establish(number, peer) => {
                let Some(local) = self.inner.local(peer.address) else { return };
                let path = Envelope::new(local, Gid::from(peer.address), source_port(number));
                let transport = self.pair(number).map(|pair| pair.engine.transport());
                let Some(transport) = transport else { return };
                for (state, attributes) in steps(&peer, transport, path) {
                    if !self.modify(number, state, &attributes) {
                        return self.take_down(number);
                    }
                }
                self.work(number.get() as u16 & 0x3ff, link);
            }
            Command::Fail(number) => {
                self.take_down(number);
                self.abandon(number, link);
            }
            Command::Destroy(number) => self.destroy(number, link),
            Command::Listen { transport, service, channel, backlog } => {
                self.open(&Listen { service, transport, backlog }, channel);
            }
            Command::Close { service } => self.close(service),
            Command::Connect { pair, channel, name, to, connect } => {
                self.connect(pair, (name, channel), to, &connect, link);
            }
            Command::Accept { name, pair, accept } => self.accept(name, pair, &accept, link),
            Command::Reject { name, reason, data } => {
                self.reject(name, reason, data.as_bytes(), link);
            }
            Command::Disconnect { name } => self.disconnect(name, link),
        }
    }

    fn destroy(&mut self, number: Qpn, link: &mut dyn Link) {
        self.take_down(number);
        self.abandon(number, link);
        let slot = number.get() as u16 & 0x3ff;
        if self.pair(number).is_none() {
            return;
        }
        let Some(pair) = self.pairs[usize::from(slot)].take() else { return };
        if let Ok(place) = self.inner.place() {
            place.end(pair.event, pair.priority);
        }
        let _front = self.inner.with(|shared| {
            let front = shared.pairs.get_mut(usize::from(slot))?.take()?;
            // Completions that wait keep their places until they have been taken.
            for (queue, places) in front.queues {
                let queue = shared.queues.get_mut(usize::from(queue));
                queue.into_iter().flatten().for_each(|queue| queue.retired += places);
            }
            Some(front)
        });
    }

    /// Contexts have been given up: what they owned is, too.
    fn mourn(&mut self, link: &mut dyn Link) {
        let inner = self.inner.clone();
        let kernel = &inner.kernel;
        for slot in 0..self.pairs.len() {
            let orphan = self.pairs[slot].as_ref().filter(|pair| !pair.owner.is_alive(kernel));
            if let Some(number) = orphan.map(|pair| pair.engine.number()) {
                self.destroy(number, link);
            }
        }
        for place in 0..usize::from(inner.limits.queues) {
            let domain = inner.with(|shared| {
                let orphan = |domain: &mut _| !owner_of(domain).is_alive(kernel);
                shared.domains.get_mut(place)?.take_if(orphan)
            });
            if let Some(domain) = domain {
                let mut from = 0;
                while from < inner.with(|shared| shared.regions.places()) {
                    let _memory =
                        inner.with(|shared| shared.regions.deregister_of(domain.name, &mut from));
                }
            }
            let _queue = inner.with(|shared| {
                shared.queues.get_mut(place)?.take_if(|queue| !queue.owner.is_alive(kernel))
            });
            let channel = inner.with(|shared| {
                shared.channels.get_mut(place)?.take_if(|it| !it.owner.is_alive(kernel))
            });
            if channel.is_some() {
                let of_channel = |it: &crate::front::Listening| usize::from(it.channel) == place;
                while let Some(service) = inner.with(|shared| {
                    let at = shared.listening.iter().position(of_channel)?;
                    Some(shared.listening.swap_remove(at).service)
                }) {
                    self.close(service);
                }
            }
        }
    }
}

fn owner_of(domain: &crate::front::DomainFront) -> &crate::front::Owner {
    &domain.owner
}

impl<K: Kernel> Protocol for Port<K> {
    fn received(&mut self, frame: Frame, packet: usize, link: &mut dyn Link) {
        let received = Received::new(frame, packet);
        let number = match received.queue_pair() {
            Ok(number) => number,
            Err(_) => {
                return self.inner.with(|shared| {
                    shared.counters.frames += 1;
                    shared.counters.malformed += 1;
                });
            }
        };
        if number == Qpn::GENERAL_SERVICE {
            self.inner.with(|shared| shared.counters.frames += 1);
            return self.message(&received, link);
        }
        let slot = number.get() as u16 & 0x3ff;
        let Some((pair, share, inner)) =
            self.parts(slot).filter(|(pair, ..)| pair.engine.number() == number)
        else {
            return self.inner.with(|shared| {
                shared.counters.frames += 1;
                shared.counters.no_queue_pair += 1;
            });
        };
        if pair.priority.level() >= link.level() && pair.frames.is_empty() {
            // Nothing is more urgent.
            pair.receive(inner, &received, share, inner.kernel.now());
            if !core::mem::replace(&mut pair.touched, true) {
                self.touched.push_back(slot);
            }
        } else if pair.frames.len() < FRAMES {
            pair.frames.push_back(received);
            inner.activate(pair.event);
        } else {
            inner.with(|shared| shared.counters.queue_full += 1);
        }
        self.inner.with(|shared| shared.counters.frames += 1);
    }

    fn settle(&mut self, link: &mut dyn Link) {
        while let Some(slot) = self.touched.pop_front() {
            if let Some((pair, ..)) = self.parts(slot) {
                pair.touched = false;
            }
            self.send(slot, link);
        }
    }

    fn run(&mut self, number: u32, link: &mut dyn Link) {
        match number {
            CONTROL => self.commands(link),
            CONNECTIONS => self.expire_service(link),
            BEREAVED => self.mourn(link),
            slot => {
                let slot = slot as u16;
                if self.pairs.get(usize::from(slot)).is_some_and(Option::is_none) {
                    // It may have been made just now.
                    self.commands(link);
                }
                self.work(slot, link);
            }
        }
    }

    fn ready(&mut self, link: &mut dyn Link) {
        self.resume_service(link);
        for _ in 0..self.stalled.len() {
            let Some(slot) = self.stalled.pop_front() else { return };
            if let Some((pair, ..)) = self.parts(slot) {
                pair.stalled = false;
            }
            self.send(slot, link);
        }
    }

    fn addressed(&mut self, addresses: &[IpAddr]) {
        let mut addresses = addresses.to_vec();
        self.inner.with(|shared| core::mem::swap(&mut shared.addresses, &mut addresses));
    }
}
