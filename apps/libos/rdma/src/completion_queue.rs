//! CqShared, on their way to their handler.

use crate::shared::Shared;
use crate::table::Handle;
use crate::work::{Cqe, WorkQueue};
use crate::{Attachment, Kind, Rdma, Status};
use core::cell::Cell;
use reflex_event::{Borrowed, Kernel};
use reflex_memory::{Custody, Lend, Lent, Taking};
use reflex_rdma_device::{MAX_SGE, Sge};
use reflex_rdma_wire::Qpn;

/// Most completions handled in one run: then others of the same priority have their turn.
const BATCH: u32 = 32;
/// Bytes of route in front of a datagram's payload.
const ROUTE: usize = 40;

/// Work that is done, with its memory, as its handler has it. What that does not take goes back to where it
/// was lent by. When the handler is given up, it goes back only if memory of its context's is [used again at
/// once](Borrowed::Reusable); else it stays as it is, which the context that has lent it is told.
#[derive(Debug)]
pub struct Completion<'a> {
    /// The work's.
    pub id: u64,
    /// How it ended.
    pub status: Status,
    /// What it was.
    pub kind: Kind,
    /// Of which queue pair.
    pub queue_pair: Qpn,
    /// From which, if it is a datagram; else 0.
    pub source: Qpn,
    /// What came with the message.
    pub attachment: Attachment,
    /// The sender asked for an event.
    pub solicited: bool,
    /// Bytes received, read or sent, without a datagram's route. It says nothing unless the work
    /// succeeded.
    pub length: usize,
    /// A datagram's route comes before its payload.
    route: bool,
    sges: Memory<Taking<'a>>,
}

/// The pieces of memory that came with work.
type Memory<M> = [Option<M>; MAX_SGE];

/// A completion on its way to its handler.
struct InHand<K: Kernel> {
    kernel: K,
    done: reflex_rdma_engine::Completion,
    id: u64,
    memory: Memory<Custody>,
}

impl<K: Kernel> InHand<K> {
    fn new(kernel: K, done: Cqe) -> Self {
        let Cqe { completion: done, id, sges, .. } = done;
        let memory = sges.map(|sge| match sge {
            Sge::Bytes(bytes, _) => Some(Custody::new(bytes)),
            Sge::None | Sge::Region(_) => None,
        });
        Self { kernel, done, id, memory }
    }

    /// The handler does not go on. What it has not taken goes back to where it was lent by, unless it is
    /// not to be written to.
    fn give_up(mut self, borrowed: Borrowed) {
        if borrowed == Borrowed::Reusable {
            return;
        }
        for memory in self.memory.iter_mut().flatten() {
            if let Some(bytes) = memory.lend().take() {
                self.kernel.quarantine(bytes.pool(), bytes.len());
                bytes.leak();
            }
        }
    }
}

impl<'a> Completion<'a> {
    fn new(completion: reflex_rdma_engine::Completion, id: u64, sges: Memory<Taking<'a>>) -> Self {
        let route = completion.global_route;
        let length = completion.length as usize
            - if route { ROUTE.min(completion.length as usize) } else { 0 };
        Self {
            id,
            status: completion.status,
            kind: completion.kind,
            queue_pair: completion.queue_pair,
            source: completion.source,
            attachment: completion.attachment,
            solicited: completion.solicited,
            length,
            route,
            sges,
        }
    }

    /// Whether the work succeeded.
    pub fn is_success(&self) -> bool {
        self.status == Status::Success
    }

    /// What was received or read, if it lies in memory that came with the work. Bytes of a datagram's
    /// route are not among it.
    pub fn bytes(&self) -> &[u8] {
        let first = if self.route { ROUTE } else { 0 };
        match self.sges.first() {
            Some(Some(memory)) if self.is_success() => {
                let bytes = memory.bytes();
                bytes.get(first..(first + self.length).min(bytes.len())).unwrap_or(&[])
            }
            _ => &[],
        }
    }

    /// The number that came with the message, if one did.
    pub fn immediate(&self) -> Option<u32> {
        match self.attachment {
            Attachment::Immediate(data) => Some(u32::from_be_bytes(data.0)),
            _ => None,
        }
    }

    /// The memory that the work was posted with, piece by piece, to be posted again or dropped.
    pub fn take_bytes(&mut self) -> Option<Lent<[u8]>> {
        self.sges.iter_mut().flatten().find_map(Taking::take)
    }
}

/// A queue of completions, and their handler's. It is there as long as the handler's context.
/// Copies are of the same.
pub struct CompletionQueue<K: Kernel> {
    pub(crate) rdma: Rdma<K>,
    pub(crate) handle: Handle,
}

impl<K: Kernel> Clone for CompletionQueue<K> {
    fn clone(&self) -> Self {
        Self::new(self.rdma.clone(), self.handle)
    }
}

impl<K: Kernel> CompletionQueue<K> {
    pub(crate) fn new(rdma: Rdma<K>, handle: Handle) -> Self {
        Self { rdma, handle }
    }

    /// From now on the handler is called only when a completion comes for which its sender asked
    /// for that ([`SendRequest::solicited`](crate::SendRequest::solicited)), or that tells of a failure: and then
    /// with all that have come. Those of sends wait, too.
    #[must_use]
    pub fn solicited_only(self) -> Self {
        self.rdma.0.with(|shared| {
            let queue = shared.queues.get_mut(self.handle);
            queue.into_iter().for_each(|queue| queue.solicited = true);
        });
        self
    }

    /// Has the handler called with the completions that wait, whatever they are.
    pub fn hand_over(&self) {
        let inner = &self.rdma.0;
        inner.kernel.guarded(|| {
            let event = inner.with(|shared| {
                let queue = shared.queues.get_mut(self.handle)?;
                let waits = !queue.ring.is_empty() && core::mem::take(&mut queue.armed);
                queue.event.filter(|_| waits)
            });
            event.into_iter().for_each(|event| inner.activate(event));
        });
    }
}

impl<K: Kernel> Rdma<K> {
    /// Hands completions to their handler. A run of its registration.
    pub(crate) fn hand_completions(
        &self,
        handle: Handle,
        mut call: impl FnMut(&mut Completion<'_>),
    ) {
        let inner = &self.0;
        let kernel = &inner.kernel;
        for _ in 0..BATCH {
            let told = Cell::new(None);
            let take = || {
                let done = inner.with(|shared| shared.take_completion(handle));
                let done = InHand::new(kernel.clone(), done.ok_or(false)?);
                told.set(Some((done.done, done.id)));
                Ok(done)
            };
            let work = |memory: Memory<Taking<'_>>| {
                if let Some((done, id)) = told.take() {
                    call(&mut Completion::new(done, id, memory));
                }
            };
            if !kernel.hand(take, |done| &mut done.memory, InHand::give_up, work, |_, ()| true) {
                return;
            }
        }
        let more = inner.with(|shared| {
            let queue = shared.queues.get_mut(handle)?;
            queue.armed |= queue.ring.is_empty();
            queue.event.filter(|_| !queue.armed)
        });
        if let Some(event) = more {
            inner.activate(event);
        }
    }
}

impl Shared {
    /// Takes the oldest completion of a queue. The place that its work had can be taken again.
    fn take_completion(&mut self, handle: Handle) -> Option<Cqe> {
        let done = self.queues.get_mut(handle)?.next()?;
        match self.pair(done.pair) {
            Ok(entry) => {
                entry.queues[done.from.side()].waiting -= 1;
                match done.from {
                    WorkQueue::Sends => entry.sends.left += 1,
                    WorkQueue::Receives => entry.receives.left += 1,
                    WorkQueue::Shared(_) => {}
                }
            }
            // The queue pair is gone: its place here goes, too.
            Err(_) => self.queues.get_mut(handle)?.reserved -= 1,
        }
        if let WorkQueue::Shared(share) = done.from
            && let Some(share) = self.shares.get_mut(share)
        {
            share.receives.left += 1;
        }
        Some(done)
    }
}
