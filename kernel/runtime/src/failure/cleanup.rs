//! What becomes of what a failed context had: a step of the supervisor's each.
//!
//! - its registrations end, and what their handlers have captured is dropped; but the handler that
//!   ran is forgotten, as is the state: in what condition they are nobody knows;
//! - its own boxes are reclaimed all at once, if its maker has said that nobody has pointers to them;
//!   else they are quarantined with its stack; what it has lent stays taken until it comes back;
//! - what it had begun on behalf of others is [ended](crate::context::scope): what it excluded runs again,
//!   values that the library OS held on its stack are cleaned up;
//! - what keeps something for it is told (`EventSystem::on_end`);
//! - what it took from the global heap is lost, and counted.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{guard, registry};
use crate::cpu::handler::Handler;
use crate::cpu::retired::{Husk, Retired};
use crate::cpu::scope::Scope;
use crate::cpu::shared::SHARED;
use crate::cpu::supervision::{Phase, Supervision};
use crate::dispatch::event_core::{note, with_core};
use crate::dispatch::memory;
use crate::dispatch::section::{Section, section};
use crate::event::activate::activate_deferred;
use crate::failure::{quarantine, queue, report};
use core::sync::atomic::Ordering::Relaxed;
use reflex_event::ContextId;
use reflex_memory::Cursor;

/// What the end of a registration has left to be done.
enum Ended {
    Nothing,
    /// Its handler is to be dropped.
    Handler(Remains),
    /// There was none.
    All,
}

/// A handler of which there is something to be dropped: all that it has captured, or the filter beside
/// it alone.
enum Remains {
    All(Retired),
    Filter(Husk),
}

impl Supervision {
    /// Does a bounded piece of the cleaning up. What goes wrong there is the kernel's own, but for what
    /// handlers have captured.
    pub(crate) fn step(&'static self) {
        // When this does not come to its end, the rest is forgotten.
        let (husk, forgotten) = match guard::guarded(|| self.advance()) {
            None => return,
            Some(Remains::All(handler)) => (handler.drop_all(), false),
            Some(Remains::Filter(husk)) => {
                husk.drop_filter();
                (husk, true)
            }
        };
        guard::guarded(|| {
            queue::set_drops_for(None);
            self.unfinished.set(None);
            if forgotten {
                husk.leave(self.home.reuse);
            } else {
                husk.free();
            }
        });
    }

    /// Whether there is a stack to go on with, should code of the context's fail once more. The caller is
    /// guarded.
    fn may_drop(&self) -> bool {
        self.home.reuse.is_at_once() || quarantine::ready_spare()
    }

    /// The context has been given up in a handler that had been ended. What was noted before was being
    /// dropped meanwhile, and is forgotten at once.
    pub(crate) fn leave_unfinished(&self, cs: &Section, handler: Option<Handler>) {
        let Some(handler) = handler else { return };
        if let Some(before) = self.unfinished.replace(Some(handler))
            && let Ok((pool, _)) = registry::state_and_pool(cs, self.context(cs))
        {
            // SAFETY: the code that was at it does not go on.
            let husk = unsafe { Husk::take_over(before, pool) };
            husk.end_attributes(cs);
            husk.leave(self.home.reuse);
        }
    }

    /// Comes a piece further, unless that is application's code, to drop what is left of a handler.
    fn advance(&'static self) -> Option<Remains> {
        let context = section(|cs| self.context(cs));
        let next = match self.phase.get() {
            Phase::Tell => {
                self.tell();
                Phase::Scopes
            }
            Phase::Scopes => match self.scopes.take() {
                Some(node) => {
                    // SAFETY: the context has been given up, and the node is off the list.
                    self.scopes.set(unsafe { Scope::end(node, self.home.reuse.borrowed()) });
                    Phase::Scopes
                }
                None => Phase::Unregister,
            },
            Phase::Unregister => match self.unregister(context) {
                Ended::Handler(remains) => return Some(remains),
                Ended::Nothing => Phase::Unregister,
                Ended::All => Phase::TellWatchers,
            },
            Phase::TellWatchers => {
                match section(|cs| registry::get(cs, context).ok()?.next_exit_watcher(cs)) {
                    Some(event) => {
                        // Nobody registered any more is nobody to be told.
                        let _ = section(|cs| activate_deferred(cs, event, 1));
                        Phase::TellWatchers
                    }
                    None if self.home.reuse.is_at_once() => Phase::Reclaim(Cursor::default()),
                    None => Phase::Finish,
                }
            }
            Phase::Reclaim(cursor) => {
                let pool =
                    section(|cs| registry::state_and_pool(cs, context)).map(|(pool, _)| pool);
                // SAFETY: the context has been given up: nothing of its code goes on, and its
                // stack and its state are never looked at again. Its handlers' captures are
                // `Send`, so that no box of its own was among them. Nobody else has pointers to
                // its boxes, as its maker has said.
                match pool.ok().and_then(|pool| unsafe { pool.reclaim(cursor) }) {
                    Some(cursor) => Phase::Reclaim(cursor),
                    None => Phase::Finish,
                }
            }
            Phase::Finish => {
                self.finish();
                return None;
            }
        };
        self.phase.set(next);
        None
    }

    /// Says what has happened.
    fn tell(&'static self) {
        let failure_report = section(|cs| self.failure_report(cs));
        log::error!("{failure_report}");
        if report::take(failure_report, self.registers.get(), &self.home.stack()) {
            queue::print();
        }
    }

    /// Ends one registration.
    fn unregister(&'static self, context: ContextId) -> Ended {
        let Ok((pool, _)) = section(|cs| registry::state_and_pool(cs, context)) else {
            return Ended::All;
        };
        if let Some(handler) = self.unfinished.get() {
            // SAFETY: it was being called, or dropped, by code that does not go on.
            let handler = unsafe { Retired::take_over(handler, pool) };
            section(|cs| handler.end_attributes(cs));
            // Unless it is known to be whole; a filter beside it is.
            let husk = handler.forget();
            if husk.has_filter() && self.may_drop() {
                queue::set_drops_for(Some(self));
                return Ended::Handler(Remains::Filter(husk));
            }
            self.unfinished.set(None);
            husk.leave(self.home.reuse);
            return Ended::Nothing;
        }
        let ended = section(|cs| {
            let ended = with_core(cs, |core| {
                let event = core.first_of(context).ok().flatten()?;
                core.unregister(event).ok()
            })?;
            note(ended.outcome);
            let handler = ended.handler;
            Some(handler.map(|handler| {
                self.unfinished.set(Some(handler));
                // SAFETY: the core gave it back, so it does not run and is never called again.
                let handler = unsafe { Retired::take_over(handler, pool) };
                handler.end_attributes(cs);
                handler
            }))
        });
        match ended {
            None => Ended::All,
            Some(None) => Ended::Nothing,
            // When dropping it failed there would be no stack to go on with: it is forgotten.
            Some(Some(_)) if !self.may_drop() => Ended::Nothing,
            Some(Some(handler)) => {
                queue::set_drops_for(Some(self));
                Ended::Handler(Remains::All(handler))
            }
        }
    }

    /// Everything has been given back but the state.
    fn finish(&'static self) {
        let context = section(|cs| self.context(cs));
        let pool = section(|cs| registry::state_and_pool(cs, context)).map(|(pool, _)| pool);
        let blocks = self.blocks.take().into_iter().flatten();
        if let Ok(pool) = pool {
            for block in blocks.filter(|_| self.home.reuse.is_at_once()) {
                // SAFETY: the block was a leaked one's, of the state or its cell, which nobody
                // looks at again: the context has no handlers. What is in it is forgotten, and
                // nobody else has pointers to it, as the context's maker has said.
                unsafe { registry::free_block(block, pool) };
            }
            self.quarantine(pool);
        }
        memory::close_reserve(self.home.reserve());
        // Should there be no memory, filters are refused until the next time.
        let _ = quarantine::ready_filter_stacks();
        section(|cs| {
            if self.constructor.get().is_some() {
                registry::forget_state(cs, context);
            }
            let lost = registry::get(cs, context).map_or(0, |place| place.take_heap(cs));
            SHARED.lost.fetch_add(lost, Relaxed);
            self.lost.set(lost);
            queue::cleaned_up(cs, self);
            self.tell_quarantined(cs);
            self.failed(cs);
        });
        // A cloner's child is not restarted: it waits to be made again.
        if let Some(worker_ref) = section(|cs| registry::get(cs, context).ok()?.worker_ref.get(cs))
        {
            self.make_anew(worker_ref);
        }
    }
}
