//! What applications ask of the port, carried out one after the other where it works.

use crate::connection::PrivateData;
use crate::pair::{Pair, Share};
use crate::{Accept, Connect, Peer};
use alloc::boxed::Box;
use core::net::IpAddr;
use reflex_rdma_wire::cm::{RejectReason, ServiceId};
use reflex_rdma_wire::{Qpn, Transport};

pub(crate) enum Command {
    /// A queue pair has been made.
    Adopt(u16, Box<Pair>),
    /// A shared receive queue has been made.
    Share(u16, Box<Share>),
    /// A queue pair's peer is known.
    Establish(Qpn, Box<Peer>),
    /// A queue pair is to fail.
    Fail(Qpn),
    /// A queue pair's application has dropped it.
    Destroy(Qpn),
    Listen {
        transport: Transport,
        service: ServiceId,
        channel: u16,
        backlog: u16,
    },
    Close {
        service: ServiceId,
    },
    Connect {
        pair: Qpn,
        channel: u16,
        name: u32,
        to: (IpAddr, u16),
        connect: Box<Connect>,
    },
    Accept {
        name: u32,
        pair: Qpn,
        accept: Box<Accept>,
    },
    Reject {
        name: u32,
        reason: RejectReason,
        data: Box<PrivateData>,
    },
    Disconnect {
        name: u32,
    },
}
