//! What applications ask of the connection manager, carried out one after the other where it works.

use crate::connection_options::{Accept, Connect};
use crate::private_data::PrivateData;
use crate::table::Name;
use alloc::boxed::Box;
use core::net::IpAddr;
use reflex_rdma_wire::Transport;
use reflex_rdma_wire::cm::{RejectReason, ServiceId};

pub(crate) enum Command {
    Listen { transport: Transport, service: ServiceId, channel: Name, backlog: u16 },
    Close { service: ServiceId },
    Connect { pair: Name, channel: Name, name: u64, to: (IpAddr, u16), connect: Box<Connect> },
    Accept { name: u64, pair: Name, accept: Box<Accept> },
    Reject { name: u64, reason: RejectReason, data: Box<PrivateData> },
    Disconnect { name: u64 },
}
