//! What a connection asks of its queue pair.

use crate::{Access, Attributes};
use reflex_rdma_wire::{AckTimeout, Envelope, Gid, PKey, PathMtu, Psn, Qpn, RnrTimer, Transport};

/// Between which ports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Route {
    /// This side's address.
    pub local: Gid,
    /// The peer's.
    pub remote: Gid,
}

impl Route {
    /// For packets of this side.
    pub const fn envelope(&self, source_port: u16) -> Envelope {
        Envelope::new(self.local, self.remote, source_port)
    }
}

/// What a connection asks of its queue pair. [`Parameters::init`], [`Parameters::rtr`] and
/// [`Parameters::rts`] are what it is modified with on its way, as Linux's `rdma_cm` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// RC or UC.
    pub transport: Transport,
    /// Between which ports.
    pub route: Route,
    /// The partition.
    pub partition: PKey,
    /// This side's queue pair.
    pub local_qpn: Qpn,
    /// The peer's.
    pub remote_qpn: Qpn,
    /// Path MTU.
    pub mtu: PathMtu,
    /// The number that the peer begins with.
    pub receive_psn: Psn,
    /// The number that this side begins with.
    pub send_psn: Psn,
    /// Reads and atomics of the peer that may be outstanding.
    pub responder_resources: u8,
    /// Reads and atomics of this side that may be.
    pub initiator_depth: u8,
    /// Retries without an acknowledge.
    pub retries: u8,
    /// Retries when the peer has no receive; 7 is for ever.
    pub rnr_retries: u8,
    /// How long to wait for an acknowledge.
    pub ack_timeout: AckTimeout,
    /// How long the peer is asked to wait for a receive. `rdma_cm` leaves it at code 0, the longest.
    pub rnr_timer: RnrTimer,
}

impl Parameters {
    pub(super) const fn none() -> Self {
        let nowhere = Gid::from_bytes([0; 16]);
        Self {
            transport: Transport::Reliable,
            route: Route { local: nowhere, remote: nowhere },
            partition: PKey::DEFAULT,
            local_qpn: Qpn::new(0),
            remote_qpn: Qpn::new(0),
            mtu: PathMtu::B256,
            receive_psn: Psn::new(0),
            send_psn: Psn::new(0),
            responder_resources: 0,
            initiator_depth: 0,
            retries: 0,
            rnr_retries: 0,
            ack_timeout: AckTimeout::from_code(0),
            rnr_timer: RnrTimer::from_code(0),
        }
    }

    /// For the way to INIT: the peer may write, and if reads are offered, read and do atomics.
    pub fn init(&self) -> Attributes {
        let access = match self.responder_resources {
            0 => Access::REMOTE_WRITE,
            _ => Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC,
        };
        Attributes {
            partition: Some(self.partition),
            access: Some(access),
            ..Attributes::default()
        }
    }

    /// For the way to RTR. Packets leave from the UDP port given.
    pub fn rtr(&self, source_port: u16) -> Attributes {
        let is_reliable = self.transport == Transport::Reliable;
        Attributes {
            path: Some(self.route.envelope(source_port)),
            mtu: Some(self.mtu),
            destination: Some(self.remote_qpn),
            receive_psn: Some(self.receive_psn),
            max_reads_in: is_reliable.then_some(self.responder_resources),
            rnr_timer: is_reliable.then_some(self.rnr_timer),
            ..Attributes::default()
        }
    }

    /// For the way to RTS.
    pub fn rts(&self) -> Attributes {
        let is_reliable = self.transport == Transport::Reliable;
        Attributes {
            send_psn: Some(self.send_psn),
            timeout: is_reliable.then_some(self.ack_timeout),
            retries: is_reliable.then_some(self.retries),
            rnr_retries: is_reliable.then_some(self.rnr_retries),
            max_reads_out: is_reliable.then_some(self.initiator_depth),
            ..Attributes::default()
        }
    }
}
