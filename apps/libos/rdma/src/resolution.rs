//! Datagram queue pairs, as they are asked for by a port's number, and named.

use crate::connection_event::{ASKED, ConnectionChange, Failure};
use crate::connection_options::{Accept, service};
use crate::pair_state::engine_time;
use crate::port::Port;
use crate::private_data::PrivateData;
use crate::service_state::Known;
use crate::shared::number;
use crate::table::Handle;
use core::net::IpAddr;
use reflex_event::Kernel;
use reflex_hil::Link;
use reflex_rdma_engine::cm::{self, Answer, Resolve, Route};
use reflex_rdma_wire::cm::{CommId, RejectReason};
use reflex_rdma_wire::{Gid, Transport};

impl<K: Kernel> Port<K> {
    /// Asks a peer for its datagram queue pair.
    pub(crate) fn resolve(
        &mut self,
        (handle, channel): (u64, Handle),
        (address, port): (IpAddr, u16),
        data: &PrivateData,
        link: &mut dyn Link,
    ) {
        let mut known = Known { handle, channel, pair: None, promised: ASKED };
        let Some(local) = self.inner.local(address) else {
            return self.tell(&mut known, ConnectionChange::Failed { why: Failure::NoAddress });
        };
        let resolve = Resolve {
            route: Route { local, remote: Gid::from(address) },
            service: service(Transport::Datagram, port),
            source_port: 0xc000 | handle as u16 & 0x3fff,
            private_data: data.as_bytes(),
        };
        let now = engine_time(self.inner.kernel.now());
        match self.with_agent(link, |agent, doing| agent.resolve(&resolve, now, doing)) {
            Ok(id) => {
                self.service.known.insert(id.0, known);
                self.service.handles.insert(handle, id);
            }
            Err(error) => {
                let why = match error {
                    cm::Error::TableFull => Failure::LimitReached,
                    _ => Failure::NoAddress,
                };
                self.tell(&mut known, ConnectionChange::Failed { why });
            }
        }
    }

    /// Names the queue pair that was asked for, if it is one of datagrams.
    pub(crate) fn name(
        &mut self,
        id: CommId,
        handle: Handle,
        accept: &Accept,
        link: &mut dyn Link,
    ) {
        let pair = self.pair(handle);
        let pair = pair.filter(|pair| pair.engine.transport() == Transport::Datagram);
        let key = pair.map(|pair| pair.key);
        let Some(qkey) = key else {
            self.tell_of(id, ConnectionChange::Failed { why: Failure::QueuePair });
            return self.refuse(id, RejectReason::NO_QP, &[], link);
        };
        let private_data = accept.data.as_bytes();
        let answer = Answer { qpn: number(handle), qkey, private_data };
        if self.with_agent(link, |agent, doing| agent.answer(id, &answer, doing)).is_err() {
            // More is said than there is room for.
            self.tell_of(id, ConnectionChange::Failed { why: Failure::QueuePair });
            self.refuse(id, RejectReason::CONSUMER, &[], link);
        }
    }
}
