//! What became of a work request.

use crate::Attachment;
use core::fmt;
use reflex_rdma_wire::Qpn;

/// How a work request ended: the codes of `ibv_wc_status`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Success = 0,
    /// A message did not fit in the receive.
    LocalLength = 1,
    /// The request could not be carried out as posted.
    LocalOperation = 2,
    /// Memory of a segment was no longer registered.
    LocalProtection = 4,
    /// The queue pair failed, or was taken down, before the request was done. What it did to the
    /// peer is not known.
    Flushed = 5,
    /// The peer found the request invalid.
    RemoteInvalidRequest = 9,
    /// The peer's key, bounds or permissions do not allow it.
    RemoteAccess = 10,
    /// The peer could not carry it out.
    RemoteOperation = 11,
    /// The peer did not answer, as often as it was tried.
    RetryExceeded = 12,
    /// The peer had no receive posted, as often as it was tried.
    ReceiverNotReady = 13,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "done",
            Self::LocalLength => "the message was longer than the receive",
            Self::LocalOperation => "the request could not be carried out as posted",
            Self::LocalProtection => "memory of the request is no longer registered",
            Self::Flushed => "the queue pair failed before the request was done",
            Self::RemoteInvalidRequest => "the peer found the request invalid",
            Self::RemoteAccess => "the peer does not permit the access",
            Self::RemoteOperation => "the peer could not carry out the request",
            Self::RetryExceeded => "the peer did not answer",
            Self::ReceiverNotReady => "the peer had no receive posted",
        })
    }
}

/// What a completion is of: `ibv_wc_opcode`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A send.
    Send,
    /// A write.
    Write,
    /// A read.
    Read,
    /// A compare and swap.
    CompareSwap,
    /// A fetch and add.
    FetchAdd,
    /// A receive that a send filled.
    Receive,
    /// A receive that a write with immediate data consumed: the bytes are in the region.
    ReceiveWrite,
}

impl Kind {
    /// Whether it comes from a receive queue.
    #[inline]
    pub const fn is_receive(self) -> bool {
        matches!(self, Self::Receive | Self::ReceiveWrite)
    }
}

/// An entry of a completion queue: the fields of `ibv_wc`. In RoCE there is no source LID, no
/// path bits and no service level in it; the partition index is that of the queue pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The request's (`wr_id`).
    pub id: u64,
    /// The queue pair (`qp_num`).
    pub queue_pair: Qpn,
    /// The sender's queue pair, for datagrams; else 0 (`src_qp`).
    pub source: Qpn,
    /// Bytes received, read, or sent; with a datagram those of the route before it, too
    /// (`byte_len`). It says nothing unless the status is success.
    pub length: u32,
    /// What came with the message (`imm_data`, `invalidated_rkey`).
    pub attachment: Attachment,
    /// How it ended.
    pub status: Status,
    /// What it was (`opcode`).
    pub kind: Kind,
    /// 40 bytes of route come before the payload (`IBV_WC_GRH`).
    pub global_route: bool,
    /// The sender asked for an event.
    pub solicited: bool,
    /// The syndrome byte of the refusal, where a peer's caused it (`vendor_err`).
    pub vendor_error: u8,
}

impl Completion {
    /// The queue pair's only partition (`pkey_index`).
    pub const PARTITION_INDEX: u16 = 0;
    /// There are no local identifiers on Ethernet (`slid`).
    pub const SOURCE_LID: u16 = 0;
    /// Nor path bits (`dlid_path_bits`).
    pub const PATH_BITS: u8 = 0;
    /// Nor service levels in the packet (`sl`).
    pub const SERVICE_LEVEL: u8 = 0;

    /// Of a request, with nothing more to tell.
    #[inline]
    pub const fn new(id: u64, queue_pair: Qpn, kind: Kind, status: Status) -> Self {
        Self {
            id,
            queue_pair,
            source: Qpn::new(0),
            length: 0,
            attachment: Attachment::None,
            status,
            kind,
            global_route: false,
            solicited: false,
            vendor_error: 0,
        }
    }
}
