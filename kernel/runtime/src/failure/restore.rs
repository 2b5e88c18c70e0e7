//! A cloner's child that was given up is made anew.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::registry;
use crate::cpu::supervision::{Life, Supervision};
use crate::cpu::workers::{Worker, WorkerRef};
use crate::dispatch::event_core::timestamp;
use crate::dispatch::section::section;
use crate::dispatch::timer;
use crate::event::activate::carry_out;
use crate::event::table;
use reflex_event::{Error, Registration};

impl Supervision {
    /// Makes a cloner's child anew that is down; when that cannot be done it is tried again after the
    /// child's back-off.
    pub(crate) fn make_anew(&'static self, worker_ref: WorkerRef) {
        let down = section(|cs| {
            let _ = timer::disarm(cs, self.timer.get());
            let down = self.life.get() == Life::Down;
            if down {
                self.life.set(Life::Beginning);
            }
            down
        });
        if !down {
            return;
        }
        // SAFETY: the context has been given up and cleaned up: nothing of it goes on.
        let restored = unsafe { worker_ref.restore(self) };
        if let Err(error) = restored {
            section(|cs| {
                self.refused(cs, error);
                self.restart_later(cs);
            });
        }
    }
}

impl WorkerRef {
    /// A child was given up, wherever it was; its registrations are ended, its own blocks reclaimed or
    /// quarantined, it is held. It is made anew under another name.
    ///
    /// What this has done when it fails is done again by the next try.
    ///
    /// # Safety
    /// Nothing of what ran in the context goes on, and nothing is on its stack.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::TableFull`].
    pub(crate) unsafe fn restore(self, supervision: &Supervision) -> Result<(), Error> {
        let (Worker { slot, restore, .. }, context, priority) = section(|cs| {
            self.with(cs, |workers, core, number| {
                let context = workers.children.renew(core, number)?;
                let priority = workers.children.priority();
                Ok::<_, Error>((*workers.children.machine(number), context, priority))
            })
        })?;
        supervision.move_house(context)?;
        let (pool, _) = section(|cs| registry::state_and_pool(cs, context))?;
        // SAFETY: the slot is the child's; the rest is the caller's duty.
        let handler = unsafe { restore(slot, pool, supervision.home.reuse) }?;
        let start = Registration { priority, ..Registration::default() };
        let start = table::register(context, start, handler)?;
        let whole = pool.available();
        section(|cs| {
            supervision.started(cs);
            let restored = self.with(cs, |workers, core, number| {
                let worker = workers.children.machine(number);
                (worker.pool, worker.whole) = (pool, whole);
                workers.children.restored(core, number, start, timestamp)
            })?;
            carry_out(cs, restored);
            Ok(())
        })
    }
}
