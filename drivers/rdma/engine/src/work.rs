//! Work requests: what is posted to a queue.

use crate::{Kind, Segment};
use core::ops::BitOr;
use reflex_rdma_wire::{Envelope, ImmDt, Notice, QKey, Qpn, RKey};

/// Longest message, in bytes. At the smallest path MTU it has 2^22 packets, which leaves the
/// order of packet sequence numbers beyond doubt whatever else is outstanding.
pub const MAX_MESSAGE: u32 = 1 << 30;

/// What a send carries beside its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attachment {
    /// Nothing.
    None,
    /// Four bytes for the receiver's completion.
    Immediate(ImmDt),
    /// A key of the receiver's that is to be invalidated.
    Invalidate(RKey),
}

impl Attachment {
    #[inline]
    pub(crate) const fn notice(self) -> Notice {
        match self {
            Self::None => Notice::None,
            Self::Immediate(_) => Notice::Immediate,
            Self::Invalidate(_) => Notice::Invalidate,
        }
    }
}

/// What a send queue can be asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// The segments go to a receive that the peer posted.
    Send(Attachment),
    /// The segments go to the peer's memory.
    Write {
        /// Where to.
        address: u64,
        /// The key that permits it.
        key: RKey,
        /// With it, a receive of the peer's is consumed.
        immediate: Option<ImmDt>,
    },
    /// The peer's memory comes to the segments.
    Read {
        /// Where from.
        address: u64,
        /// The key that permits it.
        key: RKey,
    },
    /// Eight bytes of the peer's memory become `swap` if they were `compare`; the segment takes
    /// what they were, in the machine's byte order.
    CompareSwap {
        /// Where, divisible by eight.
        address: u64,
        /// The key that permits it.
        key: RKey,
        /// What the bytes have to be.
        compare: u64,
        /// What they become.
        swap: u64,
    },
    /// `add` is added to eight bytes of the peer's memory; the segment takes what they were.
    FetchAdd {
        /// Where, divisible by eight.
        address: u64,
        /// The key that permits it.
        key: RKey,
        /// What is added, modulo 2^64.
        add: u64,
    },
}

impl Work {
    /// What its completion is of.
    #[inline]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Send(_) => Kind::Send,
            Self::Write { .. } => Kind::Write,
            Self::Read { .. } => Kind::Read,
            Self::CompareSwap { .. } => Kind::CompareSwap,
            Self::FetchAdd { .. } => Kind::FetchAdd,
        }
    }

    /// Whether the peer answers with data.
    #[inline]
    pub(crate) const fn has_response(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::CompareSwap { .. } | Self::FetchAdd { .. })
    }

    #[inline]
    pub(crate) const fn is_atomic(&self) -> bool {
        matches!(self, Self::CompareSwap { .. } | Self::FetchAdd { .. })
    }
}

/// How a request is to be treated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(u8);

impl Flags {
    /// None of the others.
    pub const NONE: Self = Self(0);
    /// A completion tells of success. Failure is always told.
    pub const SIGNALLED: Self = Self(1);
    /// The peer's completion is to raise an event.
    pub const SOLICITED: Self = Self(2);
    /// It begins only when all reads and atomics before it are done.
    pub const FENCE: Self = Self(4);

    /// Whether all of `other` is among these.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These but for `other`.
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Destination {
    /// From where to where.
    pub envelope: Envelope,
    /// The queue pair there.
    pub queue_pair: Qpn,
    /// The key it lets in. One with its highest bit set stands for the queue pair's own (IBA
    /// volume 1, 10.2).
    pub key: QKey,
}

/// A request for a send queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendRequest<'a> {
    /// Returned in the completion.
    pub id: u64,
    /// What to do.
    pub work: Work,
    /// Where the bytes are, or go to.
    pub segments: &'a [Segment],
    /// How.
    pub flags: Flags,
    /// For datagrams, and only for them.
    pub destination: Option<&'a Destination>,
}

/// A request for a receive queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiveRequest<'a> {
    /// Returned in the completion.
    pub id: u64,
    /// Where the bytes go to. A datagram is preceded there by 40 bytes of
    /// [`GlobalRoute`](reflex_rdma_wire::GlobalRoute).
    pub segments: &'a [Segment],
}
