//! Work as it is posted, with its memory.

use crate::{Access, Slice};
use core::net::IpAddr;
use reflex_memory::Lent;
use reflex_rdma_device::{SgList, Sge};
use reflex_rdma_engine::{Attachment, Flags, Work};
use reflex_rdma_wire::{ImmDt, QKey, Qpn, RKey};

/// Where a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) to: IpAddr,
    pub(crate) queue_pair: Qpn,
    pub(crate) key: QKey,
}

/// Work for a queue pair's send queue. What it takes memory of, it takes by value: the completion
/// returns it.
#[derive(Debug)]
#[must_use = "nothing is sent before it is posted"]
pub struct SendRequest {
    pub(crate) id: u64,
    pub(crate) work: Work,
    pub(crate) flags: Flags,
    pub(crate) to: Option<Address>,
    pub(crate) sges: SgList,
}

impl SendRequest {
    fn new(work: Work) -> Self {
        Self { id: 0, work, flags: Flags::SIGNALLED, to: None, sges: Default::default() }
    }

    /// A message for a receive of the peer's.
    pub fn message() -> Self {
        Self::new(Work::Send(Attachment::None))
    }

    /// A write to the peer's memory.
    pub fn write(address: u64, key: RKey) -> Self {
        Self::new(Work::Write { address, key, immediate: None })
    }

    /// A read of the peer's memory, as many bytes as the memory that is added has.
    pub fn read(address: u64, key: RKey) -> Self {
        Self::new(Work::Read { address, key })
    }

    /// Eight bytes of the peer's memory become `swap` if they were `compare`. What they were is
    /// found, in the machine's byte order, in the eight bytes that are to be added.
    pub fn compare_swap(address: u64, key: RKey, compare: u64, swap: u64) -> Self {
        Self::new(Work::CompareSwap { address, key, compare, swap })
    }

    /// `add` is added to eight bytes of the peer's memory; otherwise as
    /// [`compare_swap`](Self::compare_swap).
    pub fn fetch_add(address: u64, key: RKey, add: u64) -> Self {
        Self::new(Work::FetchAdd { address, key, add })
    }

    /// Adds memory: what is to be sent, or where the answer goes to. Two pieces at most, of which the
    /// later replaces the second.
    pub fn bytes(self, bytes: Lent<[u8]>) -> Self {
        let length = bytes.len();
        self.prefix(bytes, length)
    }

    /// As [`bytes`](Self::bytes), the first `length` of them, or all if they are fewer.
    pub fn prefix(mut self, bytes: Lent<[u8]>, length: usize) -> Self {
        let length = length.min(bytes.len()) as u32;
        add(&mut self.sges, Sge::Bytes(bytes, length));
        self
    }

    /// As [`bytes`](Self::bytes), a part of a registered region.
    pub fn slice(mut self, slice: Slice) -> Self {
        add(&mut self.sges, Sge::Region(slice.segment));
        self
    }

    /// Returned in the completion.
    pub fn id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    /// With a number for the receiver's completion; of messages and writes. A write with it
    /// consumes a receive of the peer's.
    pub fn immediate(mut self, data: u32) -> Self {
        let data = ImmDt(data.to_be_bytes());
        match &mut self.work {
            Work::Send(attachment) => *attachment = Attachment::Immediate(data),
            Work::Write { immediate, .. } => *immediate = Some(data),
            _ => {}
        }
        self
    }

    /// With a key of the receiver's that is taken back; of messages.
    pub fn invalidate(mut self, key: RKey) -> Self {
        if let Work::Send(attachment) = &mut self.work {
            *attachment = Attachment::Invalidate(key);
        }
        self
    }

    /// Success is not told. The memory is dropped then: it goes back to its pool.
    pub fn unsignalled(mut self) -> Self {
        self.flags = self.flags.without(Flags::SIGNALLED);
        self
    }

    /// The peer's completion is to raise an event.
    pub fn solicited(mut self) -> Self {
        self.flags = self.flags | Flags::SOLICITED;
        self
    }

    /// It begins only when all reads and atomics before it are done.
    pub fn fence(mut self) -> Self {
        self.flags = self.flags | Flags::FENCE;
        self
    }

    /// Where a datagram goes.
    pub fn to(mut self, address: IpAddr, queue_pair: Qpn, key: QKey) -> Self {
        self.to = Some(Address { to: address, queue_pair, key });
        self
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        self.sges.iter().map(Sge::length).sum()
    }

    /// Memory that was added, again.
    pub fn into_bytes(self) -> Option<Lent<[u8]>> {
        take_bytes(&mut { self.sges })
    }

    /// What the regions of its memory have to permit.
    pub(crate) fn access(&self) -> Access {
        match self.work {
            Work::Send(_) | Work::Write { .. } => Access::NONE,
            _ => Access::LOCAL_WRITE,
        }
    }
}

/// A receive: where the next message goes to. Memory is taken by value: the completion returns it.
#[derive(Debug)]
#[must_use = "nothing is received before it is posted"]
pub struct ReceiveRequest {
    pub(crate) id: u64,
    pub(crate) sges: SgList,
}

impl ReceiveRequest {
    /// Into memory. A datagram is preceded there by 40 bytes of its route.
    pub fn bytes(bytes: Lent<[u8]>) -> Self {
        let length = bytes.len() as u32;
        Self { id: 0, sges: [Sge::Bytes(bytes, length), Sge::None] }
    }

    /// Into a part of a registered region, which has to permit local writes.
    pub fn slice(slice: Slice) -> Self {
        Self { id: 0, sges: [Sge::Region(slice.segment), Sge::None] }
    }

    /// Without memory: for writes with immediate data.
    pub fn empty() -> Self {
        Self { id: 0, sges: Default::default() }
    }

    /// Returned in the completion.
    pub fn id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    /// The memory again.
    pub fn into_bytes(self) -> Option<Lent<[u8]>> {
        take_bytes(&mut { self.sges })
    }
}

fn add(sges: &mut SgList, sge: Sge) {
    let [first, second] = sges;
    match first {
        Sge::None => *first = sge,
        _ => *second = sge,
    }
}

/// The first piece of memory that came by value.
pub(crate) fn take_bytes(sges: &mut SgList) -> Option<Lent<[u8]>> {
    let sge = sges.iter_mut().find(|sge| matches!(sge, Sge::Bytes(..)))?;
    match core::mem::take(sge) {
        Sge::Bytes(bytes, _) => Some(bytes),
        _ => None,
    }
}
