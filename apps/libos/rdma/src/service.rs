//! The connection manager where the port works: its messages, timer and listeners.

use crate::pair_state::engine_time;
use crate::port::Port;
use crate::service_state::{Doing, Service, emit};
use crate::shared::Listening;
use crate::table::Handle;
use reflex_event::{Instant, Kernel};
use reflex_hil::Link;
use reflex_rdma_engine::cm::{self, Agent};
use reflex_rdma_wire::Unverified;
use reflex_rdma_wire::cm::ServiceId;

impl<K: Kernel> Port<K> {
    /// Runs `work` on the connection manager, does what it wants done, and sets its timer.
    pub(crate) fn with_agent<R>(
        &mut self,
        link: &mut dyn Link,
        work: impl FnOnce(&mut Agent, &mut Doing<'_>) -> R,
    ) -> R {
        let Service { agent, sender, waiting, told, .. } = &mut self.service;
        let result = work(agent, &mut Doing { link, sender, waiting, told });
        // What is told while that is dealt with comes after it.
        if !core::mem::replace(&mut self.service.telling, true) {
            while let Some(next) = self.service.told.pop_front() {
                self.told(next, link);
            }
            self.service.telling = false;
            self.arm_service();
        }
        let refused = self.service.agent.counters().total();
        let more = refused.wrapping_sub(core::mem::replace(&mut self.service.refused, refused));
        if more != 0 {
            self.inner.with(|shared| shared.counters.connection_refused += u64::from(more));
        }
        result
    }

    fn arm_service(&mut self) {
        let Some(deadline) = self.service.agent.deadline() else { return };
        let deadline = Instant::from_nanos(deadline.as_nanos());
        if self.service.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        if let Ok(events) = self.inner.events()
            && self.inner.kernel.arm(events.connections, deadline, None).is_ok()
        {
            self.service.armed = Some(deadline);
        }
    }

    /// A message has come.
    pub(crate) fn message(&mut self, packet: Unverified<'_>, link: &mut dyn Link) {
        let Ok(packet) = packet.verify() else {
            self.inner.with(|shared| shared.counters.malformed += 1);
            return;
        };
        let now = engine_time(self.inner.kernel.now());
        self.with_agent(link, |agent, doing| agent.receive(&packet, now, doing));
    }

    /// Time has come for messages.
    pub(crate) fn expire_service(&mut self, link: &mut dyn Link) {
        let now = self.inner.kernel.now();
        if self.service.armed.is_some_and(|armed| armed <= now) {
            self.service.armed = None;
        }
        self.with_agent(link, |agent, doing| agent.expire(engine_time(now), doing));
    }

    /// Messages that waited may go. Those that cannot wait on, in their order.
    pub(crate) fn resume_service(&mut self, link: &mut dyn Link) {
        let Service { waiting, sender, .. } = &mut self.service;
        for _ in 0..waiting.len() {
            let Some((route, mad)) = waiting.pop_front() else { return };
            if !emit(link, sender, &route, &mad) {
                waiting.push_back((route, mad));
            }
        }
    }

    pub(crate) fn open(&mut self, listen: &cm::Listen, channel: Handle) {
        let service = listen.service;
        let there = |it: &Listening| it.service == service && it.channel == channel;
        if !self.inner.with(|shared| shared.listening.iter().any(there)) {
            // Given up meanwhile.
            return;
        }
        // The caller has made sure that the port was free, and there are as many places.
        if let Ok(listener) = self.service.agent.listen(listen) {
            self.service.listeners.insert(service.0, (listener, channel));
        }
    }

    pub(crate) fn close(&mut self, service: ServiceId) {
        if let Some((listener, _)) = self.service.listeners.remove(&service.0) {
            // It is open, or it would not have been there.
            let _ = self.service.agent.close(listener);
        }
    }
}
