//! Completions, on their way to their handler.

use crate::front::{Done, From};
use crate::post::take_bytes;
use crate::{Attachment, Kind, Rdma, Status};
use reflex_event::Kernel;
use reflex_memory::Lent;
use reflex_rdma_device::{Part, Parts};
use reflex_rdma_wire::Qpn;

/// Most completions handled in one run: then others of the same priority have their turn.
const BATCH: u32 = 32;
/// Bytes of route in front of a datagram's payload.
const ROUTE: usize = 40;

/// Work that is done, with its memory.
#[derive(Debug)]
pub struct Completion {
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
    parts: Parts,
}

impl Completion {
    pub(crate) fn new(done: Done) -> Self {
        let Done { completion, id, parts, .. } = done;
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
            parts,
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
        match self.parts.first() {
            Some(Part::Bytes(bytes, _)) if self.is_success() => {
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
        take_bytes(&mut self.parts)
    }
}

/// A queue of completions, and their handler's. It is there as long as the handler's context.
/// Copies are of the same.
pub struct CompletionQueue<K: Kernel> {
    pub(crate) rdma: Rdma<K>,
    pub(crate) index: u16,
}

impl<K: Kernel> Clone for CompletionQueue<K> {
    fn clone(&self) -> Self {
        Self::new(self.rdma.clone(), self.index)
    }
}

impl<K: Kernel> CompletionQueue<K> {
    pub(crate) fn new(rdma: Rdma<K>, index: u16) -> Self {
        Self { rdma, index }
    }
}

impl<K: Kernel> Rdma<K> {
    /// Hands completions to their handler. A run of its registration.
    pub(crate) fn hand_completions(&self, index: u16, mut handle: impl FnMut(&mut Completion)) {
        let inner = &self.0;
        let kernel = &inner.kernel;
        for _ in 0..BATCH {
            let next = inner.with(|shared| {
                let queue = shared.queues.get_mut(usize::from(index))?.as_mut()?;
                let Some(done) = queue.ring.pop_front() else {
                    queue.armed = true;
                    return None;
                };
                // The place that the work had can be taken again.
                match done.from {
                    From::Sends(pair) => {
                        let pair = shared.pairs.get_mut(usize::from(pair)).and_then(Option::as_mut);
                        let pair = pair.filter(|it| it.number == done.completion.queue_pair);
                        pair.into_iter().for_each(|pair| pair.sends.left += 1);
                    }
                    From::Receives(pair) => {
                        let pair = shared.pairs.get_mut(usize::from(pair)).and_then(Option::as_mut);
                        let pair = pair.filter(|it| it.number == done.completion.queue_pair);
                        pair.into_iter().for_each(|pair| pair.receives.left += 1);
                    }
                    From::Shared(place) => {
                        let place = shared.shares.get_mut(usize::from(place));
                        place.into_iter().flatten().for_each(|it| it.receives.left += 1);
                    }
                }
                Some(done)
            });
            let Some(done) = next else { return };
            // Its memory may be another context's, and goes back whatever becomes of the handler.
            let completion = Completion::new(done);
            kernel.rescued(completion, drop, |completion| kernel.unguarded(|| handle(completion)));
        }
        let more = inner.with(|shared| {
            let queue = shared.queues.get_mut(usize::from(index))?.as_mut()?;
            if queue.ring.is_empty() {
                queue.armed = true;
                return None;
            }
            queue.event
        });
        if let Some(event) = more {
            inner.activate(event);
        }
    }
}
