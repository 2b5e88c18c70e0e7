//! What applications ask of the connection manager, carried out one after the other where it works.

use crate::connection_options::{Accept, Connect};
use crate::private_data::PrivateData;
use crate::table::Handle;
use alloc::boxed::Box;
use core::net::IpAddr;
use reflex_rdma_wire::Transport;
use reflex_rdma_wire::cm::{RejectReason, ServiceId};

pub(crate) enum Command {
    Listen { transport: Transport, service: ServiceId, channel: Handle, backlog: u16 },
    Close { service: ServiceId },
    Connect { pair: Handle, channel: Handle, handle: u64, to: (IpAddr, u16), connect: Box<Connect> },
    Resolve { channel: Handle, handle: u64, to: (IpAddr, u16), data: Box<PrivateData> },
    Accept { handle: u64, pair: Handle, accept: Box<Accept> },
    Reject { handle: u64, reason: RejectReason, data: Box<PrivateData> },
    Disconnect { handle: u64 },
}
