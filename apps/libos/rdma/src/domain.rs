//! Protection domains: a key is valid for the queue pairs of its domain.

use crate::{Access, CompletionQueue, Transport};
use crate::{Error, MemoryRegion, QueuePairBuilder, Rdma, SharedReceiveQueue};
use alloc::sync::Arc;
use reflex_event::Kernel;
use reflex_memory::{Exposed, Lent, Pool};
use reflex_rdma_device::Registration;
use reflex_rdma_engine::Domain;

/// A protection domain: the keys of its memory are valid for its queue pairs alone. Copies are of the
/// same.
pub struct ProtectionDomain<K: Kernel> {
    pub(crate) rdma: Rdma<K>,
    pub(crate) handle: Domain,
    pool: &'static Pool,
}

impl<K: Kernel> Clone for ProtectionDomain<K> {
    fn clone(&self) -> Self {
        Self::new(self.rdma.clone(), self.handle, self.pool)
    }
}

impl<K: Kernel> ProtectionDomain<K> {
    pub(crate) fn new(rdma: Rdma<K>, handle: Domain, pool: &'static Pool) -> Self {
        Self { rdma, handle, pool }
    }

    /// Zeroed event memory of the domain's context, to be posted or registered.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn bytes(&self, length: usize) -> Result<Lent<[u8]>, Error> {
        self.pool.bytes(length).map_err(|_| Error::OutOfMemory)
    }

    /// Registers memory, under a random key, for that access.
    ///
    /// # Errors
    /// [`Error::LimitReached`], [`Error::BadParameter`] when it has 4 GiB or more, [`Error::Gone`]
    /// when the domain's context has been given up.
    pub fn register(&self, bytes: Lent<[u8]>, access: Access) -> Result<MemoryRegion<K>, Error> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Error::BadParameter);
        }
        self.rdma.0.kernel.guarded(|| {
            let memory = Arc::new(Exposed::new(bytes));
            Self::enter(&self.rdma, self.handle, access, &memory, None)
        })
    }

    /// Registers memory of a domain. To be called guarded.
    pub(crate) fn enter(
        rdma: &Rdma<K>,
        domain: Domain,
        access: Access,
        memory: &Arc<Exposed>,
        address: Option<u64>,
    ) -> Result<MemoryRegion<K>, Error> {
        let registration = Registration { domain, access, memory: memory.clone(), address };
        let mut random = [0; 4];
        rdma.0.kernel.random(&mut random);
        let named = rdma.0.with(|shared| {
            if !shared.has(domain) {
                return Err(Error::Gone);
            }
            let random = u32::from_ne_bytes(random);
            shared.regions.register(registration, random).map_err(|_| Error::LimitReached)
        })?;
        Ok(MemoryRegion::new(rdma.clone(), domain, named, memory.len()))
    }

    /// Prepares a queue pair with sends and receives that complete in these queues.
    pub fn queue_pair(
        &self,
        transport: Transport,
        sends: &CompletionQueue<K>,
        receives: &CompletionQueue<K>,
    ) -> QueuePairBuilder<K> {
        QueuePairBuilder::new(self.clone(), transport, sends, receives)
    }

    /// A queue for so many receives, from which several queue pairs take theirs.
    ///
    /// # Errors
    /// [`Error::LimitReached`], [`Error::BadParameter`], [`Error::Gone`].
    pub fn shared_receive_queue(&self, receives: u32) -> Result<SharedReceiveQueue<K>, Error> {
        SharedReceiveQueue::make(self.clone(), receives)
    }
}
