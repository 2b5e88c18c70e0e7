//! What both sides have: the messages, and the queue pair they go over.

use reflex::Error;
use reflex::rdma::{
    Access, CompletionQueue, MemoryRegion, ProtectionDomain, QueuePair, RKey, ReceiveRequest,
    SendRequest, Transport,
};

/// The longest message that is pinged, as `rping` has it.
pub(crate) const LONGEST: usize = 65_535;
/// Completions that can wait.
pub(crate) const COMPLETIONS: u32 = 256;

/// Bytes of a message.
const LENGTH: usize = 16;
/// Sends and receives in flight.
const DEPTH: u32 = 4;

/// What the parts of a side share.
pub(crate) struct Means {
    pub(crate) domain: ProtectionDomain,
    pub(crate) queue: CompletionQueue,
}

/// Where memory of the peer's lies. In all messages, though only the client's tell something.
#[derive(Clone, Copy)]
pub(crate) struct Notice {
    pub(crate) address: u64,
    pub(crate) key: RKey,
    pub(crate) length: usize,
}

impl Notice {
    /// Of a whole region.
    pub(crate) fn of(region: &MemoryRegion, length: usize) -> Self {
        Self { address: region.address(), key: region.key(), length }
    }

    /// Reads a message: address, key and length, big-endian.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (address, rest) = bytes.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk()?;
        let length = u32::from_be_bytes(*length) as usize;
        let (address, key) = (u64::from_be_bytes(*address), RKey(u32::from_be_bytes(*key)));
        (length <= LONGEST).then_some(Self { address, key, length })
    }

    fn emit(&self, bytes: &mut [u8]) {
        bytes[..8].copy_from_slice(&self.address.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.key.0.to_be_bytes());
        bytes[12..LENGTH].copy_from_slice(&(self.length as u32).to_be_bytes());
    }
}

impl Means {
    /// A queue pair with a receive posted.
    pub(crate) fn pair(&self, access: Access) -> Result<QueuePair, Error> {
        let pair = self.domain.queue_pair(Transport::Reliable, &self.queue, &self.queue);
        let pair = pair.depth(DEPTH, DEPTH).access(access).build()?;
        self.receive(&pair)?;
        Ok(pair)
    }

    /// Posts a receive for a message.
    pub(crate) fn receive(&self, pair: &QueuePair) -> Result<(), Error> {
        Ok(pair.post_receive(ReceiveRequest::bytes(self.domain.bytes(LENGTH)?))?)
    }

    /// Sends a message.
    pub(crate) fn send(&self, pair: &QueuePair, notice: Notice) -> Result<(), Error> {
        let mut bytes = self.domain.bytes(LENGTH)?;
        notice.emit(&mut bytes);
        Ok(pair.post_send(SendRequest::message().bytes(bytes).unsignalled())?)
    }
}
