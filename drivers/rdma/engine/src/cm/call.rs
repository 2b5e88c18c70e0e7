//! What an application asks for.

use super::Route;
use reflex_rdma_wire::cm::{PortSpace, ServiceId};
use reflex_rdma_wire::{PathMtu, Psn, QKey, Qpn, Transport};

/// Asks to be told of requests for a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// The service.
    pub service: ServiceId,
    /// Connections of which transport, or datagrams: then its requests are resolutions.
    pub transport: Transport,
    /// Requests that may wait at a time: until the application answers them, and then until the
    /// peer confirms. When the backlogs of a port sum up to less than
    /// [`Config::communications`](super::Config::communications), no flood takes all of them.
    pub backlog: u16,
}

impl Listen {
    /// For reliable connections to a port.
    pub const fn port(port: u16, backlog: u16) -> Self {
        let service = ServiceId::ip(PortSpace::Tcp, port);
        Self { service, transport: Transport::Reliable, backlog }
    }

    /// For datagrams to a port.
    pub const fn datagram_port(port: u16, backlog: u16) -> Self {
        let service = ServiceId::ip(PortSpace::Udp, port);
        Self { service, transport: Transport::Datagram, backlog }
    }
}

/// Asks for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connect<'a> {
    /// From where to where.
    pub route: Route,
    /// The service that is asked for.
    pub service: ServiceId,
    /// From which port, as the peer's application is told it; for IP port spaces only.
    pub source_port: u16,
    /// RC or UC.
    pub transport: Transport,
    /// This side's queue pair.
    pub qpn: Qpn,
    /// The number that the peer is to begin with: random.
    pub psn: Psn,
    /// Path MTU.
    pub mtu: PathMtu,
    /// Reads and atomics of the peer that may be outstanding.
    pub responder_resources: u8,
    /// Reads and atomics of this side that may be.
    pub initiator_depth: u8,
    /// Retries of both queue pairs without an acknowledge, at most 7.
    pub retries: u8,
    /// Retries of the peer's queue pair when this one has no receive; 7 is for ever.
    pub rnr_retries: u8,
    /// This side's queue pair takes its receives from a shared queue.
    pub shared_receive_queue: bool,
    /// The path's flow label, 20 bits: what the peer may spread its packets by.
    pub flow_label: u32,
    /// For the peer's application: at most 56 bytes for IP port spaces, else 92.
    pub private_data: &'a [u8],
}

impl Connect<'_> {
    /// A reliable connection to a port, with values that suit many.
    pub const fn port(route: Route, port: u16, qpn: Qpn, psn: Psn) -> Self {
        Self {
            route,
            service: ServiceId::ip(PortSpace::Tcp, port),
            source_port: 0,
            transport: Transport::Reliable,
            qpn,
            psn,
            mtu: PathMtu::B1024,
            responder_resources: 16,
            initiator_depth: 16,
            retries: 7,
            rnr_retries: 7,
            shared_receive_queue: false,
            flow_label: 0,
            private_data: &[],
        }
    }
}

/// Accepts a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accept<'a> {
    /// This side's queue pair.
    pub qpn: Qpn,
    /// The number that the peer is to begin with: random.
    pub psn: Psn,
    /// Reads and atomics of the peer that may be outstanding, no more than it asked for.
    pub responder_resources: u8,
    /// Reads and atomics of this side that may be, no more than the peer offered.
    pub initiator_depth: u8,
    /// Retries of the peer's queue pair when this one has no receive; 7 is for ever.
    pub rnr_retries: u8,
    /// This side's queue pair takes its receives from a shared queue.
    pub shared_receive_queue: bool,
    /// For the peer's application, at most 196 bytes.
    pub private_data: &'a [u8],
}

impl Accept<'_> {
    /// With values that suit many.
    pub const fn new(qpn: Qpn, psn: Psn) -> Self {
        Self {
            qpn,
            psn,
            responder_resources: 16,
            initiator_depth: 16,
            rnr_retries: 7,
            shared_receive_queue: false,
            private_data: &[],
        }
    }
}

/// Asks for a service's datagram queue pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resolve<'a> {
    /// From where to where.
    pub route: Route,
    /// Which service.
    pub service: ServiceId,
    /// From which port, as the peer's application is told it; for IP port spaces only.
    pub source_port: u16,
    /// For the peer's application: at most 180 bytes for IP port spaces, else 216.
    pub private_data: &'a [u8],
}

/// Names a datagram queue pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer<'a> {
    /// The queue pair.
    pub qpn: Qpn,
    /// Its key; RDMA IP CM has [`QKey::IP_CM`].
    pub qkey: QKey,
    /// For the peer's application, at most 136 bytes.
    pub private_data: &'a [u8],
}
