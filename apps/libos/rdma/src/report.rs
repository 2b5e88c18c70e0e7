//! From the engine to the application: completions with their memory, and what none of them tells.

use crate::inner::Inner;
use crate::shared::Shared;
use crate::table::Handle;
use crate::withheld::Withheld;
use crate::work::{Cqe, Tag, WorkQueue};
use core::cell::RefCell;
use reflex_event::{EventId, Kernel};
use reflex_rdma_device::{InFlight, SgList};
use reflex_rdma_engine::{Completion, Event, Report, Status, Work};
use reflex_rdma_wire::Qpn;

/// The handler of what no completion tells, beside those of the two queues.
const OWN: usize = 2;

/// Where one queue pair's completions go.
pub(crate) struct Reporter<'a, K: Kernel> {
    inner: &'a Inner<K>,
    sends: &'a RefCell<InFlight<Tag>>,
    receives: &'a RefCell<InFlight<u64>>,
    pair: Handle,
    /// Where its receives come from.
    from: WorkQueue,
    withheld: &'a Withheld,
}

impl<'a, K: Kernel> Reporter<'a, K> {
    #[inline]
    pub(crate) fn new(
        inner: &'a Inner<K>,
        sends: &'a RefCell<InFlight<Tag>>,
        receives: &'a RefCell<InFlight<u64>>,
        (pair, withheld): (Handle, &'a Withheld),
        from: WorkQueue,
    ) -> Self {
        Self { inner, sends, receives, pair, from, withheld }
    }

    /// A send that the engine did not take is complete.
    pub(crate) fn refuse(&mut self, id: u64, number: Qpn, work: &Work, status: Status) {
        self.complete(Completion::new(id, number, work.kind(), status));
    }

    #[inline]
    fn push(&self, completion: Completion, id: u64, sges: SgList, from: WorkQueue) {
        let failed = completion.status != Status::Success;
        let mut done = Some(Cqe { pair: self.pair, completion, id, sges, from });
        match self.inner.with(|shared| push(shared, &mut done)) {
            Some(event) if failed => self.withheld.keep(from.side(), event),
            Some(event) => self.inner.activate(event),
            None => {}
        }
        // What nobody waits for any more is dropped here.
    }
}

/// Appends a completion to its queue: the event to activate.
#[inline]
fn push(shared: &mut Shared, done: &mut Option<Cqe>) -> Option<EventId> {
    let Cqe { pair, from, .. } = done.as_ref()?;
    let entry = shared.pairs.get_mut(*pair)?;
    let reserved = &mut entry.queues[from.side()];
    let queue = shared.queues.get_mut(reserved.queue)?;
    let done = done.take()?;
    // It has a place: the queue pair took it when it was made.
    debug_assert!(reserved.waiting < reserved.places && queue.ring.len() < queue.size as usize);
    reserved.waiting += 1;
    queue.push(done)
}

impl<K: Kernel> Report for Reporter<'_, K> {
    #[inline]
    fn complete(&mut self, completion: Completion) {
        let id = completion.id;
        if completion.kind.is_receive() {
            let finished = self.receives.borrow_mut().finish(id);
            if let Some((id, sges)) = finished {
                self.push(completion, id, sges, self.from);
            }
            return;
        }
        let finished = self.sends.borrow_mut().finish(id);
        let Some((tag, sges)) = finished else { return };
        if !tag.signalled && completion.status == Status::Success {
            self.inner.with(|shared| {
                if let Ok(entry) = shared.pair(self.pair) {
                    entry.sends.left += 1;
                }
            });
            return;
        }
        self.push(completion, tag.id, sges, WorkQueue::Sends);
    }

    #[cold]
    fn raise(&mut self, event: Event) {
        let told = self.inner.with(|shared| {
            if let (Event::ReceiveLimitReached, WorkQueue::Shared(share)) = (event, self.from) {
                return shared.shares.get(share)?.told;
            }
            let entry = shared.pairs.get_mut(self.pair)?;
            // Each can happen again before it is told; what it says is then the same.
            if !entry.happened.contains(&event) {
                entry.happened.push_back(event);
            }
            entry.told
        });
        let failed = matches!(event, Event::InvalidRequest | Event::AccessRefused | Event::Fatal);
        match told {
            Some(told) if failed => self.withheld.keep(OWN, told),
            Some(told) => self.inner.activate(told),
            None => {}
        }
    }
}
