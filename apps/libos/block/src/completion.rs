//! Requests that are done, on their way to their handler.

use crate::state::Told;
use crate::{Device, Failure, Operation};
use core::cell::Cell;
use reflex_event::{Borrowed, Kernel};
use reflex_hil::{PIECES, Pieces};
use reflex_memory::{Custody, Lend, Lent, Taking};

/// Most completions handled in one run: then others of the same priority have their turn.
const BATCH: u32 = 32;

/// A request that is done, with its memory, as its handler has it. What that does not take goes back to where it was
/// lent by. When the handler is given up, it goes back only if memory of its context's is [used again at
/// once](Borrowed::Reusable); else it stays as it is, which the context that has lent it is told.
#[derive(Debug)]
pub struct Completion<'a> {
    /// The request's.
    pub id: u64,
    /// What it was.
    pub operation: Operation,
    /// How it went.
    pub result: Result<(), Failure>,
    lengths: [u32; PIECES],
    memory: Custodies<Taking<'a>>,
}

/// The pieces of memory of a request.
type Custodies<M> = [Option<M>; PIECES];

/// A completion on its way to its handler.
struct InHand<K: Kernel> {
    kernel: K,
    memory: Custodies<Custody>,
}

impl<K: Kernel> InHand<K> {
    fn memory(&mut self) -> &mut Custodies<Custody> {
        &mut self.memory
    }

    /// The handler does not go on. What it has not taken goes back to where it was lent by, unless it is not to be
    /// written to.
    fn give_up(mut self, borrowed: Borrowed) {
        let left = self.memory.iter_mut().flatten().filter(|_| borrowed != Borrowed::Reusable);
        for bytes in left.filter_map(|memory| memory.lend().take()) {
            self.kernel.quarantine(bytes.pool(), bytes.len());
            bytes.leak();
        }
    }
}

impl Completion<'_> {
    /// Whether it succeeded.
    pub fn is_success(&self) -> bool {
        self.result.is_ok()
    }

    /// What was read or written, of the first piece of memory. Nothing when the request failed, or it was taken.
    pub fn bytes(&self) -> &[u8] {
        let memory = self.memory.first().and_then(Option::as_ref).filter(|_| self.is_success());
        let bytes = memory.map_or(&[] as &[u8], Taking::bytes);
        bytes.get(..self.lengths[0] as usize).unwrap_or(&[])
    }

    /// The memory that the request was submitted with, piece by piece, to be used again or dropped. None of a request
    /// that the device had when its deadline came or it was cancelled: that memory goes back when the device is done
    /// with it.
    pub fn take_bytes(&mut self) -> Option<Lent<[u8]>> {
        self.memory.iter_mut().flatten().find_map(Taking::take)
    }
}

/// Memory in custody, and how much of each piece counts.
fn custody(memory: Pieces) -> ([u32; PIECES], Custodies<Custody>) {
    let lengths = memory.each_ref().map(|piece| piece.as_ref().map_or(0, |piece| piece.length));
    (lengths, memory.map(|piece| piece.map(|piece| Custody::new(piece.bytes))))
}

impl<K: Kernel> Device<K> {
    /// Tells a disk's handler of what is done. A run of its registration.
    pub(crate) fn tell(&self, at: u16, number: u64, mut call: impl FnMut(&mut Completion<'_>)) {
        let inner = &self.0;
        for _ in 0..BATCH {
            let head = Cell::new(None);
            let take = || {
                let told = inner.with(|state| state.next_told(at, number)).ok_or(false)?;
                let Told { id, operation, result, memory } = told;
                let (lengths, memory) = custody(memory);
                head.set(Some((id, operation, result, lengths)));
                Ok(InHand { kernel: inner.kernel.clone(), memory })
            };
            let work = |memory: Custodies<Taking<'_>>| {
                if let Some((id, operation, result, lengths)) = head.take() {
                    call(&mut Completion { id, operation, result, lengths, memory });
                }
            };
            let told = inner.kernel.hand(take, InHand::memory, InHand::give_up, work, |_, ()| true);
            if !told {
                return;
            }
        }
        let more = inner.with(|state| {
            let disk = crate::state::disk(&mut state.disks, at, number).ok()?;
            disk.armed |= disk.done.first().is_none();
            disk.event.filter(|_| !disk.armed)
        });
        more.into_iter().for_each(|event| inner.activate(event));
    }
}
