//! What the port does with a queue pair.

use crate::inner::Inner;
use crate::pair_state::{Pair, Share, engine_time, source_port};
use crate::report::Reporter;
use crate::table::Handle;
use crate::work::{Phase, ReceiveWork, SendWork, WorkQueue};
use core::time::Duration;
use reflex_event::{Instant, Kernel};
use reflex_hil::Link;
use reflex_rdma_device::{PairMemory, Sender};
use reflex_rdma_engine::{
    Attributes, Destination, Flags, QueuePair, ReceiveRequest, SendRequest, State, Status,
};
use reflex_rdma_wire::{Envelope, Gid, Unverified};

/// How long frames may take from the interrupt to here.
const GRACE: Duration = Duration::from_millis(1);
/// Most packets sent in one run: then others of the same priority have their turn.
const BUDGET: u32 = 64;

/// What has become of what was to be sent.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// There is more, for which there is a buffer.
    pub(crate) more: bool,
    /// There is no buffer.
    pub(crate) starved: bool,
}

impl Pair {
    /// Hands the engine what has been posted. Sends wait for as long as it does not know the peer: their
    /// turn can come before the command's that tells it.
    pub(crate) fn drain<K: Kernel>(&mut self, inner: &Inner<K>, share: Option<&mut Share>) {
        self.drain_receives(inner, share);
        if self.engine.state() < State::Rts {
            return;
        }
        let next =
            |handle| inner.with(|shared| shared.pairs.get_mut(handle)?.sends.queue.pop_front());
        while let Some(work) = next(self.handle) {
            self.post(inner, work);
        }
    }

    fn post<K: Kernel>(&mut self, inner: &Inner<K>, work: SendWork) {
        let SendWork { tag, work, flags, to, sges } = work;
        let destination = to.and_then(|to| {
            let local = inner.local(to.to)?;
            let envelope =
                Envelope::new(local, Gid::from(to.to), source_port(self.engine.number()));
            Some(Destination { envelope, queue_pair: to.queue_pair, key: to.key })
        });
        let kept = self.sends.borrow_mut().keep(tag, sges);
        // As many may be posted as there is room for.
        let Ok((id, segments, count)) = kept else { return };
        let segments = &segments[..count];
        let (flags, destination) = (flags | Flags::SIGNALLED, destination.as_ref());
        let request = SendRequest { id, work, segments, flags, destination };
        let from = WorkQueue::Receives;
        let Self { engine, sends, receives, handle, withheld, .. } = self;
        let mut report = Reporter::new(inner, sends, receives, (*handle, withheld), from);
        if engine.post_send(&request, &mut report).is_err() {
            report.refuse(id, engine.number(), &work, Status::LocalOperation);
        }
    }

    /// Hands the engine the receives that have been posted. Needed before a packet is looked at, and
    /// not earlier.
    #[inline]
    pub(crate) fn drain_receives<K: Kernel>(
        &mut self,
        inner: &Inner<K>,
        share: Option<&mut Share>,
    ) {
        match (self.share, share) {
            (Some(place), Some(share)) => share.drain(inner, place),
            _ => self.drain_own(inner),
        }
    }

    fn drain_own<K: Kernel>(&mut self, inner: &Inner<K>) {
        let next =
            |handle| inner.with(|shared| shared.pairs.get_mut(handle)?.receives.queue.pop_front());
        while let Some(ReceiveWork { id, sges }) = next(self.handle) {
            let kept = self.receives.borrow_mut().keep(id, sges);
            let Ok((id, segments, count)) = kept else { return };
            let request = ReceiveRequest { id, segments: &segments[..count] };
            let from = WorkQueue::Receives;
            let Self { engine, sends, receives, handle, withheld, .. } = self;
            let mut report = Reporter::new(inner, sends, receives, (*handle, withheld), from);
            // It has room, and takes receives from the first.
            let posted = engine.post_receive(&request, &mut report);
            debug_assert!(posted.is_ok(), "{posted:?}");
        }
    }

    /// Gives the engine a packet. True when it confirms the connection.
    #[inline]
    pub(crate) fn receive<K: Kernel>(
        &mut self,
        inner: &Inner<K>,
        packet: Unverified<'_>,
        mut share: Option<&mut Share>,
        now: Instant,
    ) -> bool {
        let Ok(packet) = packet.verify() else {
            inner.with(|shared| shared.counters.malformed += 1);
            return false;
        };
        self.drain_receives(inner, share.as_deref_mut());
        let before = self.engine.counters().total();
        let (shared, in_flight, from) = match (&mut share, self.share) {
            (Some(share), Some(place)) => {
                (Some(&mut share.engine), &share.in_flight, WorkQueue::Shared(place))
            }
            _ => (None, &self.receives, WorkQueue::Receives),
        };
        let Self { engine, sends, handle, withheld, .. } = self;
        let mut memory = PairMemory { regions: inner, sends, receives: in_flight };
        let mut report = Reporter::new(inner, sends, in_flight, (*handle, withheld), from);
        engine.receive(&packet, engine_time(now), &mut memory, shared, &mut report);
        let refused = engine.counters().total() != before;
        if refused {
            inner.with(|shared| shared.counters.refused += 1);
        }
        !refused && core::mem::take(&mut self.unconfirmed)
    }

    /// Does what time has come for.
    pub(crate) fn expire<K: Kernel>(
        &mut self,
        inner: &Inner<K>,
        share: Option<&mut Share>,
        link: &mut dyn Link,
        now: Instant,
    ) {
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        if self.engine.is_overdue(engine_time(now)) && self.excuse(link, now) {
            return;
        }
        let now = engine_time(now);
        if self.engine.deadline().is_some_and(|deadline| deadline <= now) {
            self.with_report(inner, share, |engine, report| engine.expire(now, report));
        }
    }

    /// Whether there is a reason on this side for the peer's silence: what it is to acknowledge has not
    /// left, or its answer may have come and not have been looked at. That is given one time more.
    fn excuse(&mut self, link: &mut dyn Link, now: Instant) -> bool {
        if !link.has_taken(self.last_queued) {
            self.engine.postpone(engine_time(now));
            return true;
        }
        let deadline = self.engine.deadline();
        match self.excused {
            Some((excused, until)) if Some(excused) == deadline => until > now,
            _ => {
                self.excused = deadline.map(|deadline| (deadline, now + GRACE));
                true
            }
        }
    }

    /// Runs `work` on the engine's queue pair.
    pub(crate) fn with_report<K: Kernel, R>(
        &mut self,
        inner: &Inner<K>,
        share: Option<&mut Share>,
        work: impl FnOnce(&mut QueuePair, &mut Reporter<'_, K>) -> R,
    ) -> R {
        let (in_flight, from) = match (share, self.share) {
            (Some(share), Some(place)) => (&share.in_flight, WorkQueue::Shared(place)),
            _ => (&self.receives, WorkQueue::Receives),
        };
        let Self { engine, sends, handle, withheld, .. } = self;
        let mut report = Reporter::new(inner, sends, in_flight, (*handle, withheld), from);
        work(engine, &mut report)
    }

    /// Takes the queue pair to a state; false when it has no way there.
    pub(crate) fn modify<K: Kernel>(
        &mut self,
        inner: &Inner<K>,
        share: Option<&mut Share>,
        to: State,
        attributes: &Attributes,
    ) -> bool {
        self.with_report(inner, share, |engine, report| {
            engine.modify(to, attributes, report).is_ok()
        })
    }

    /// Sends what is due.
    pub(crate) fn transmit<K: Kernel>(
        &mut self,
        inner: &Inner<K>,
        share: Option<&mut Share>,
        link: &mut dyn Link,
        now: Instant,
    ) -> Sent {
        if !self.engine.is_due() {
            return Sent { more: false, starved: false };
        }
        let (in_flight, from) = match (share, self.share) {
            (Some(share), Some(place)) => (&share.in_flight, WorkQueue::Shared(place)),
            _ => (&self.receives, WorkQueue::Receives),
        };
        let Self { engine, sends, handle, withheld, .. } = self;
        let memory = PairMemory { regions: inner, sends, receives: in_flight };
        let mut report = Reporter::new(inner, sends, in_flight, (*handle, withheld), from);
        let mut sender = Sender::new(link, &memory);
        let sent = engine.transmit(engine_time(now), BUDGET, &mut sender, &mut report);
        let Sender { starved, unresolved, .. } = sender;
        if sent != 0 {
            self.last_queued = link.queued();
        }
        inner.with(|shared| shared.counters.sent += u64::from(sent));
        self.stalled |= starved || unresolved;
        Sent { more: !starved && !unresolved && self.engine.is_due(), starved }
    }

    /// Has the application know what has become of it, if it has failed or counted something. To be called when what
    /// the peer is told of that has been sent.
    pub(crate) fn publish<K: Kernel>(&mut self, inner: &Inner<K>, share: Option<&mut Share>) {
        if self.engine.state() == State::Err && !self.failed {
            self.failed = true;
            inner.with(|shared| {
                if let Ok(entry) = shared.pair(self.handle) {
                    entry.phase = Phase::Failed;
                }
            });
            // What had been posted and not yet been looked at. Posting asks for it from now on.
            self.drain(inner, share);
        }
        let counters = self.engine.counters();
        let sum = counters
            .total()
            .wrapping_add(counters.timeouts)
            .wrapping_add(counters.retries)
            .wrapping_add(counters.not_ready)
            .wrapping_add(counters.naks);
        if core::mem::replace(&mut self.published, sum) != sum {
            inner.with(|shared| {
                if let Ok(entry) = shared.pair(self.handle) {
                    entry.counters.clone_from(counters);
                }
            });
        }
        self.withheld.tell(|event| inner.activate(event));
    }

    /// Sets the timer, unless it expires in time already.
    pub(crate) fn arm<K: Kernel>(&mut self, inner: &Inner<K>) {
        let Some(deadline) = self.engine.deadline() else { return };
        let deadline = match self.excused {
            Some((excused, until)) if excused == deadline => until,
            _ => Instant::from_nanos(deadline.as_nanos()),
        };
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        if inner.kernel.arm(self.timer, deadline, None).is_ok() {
            self.armed = Some(deadline);
        }
    }
}

impl Share {
    /// Hands the engine what has been posted.
    pub(crate) fn drain<K: Kernel>(&mut self, inner: &Inner<K>, handle: Handle) {
        loop {
            let next = inner.with(|shared| {
                let entry = shared.shares.get_mut(handle)?;
                if let Some(limit) = entry.limit.take() {
                    self.engine.arm_limit(limit);
                }
                entry.receives.queue.pop_front()
            });
            let Some(ReceiveWork { id, sges }) = next else { return };
            let kept = self.in_flight.borrow_mut().keep(id, sges);
            let Ok((id, segments, count)) = kept else { return };
            let posted = self.engine.post(&ReceiveRequest { id, segments: &segments[..count] });
            debug_assert!(posted.is_ok(), "{posted:?}");
        }
    }
}
