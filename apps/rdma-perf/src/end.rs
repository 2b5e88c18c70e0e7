//! What both ends have: memory, and the queue pair of a connection.

use crate::terms::{Ask, LARGEST_WINDOW, REGION};
use reflex::Error;
use reflex::rdma::{
    Access, CompletionQueue, MemoryRegion, ProtectionDomain, QueuePair, ReceiveRequest,
    SendRequest, Transport,
};

/// Sends that may be in flight beyond a window: answers to the window before.
const ANSWERS: u32 = 2;
/// Completions that may wait: those of the largest window.
pub(crate) const COMPLETIONS: u32 = 3 * LARGEST_WINDOW + ANSWERS;
/// Event memory: three regions, and what is written down of them and of handlers.
pub(crate) const MEMORY: usize = 3 * REGION / 4 * 5 + (256 << 10);

/// What a side works with. Messages overwrite one another: nobody looks at them.
pub(crate) struct End {
    domain: ProtectionDomain,
    queue: CompletionQueue,
    /// What the other side may work in.
    pub(crate) open: MemoryRegion,
    /// Where messages come from, and where they go to.
    outgoing: MemoryRegion,
    incoming: MemoryRegion,
}

impl End {
    pub(crate) fn new(domain: ProtectionDomain, queue: CompletionQueue) -> Result<Self, Error> {
        let region = |access| Ok::<_, Error>(domain.register(domain.bytes(REGION)?, access)?);
        let remote = Access::REMOTE_READ | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC;
        let open = region(Access::LOCAL_WRITE | remote)?;
        let (outgoing, incoming) = (region(Access::NONE)?, region(Access::LOCAL_WRITE)?);
        Ok(Self { domain, queue, open, outgoing, incoming })
    }

    /// A queue pair that does what is asked for, with so many receives posted.
    pub(crate) fn pair(&self, ask: &Ask, receives: u32) -> Result<QueuePair, Error> {
        let remote = Access::REMOTE_READ | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC;
        let pair = self.domain.queue_pair(Transport::Reliable, &self.queue, &self.queue);
        let pair = pair.depth(ask.window + ANSWERS, receives).access(remote).build()?;
        for _ in 0..receives {
            self.receive(&pair, ask)?;
        }
        Ok(pair)
    }

    /// Posts a receive.
    pub(crate) fn receive(&self, pair: &QueuePair, ask: &Ask) -> Result<(), Error> {
        Ok(pair.post_receive(ReceiveRequest::slice(self.incoming.slice(0..ask.length())?))?)
    }

    /// Posts an operation that takes bytes from here.
    pub(crate) fn put(
        &self,
        pair: &QueuePair,
        work: SendRequest,
        length: usize,
    ) -> Result<(), Error> {
        Ok(pair.post_send(work.slice(self.outgoing.slice(0..length)?))?)
    }

    /// Posts an operation that brings bytes here.
    pub(crate) fn fetch(
        &self,
        pair: &QueuePair,
        work: SendRequest,
        length: usize,
    ) -> Result<(), Error> {
        Ok(pair.post_send(work.slice(self.incoming.slice(0..length)?))?)
    }
}
