//! What becomes of what a failed context had: a step of the supervisor's each.
//!
//! - its registrations end, and what their handlers have captured is dropped; but the handler that
//!   ran is forgotten, as is the state: in what condition they are nobody knows;
//! - its own boxes are reclaimed all at once; what it has lent stays taken until it comes back;
//! - values that the library OS held on its stack are rescued (`Kernel::rescued`);
//! - whoever keeps something for it is told (`Kernel::on_end`);
//! - what it took from the global heap is lost, and counted.

use crate::dispatch::{activate_deferred, with_core};
use crate::guard::{DOOMED, Rescue};
use crate::section::{self, section};
use crate::supervise::{Life, Supervision};
use crate::{exclude, guard, memory, registry, report, supervisor, timer};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reflex_event::ContextId;
use reflex_memory::Cursor;

/// How far the cleaning up has come.
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    Tell,
    Readmit,
    Rescue,
    Unregister,
    Mourn,
    Reclaim(Cursor),
    Finish,
}

impl Phase {
    pub(crate) const FIRST: Self = Self::Tell;
}

/// Bytes of the global heap that were lost with contexts.
static LOST: AtomicU64 = AtomicU64::new(0);

impl Supervision {
    /// Does a bounded piece of the cleaning up.
    pub(crate) fn step(&'static self) {
        let context = section(|cs| self.context(cs));
        let next = match self.phase.get() {
            Phase::Tell => {
                self.tell();
                Phase::Readmit
            }
            Phase::Readmit => match section(|cs| exclude::readmit_one(cs, context)) {
                true => Phase::Readmit,
                false => Phase::Rescue,
            },
            Phase::Rescue => match self.rescues.take() {
                Some(node) => {
                    // SAFETY: the context has been given up, and the node is off the list.
                    self.rescues.set(unsafe { Rescue::carry_out(node) });
                    Phase::Rescue
                }
                None => Phase::Unregister,
            },
            Phase::Unregister => self.unregister(context),
            Phase::Mourn => match section(|cs| registry::at(cs, context).ok()?.next_mourner(cs)) {
                Some(event) => {
                    // Nobody registered any more is nobody to be told.
                    let _ = section(|cs| activate_deferred(cs, event, 1));
                    Phase::Mourn
                }
                None => Phase::Reclaim(Cursor::default()),
            },
            Phase::Reclaim(cursor) => {
                let pool = section(|cs| registry::parts(cs, context)).map(|(pool, _)| pool);
                // SAFETY: the context has been given up: nothing of its code goes on, and its
                // stack and its state are never looked at again. Its handlers' captures are
                // `Send`, so that no box of its own was among them.
                match pool.ok().and_then(|pool| unsafe { pool.reclaim(cursor) }) {
                    Some(cursor) => Phase::Reclaim(cursor),
                    None => Phase::Finish,
                }
            }
            Phase::Finish => return self.finish(),
        };
        self.phase.set(next);
    }

    /// Says what has happened.
    fn tell(&'static self) {
        let obituary = section(|cs| self.obituary(cs));
        log::error!("{obituary}");
        if report::take(obituary, self.registers.get(), &self.stack) {
            supervisor::print();
        }
    }

    /// Ends one registration.
    fn unregister(&'static self, context: ContextId) -> Phase {
        let Ok((pool, _)) = section(|cs| registry::parts(cs, context)) else {
            return Phase::Finish;
        };
        if let Some(handler) = self.unfinished.take() {
            // SAFETY: it was being called, or dropped, by somebody who does not go on. What it
            // has captured is forgotten.
            unsafe {
                section(|cs| handler.drop_extras(cs, pool));
                handler.free(pool);
            }
            return Phase::Unregister;
        }
        let ended = section(|cs| {
            let handler = with_core(cs, |core| {
                let event = core.first_of(context).ok().flatten()?;
                Some(core.unregister(event).ok()?.handler)
            })?;
            if let Some(handler) = handler {
                self.unfinished.set(Some(handler));
                // SAFETY: the core gave it back, so it does not run and is never called again.
                unsafe { handler.drop_extras(cs, pool) };
            }
            Some(handler)
        });
        match ended {
            None => Phase::Mourn,
            Some(None) => Phase::Unregister,
            Some(Some(handler)) => {
                supervisor::set_heir_of(Some(self));
                // SAFETY: as above. When this does not come to its end, the rest is forgotten.
                guard::unguarded(|| unsafe { handler.drop_captured() });
                supervisor::set_heir_of(None);
                self.unfinished.set(None);
                // SAFETY: as above.
                unsafe { handler.free(pool) };
                Phase::Unregister
            }
        }
    }

    /// Everything has been given back but the state.
    fn finish(&'static self) {
        let context = section(|cs| self.context(cs));
        let pool = section(|cs| registry::parts(cs, context)).map(|(pool, _)| pool);
        for block in self.blocks.take().into_iter().flatten() {
            if let Ok(pool) = pool {
                // SAFETY: the block was a leaked one's, of the state or its cell, which nobody
                // looks at again: the context has no handlers. What is in it is forgotten.
                unsafe { registry::free_block(block, pool) };
            }
        }
        memory::close_reserve(self.reserve());
        section(|cs| {
            if self.constructor.get().is_some() {
                registry::forget_state(cs, context);
            }
            let lost = self.heap.take().max(0) as u64;
            LOST.fetch_add(lost, Relaxed);
            self.lost.set(lost);
            supervisor::cleaned_up(cs, self);
            self.failed(cs);
        });
        // A cloner's child is not restarted: it waits to be made again.
        let member = section(|cs| registry::at(cs, context).ok()?.member.get(cs));
        if let Some(member) = member {
            let _ = section(|cs| timer::disarm(cs, self.timer.get()));
            self.life.set(Life::Beginning);
            // SAFETY: nothing of the context goes on, as said above.
            match unsafe { member.restore() } {
                Ok(_) => section(|cs| self.born(cs)),
                Err(error) => section(|cs| self.refused(cs, error)),
            }
        }
    }
}

/// The running context has taken `bytes` from the global heap, or given them back if that is less
/// than 0. The caller is in a section of its own; what is taken in another around that is the
/// kernel's, and nobody's.
pub fn account_heap(bytes: i64) {
    if !supervisor::is_made() || !section::is_outermost() {
        return;
    }
    section(|cs| {
        let context = with_core(cs, |core| {
            let context = core.running()?;
            // What a guarded call takes is not the context's.
            (core.machine(context).guards & !DOOMED == 0).then_some(context)
        });
        let Some(context) = context else { return };
        if let Ok(Some(mut supervision)) = registry::supervision(cs, context) {
            if supervisor::is_supervisor(cs, context) {
                // What it gives back was the dead one's.
                supervision = supervisor::heir_of(cs).unwrap_or(supervision);
            }
            supervision.heap.set(supervision.heap.get() + bytes);
        }
    });
}

/// Bytes of the global heap that were lost with contexts that were given up: what they had taken
/// in their own handlers, less what they had given back.
pub fn lost_heap() -> u64 {
    LOST.load(Relaxed)
}
