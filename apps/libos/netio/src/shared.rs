//! What an endpoint's handles and its handlers share: what it knows, and what does what is to be done.

use crate::endpoint_core::{Core, Timer, Work};
use crate::error::Error;
use crate::event::Refusal;
use crate::link::{LinkId, Transport};
use crate::outgoing::Outgoing;
use crate::settings::Settings;
use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;
use reflex_event::{Ceiling, EventId, Kernel};
use reflex_keyed_timers::KeyedTimers;
use reflex_memory::Pool;
use spin::Once;

pub(crate) struct Shared<K: Kernel> {
    pub(crate) kernel: K,
    pub(crate) settings: Settings,
    pub(crate) pool: &'static Pool,
    core: Ceiling<Core>,
    pub(crate) timers: Once<KeyedTimers<K, ()>>,
    pub(crate) transport: Once<Box<dyn Transport>>,
    /// Has the handler told what there is to tell.
    pub(crate) told: Once<EventId>,
}

impl<K: Kernel> Shared<K> {
    pub(crate) fn new(kernel: K, settings: Settings, pool: &'static Pool) -> Self {
        Self {
            kernel,
            settings,
            pool,
            core: Ceiling::new(Core::new(settings)),
            timers: Once::new(),
            transport: Once::new(),
            told: Once::new(),
        }
    }

    /// A short section on what the endpoint knows.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Core) -> R) -> R {
        self.core.with(&self.kernel, work)
    }

    /// As [`with`](Self::with), by a caller that may be anybody; does what it leads to.
    pub(crate) fn act<R>(&self, work: impl FnOnce(&mut Core) -> R) -> R {
        self.kernel.guarded(|| {
            let result = self.with(work);
            self.finish();
            result
        })
    }

    /// Does what is to be done, and has told what is to be told.
    pub(crate) fn finish(&self) {
        self.run();
        if self.with(|core| !core.events.is_empty()) {
            self.tell_later();
        }
    }

    /// Has the handler called.
    pub(crate) fn tell_later(&self) {
        if let Some(event) = self.told.get() {
            // One that is full says as much; one that has ended has nobody to be told.
            let _ = self.kernel.activate(*event, 1);
        }
    }

    /// Does what is to be done. To be called guarded.
    pub(crate) fn run(&self) {
        while let Some(work) = self.with(|core| core.work.pop_front()) {
            match work {
                Work::Arm(timer, time) => self.arm(timer, time),
                Work::ArmLoosely(timer, time) => self.arm(timer, time + self.by_chance(time / 4)),
                Work::Dial(link, to) => self.dial(link, to),
                Work::Pump(slot) => self.pump(slot),
                Work::Speak(slot) => self.with(|core| core.speak(slot)),
                Work::Close(slot) => self.close(slot),
                Work::Beat(slot) => self.with(|core| core.beat(slot)),
                Work::Drop(remains) => remains.end(),
            }
        }
        while let Some(_memory) = self.with(|core| core.fanouts.released.pop_front()) {}
    }

    fn arm(&self, timer: Timer, time: Duration) {
        if let Some(timers) = self.timers.get() {
            // There is room for all, and when they have ended nobody waits.
            let _ = timers.set(timer.into_key(), self.kernel.now() + time, ());
        }
    }

    /// Some time up to `most`.
    fn by_chance(&self, most: Duration) -> Duration {
        let mut random = [0; 8];
        self.kernel.random(&mut random);
        let nanos = most.as_nanos().clamp(1, u64::MAX.into()) as u64;
        Duration::from_nanos(u64::from_ne_bytes(random) % nanos)
    }

    fn dial(&self, link: LinkId, to: SocketAddr) {
        let made = self.outgoing().and_then(|out| {
            let transport = self.transport.get().ok_or(Error::NotConnected)?;
            Ok((transport.dial(link, to)?, out))
        });
        self.with(|core| core.installed(link, made.map_err(refusal)));
    }

    /// Pages for a connection.
    pub(crate) fn outgoing(&self) -> Result<Box<Outgoing>, Error> {
        Ok(Box::new(Outgoing::new(self.pool, &self.settings)?))
    }

    /// Posts what there is to be posted to a connection, unless somebody does so already.
    #[inline]
    pub(crate) fn pump(&self, slot: u16) {
        while let Some((at, mut link, parcel)) = self.with(|core| core.next_parcel(slot)) {
            let posted = link.post(parcel);
            if !self.with(|core| core.posted(at, link, posted)) {
                return;
            }
        }
    }

    fn close(&self, slot: u16) {
        let taken = self.with(|core| {
            let at = core.link(slot);
            Some((at, core.take_link(at)?))
        });
        if let Some((at, mut link)) = taken {
            link.close();
            self.with(|core| core.put_back(at, link));
        }
    }
}

/// How it is told that a connection could not be begun.
pub(crate) fn refusal(error: Error) -> Refusal {
    match error {
        Error::OutOfMemory
        | Error::Tcp(reflex_net::Error::OutOfMemory)
        | Error::Rdma(reflex_rdma::Error::OutOfMemory) => Refusal::OutOfMemory,
        _ => Refusal::NoPlace,
    }
}
