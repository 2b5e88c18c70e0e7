//! Memory that peers may reach.

use crate::{Error, ProtectionDomain, Rdma};
use alloc::sync::Arc;
use core::ops::Range;
use reflex_event::Kernel;
use reflex_memory::Exposed;
use reflex_rdma_device::Named;
use reflex_rdma_engine::{Access, Domain, Segment};
use reflex_rdma_wire::RKey;

/// Registered memory. It is taken back, and given back to its pool, when this is dropped; packets
/// that are on their way then find it gone.
///
/// A peer with its key may change it at any time, so it is copied, in and out, and never referenced.
///
/// This is a name: the memory itself is the port's, which takes it back when the domain's context is
/// given up.
pub struct MemoryRegion<K: Kernel> {
    rdma: Rdma<K>,
    domain: Domain,
    named: Named,
    length: usize,
}

/// A part of a registered region, for work to be posted. When the region is gone by the time it is
/// needed, the work fails.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    pub(crate) segment: Segment,
}

impl<K: Kernel> MemoryRegion<K> {
    pub(crate) fn new(rdma: Rdma<K>, domain: Domain, named: Named, length: usize) -> Self {
        Self { rdma, domain, named, length }
    }

    /// Runs `work` on the memory.
    fn with<R>(&self, work: impl FnOnce(&Arc<Exposed>) -> Result<R, Error>) -> Result<R, Error> {
        // Cut off in between, the memory would be held for ever.
        self.rdma.0.kernel.guarded(|| {
            let memory =
                self.rdma.0.with(|shared| shared.regions.memory(self.named.region).cloned());
            work(&memory.ok_or(Error::Gone)?)
        })
    }

    /// The address of its first byte, as peers name it. It says nothing of where the memory is.
    pub fn address(&self) -> u64 {
        self.named.address
    }

    /// The key that permits peers what the region was registered for.
    pub fn key(&self) -> RKey {
        self.named.key
    }

    /// The same memory, at the same address, under another key, which permits another access.
    ///
    /// # Errors
    /// [`Error::LimitReached`], [`Error::Gone`] when the domain's context has been given up.
    pub fn again(&self, access: Access) -> Result<Self, Error> {
        let address = Some(self.named.address);
        self.with(|memory| {
            ProtectionDomain::enter(&self.rdma, self.domain, access, memory, address)
        })
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies the bytes from `offset` on: of those that a peer is writing, some may be old.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`]; [`Error::Gone`] when the domain's context has been given up.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Error> {
        self.with(|memory| memory.read(offset, into).map_err(|_| Error::OutOfBounds))
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.with(|memory| memory.write(offset, bytes).map_err(|_| Error::OutOfBounds))
    }

    /// A part of it, for work to be posted.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`].
    pub fn slice(&self, range: Range<usize>) -> Result<Slice, Error> {
        let length = range.end.checked_sub(range.start).and_then(|it| u32::try_from(it).ok());
        match length {
            Some(length) if range.end <= self.length => {
                let (region, offset) = (self.named.region, range.start as u64);
                Ok(Slice { segment: Segment { region, offset, length } })
            }
            _ => Err(Error::OutOfBounds),
        }
    }
}

impl<K: Kernel> Drop for MemoryRegion<K> {
    fn drop(&mut self) {
        self.rdma.0.kernel.guarded(|| {
            // What is registered is dropped outside of the section.
            let _registration =
                self.rdma.0.with(|shared| shared.regions.deregister(self.named.region));
        });
    }
}
