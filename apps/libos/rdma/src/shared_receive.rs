//! Receives that several queue pairs take.

use crate::builder::DEEPEST;
use crate::pair_state::Share;
use crate::shared::{Posted, SrqShared};
use crate::table::Handle;
use crate::work::ReceiveWork;
use crate::{Access, Error, ProtectionDomain, ReceiveRequest, Refused};
use alloc::boxed::Box;
use core::cell::RefCell;
use reflex_event::{Accumulation, Context, Kernel, Priority, Registration};
use reflex_rdma_device::{InFlight, MAX_SGE, Sge};
use reflex_rdma_engine::ReceiveQueue;

/// A queue of receives, from which several queue pairs take theirs. It is there as long as the
/// domain's context.
pub struct SharedReceiveQueue<K: Kernel> {
    pub(crate) domain: ProtectionDomain<K>,
    pub(crate) handle: Handle,
    pub(crate) size: u32,
}

impl<K: Kernel> SharedReceiveQueue<K> {
    pub(crate) fn make(domain: ProtectionDomain<K>, size: u32) -> Result<Self, Error> {
        if size == 0 || size > DEEPEST {
            return Err(Error::BadParameter);
        }
        let inner = &domain.rdma.0;
        let handle = inner.kernel.guarded(|| {
            let share = Share {
                engine: ReceiveQueue::new(size, MAX_SGE as u32),
                in_flight: RefCell::new(InFlight::new(size, true)),
            };
            let mut entry = Some(SrqShared {
                domain: domain.handle,
                receives: Posted::new(size),
                arriving: Some(Box::new(share)),
                limit: None,
                told: None,
            });
            inner.with(|shared| {
                if !shared.has(domain.handle) {
                    return Err(Error::Gone);
                }
                let entered = entry.take().map(|entry| shared.shares.insert(entry));
                match entered {
                    Some(Ok(handle)) => Ok(handle),
                    Some(Err(back)) => {
                        entry = Some(back);
                        Err(Error::LimitReached)
                    }
                    None => Err(Error::LimitReached),
                }
            })
        })?;
        Ok(Self { domain, handle, size })
    }

    /// Has `handler` told, once, when fewer than `limit` receives are left of those that have been
    /// posted. It is told again when this, or [`arm`](Self::arm), is called again.
    ///
    /// # Errors
    /// [`Error::Event`], [`Error::Gone`].
    pub fn on_limit<S: 'static>(
        &self,
        context: impl Into<Context<S>>,
        priority: Priority,
        limit: u32,
        handler: impl Fn(&mut S) + Send + 'static,
    ) -> Result<(), Error> {
        let inner = &self.domain.rdma.0;
        let registration = Registration { priority, accumulation: Accumulation::Count };
        inner.kernel.guarded(|| {
            let run = move |state: &mut S, _| handler(state);
            let event = inner.kernel.register(context.into(), registration, run)?;
            let before =
                inner.with(|shared| Some(shared.shares.get_mut(self.handle)?.told.replace(event)));
            before.flatten().into_iter().for_each(|before| inner.unregister(before));
            self.arm(limit).inspect_err(|_| inner.unregister(event))
        })
    }

    /// Sets the limit again: it holds from the next message on that takes a receive. 0 is none.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn arm(&self, limit: u32) -> Result<(), Error> {
        self.domain.rdma.0.with(|shared| {
            shared.shares.get_mut(self.handle).ok_or(Error::Gone)?.limit = Some(limit);
            Ok(())
        })
    }

    /// Posts a receive.
    ///
    /// # Errors
    /// The receive, with [`Error::QueueFull`], [`Error::OtherDomain`], [`Error::Gone`].
    pub fn post_receive(&self, receive: ReceiveRequest) -> Result<(), Refused<ReceiveRequest>> {
        let inner = &self.domain.rdma.0;
        let ReceiveRequest { id, sges } = receive;
        let mut work = Some(ReceiveWork { id, sges });
        let handle = self.domain.handle;
        inner.kernel.guarded(|| {
            let posted = inner.with(|shared| {
                let permitted = work.iter().flat_map(|work| &work.sges).all(|sge| match sge {
                    Sge::Region(it) => {
                        shared.regions.permits(it.region, handle, Access::LOCAL_WRITE)
                    }
                    _ => true,
                });
                if !permitted {
                    return Err(Error::OtherDomain);
                }
                let entry = shared.shares.get_mut(self.handle).ok_or(Error::Gone)?;
                if let Some(receive) = work.take() {
                    entry.receives.push(receive).map_err(|receive| {
                        work = Some(receive);
                        Error::QueueFull
                    })?;
                }
                Ok(())
            });
            match (posted, work) {
                (Err(error), Some(ReceiveWork { id, sges })) => {
                    Err(Refused { error, work: ReceiveRequest { id, sges } })
                }
                _ => Ok(()),
            }
        })
    }
}
