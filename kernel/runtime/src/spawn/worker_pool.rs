//! The children of a cloner, as far as they are the same whatever their state is: what
//! [`Children`](reflex_event::Children) decides, carried out on the machine.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::workers::with;
use crate::context::{policy, registry};
use crate::cpu::local::Local;
use crate::cpu::workers::{Worker, WorkerPool, WorkerRef};
use crate::dispatch::event_core::{note, timestamp, with_core};
use crate::dispatch::section::{Section, section};
use crate::event::activate::{begin_deferred, carry_out};
use crate::event::table;
use crate::spawn::inherit;
use reflex_event::{Attribute, Claim, ContextId, Error, EventId, Limits, Outcome, Priority};
use reflex_memory::{Cursor, Pool};

impl WorkerRef {
    /// Adds a child to the worker pool, idle.
    pub(crate) fn join(
        workers: &'static Local<WorkerPool>,
        number: u16,
        (context, start): (ContextId, EventId),
        limits: Limits,
        mut worker: Worker,
    ) -> Result<(), Error> {
        worker.whole = worker.pool.available();
        section(|cs| {
            registry::get(cs, context)?.worker_ref.set(cs, Some(Self { workers, number }));
            let names = (context, start);
            let added = with(cs, workers, |workers, core| {
                workers.children.add(core, names, limits, worker, timestamp)
            })?;
            carry_out(cs, added);
            Ok(())
        })
    }

    pub(crate) fn of(workers: &'static Local<WorkerPool>, number: u16) -> Self {
        Self { workers, number }
    }

    /// Lets a child that has just begun inherit what it is to inherit.
    pub(crate) fn inherit(self) {
        let (from, to) = section(|cs| {
            self.with(cs, |workers, _, number| {
                (workers.inherits_from, workers.children.names(number))
            })
        });
        if let (Some(from), Some((to, _))) = (from, to)
            && inherit::all(from, to).is_err()
        {
            // Its handler runs all the same; what it lacks its parent is told.
            section(|cs| policy::refuse(cs, from));
        }
    }

    /// The child's life is over and its state as new: it is idle, under another name. Runs in the
    /// child's context, with nothing left on its stack but the start handler.
    pub(crate) fn end(self) {
        let (Worker { pool, whole, .. }, names) = section(|cs| {
            self.with(cs, |workers, _, number| {
                (*workers.children.machine(number), workers.children.names(number))
            })
        });
        if pool.available() < whole {
            let mut at = Some(Cursor::default());
            while let Some(from) = at {
                // SAFETY: the handlers of this life have returned, its registrations and its state
                // are gone: nothing of it goes on or is used.
                at = unsafe { pool.reclaim(from) };
            }
            // What is lent out comes back when it comes back.
            let whole = pool.available();
            section(|cs| {
                self.with(cs, |workers, _, number| workers.children.machine(number).whole = whole);
            });
        }
        let Some((context, _)) = names else { return };
        while let Some(watcher) =
            section(|cs| registry::get(cs, context).ok()?.next_exit_watcher(cs))
        {
            section(|cs| begin_deferred(cs, watcher));
        }
        section(|cs| {
            let ended = self
                .with(cs, |workers, core, number| workers.children.end(core, number, timestamp));
            carry_out(cs, ended);
        });
    }

    /// Ends every registration of a child but its start event: its life is over as soon as none
    /// of its handlers is on its stack.
    pub(crate) fn leave(self) -> Result<(), Error> {
        let names =
            section(|cs| self.with(cs, |workers, _, number| workers.children.names(number)));
        let (context, start) = names.ok_or(Error::NoContext)?;
        let ended = table::each(context, |event, _| {
            if event != start {
                let _ = section(|cs| table::unregister(cs, event));
            }
            Ok(())
        });
        match ended {
            // It has come to its end with the last of them.
            Err(Error::NoContext) => Ok(()),
            ended => ended,
        }
    }
}

/// Makes a context that runs no handlers the queueing context of a worker pool.
pub(crate) fn set_queueing(
    workers: &'static Local<WorkerPool>,
    queueing: ContextId,
) -> Result<(), Error> {
    section(|cs| {
        registry::get(cs, queueing)?.worker_pool.set(cs, Some(workers));
        note(with_core(cs, |core| core.set_taken(queueing, None, timestamp()))?);
        Ok(())
    })
}

/// Has occurrences of a cloner's event offered before they are queued.
pub(crate) fn watch(event: EventId) -> Result<(), Error> {
    section(|cs| with_core(cs, |core| core.set_attribute(event, Attribute::Watched, true)))
}

/// Claims an idle child for a source, which builds data in the child's pool.
///
/// # Errors
/// [`Error::Busy`] when none is idle; the event to be [told](set_freed) is told when one is.
pub(crate) fn claim(workers: &'static Local<WorkerPool>) -> Result<(Claim, &'static Pool), Error> {
    section(|cs| {
        let (claim, outcome, pool) = with(cs, workers, |workers, core| {
            let (claim, outcome) = workers.children.claim(core, timestamp)?;
            Ok::<_, Error>((claim, outcome, workers.children.machine(claim.child).pool))
        })?;
        note(outcome);
        Ok((claim, pool))
    })
}

/// Gives a claimed child back, if the claim has not become void.
pub(crate) fn give_back(workers: &'static Local<WorkerPool>, claim: Claim) {
    section(|cs| {
        let given_back =
            with(cs, workers, |workers, core| workers.children.give_back(core, claim, timestamp));
        carry_out(cs, given_back);
    });
}

/// Has a claimed child begin, once `put` has put its data where it finds it. Returns the child's
/// name; `None` when it was given up meanwhile: then nothing has been put anywhere.
pub(crate) fn call(
    workers: &'static Local<WorkerPool>,
    claim: Claim,
    put: impl FnOnce(&Section),
) -> Option<ContextId> {
    section(|cs| {
        let called = with(cs, workers, |workers, _| {
            let start = workers.children.call(claim)?;
            Ok((start, workers.children.names(claim.child)))
        });
        match called {
            Ok((start, names)) => {
                put(cs);
                begin_deferred(cs, start);
                names.map(|(context, _)| context)
            }
            Err(void) => {
                carry_out(cs, void);
                None
            }
        }
    })
}

/// Has `event` activated when a child has become idle after one was asked for in vain.
pub(crate) fn set_freed(workers: &'static Local<WorkerPool>, event: Option<EventId>) {
    section(|cs| with(cs, workers, |workers, _| workers.children.set_freed(event)));
}

/// Gives the event and every child another priority: a section a child.
pub(crate) fn set_priority(
    workers: &'static Local<WorkerPool>,
    event: EventId,
    priority: Priority,
) -> Result<(), Error> {
    section(|cs| -> Result<(), Error> {
        note(with(cs, workers, |workers, core| {
            workers.children.set_priority(priority);
            core.set_priority(event, priority)
        })?);
        Ok(())
    })?;
    let mut child = 0;
    while section(|cs| {
        let outcome = with(cs, workers, |workers, core| {
            let (_, start) = workers.children.names(child)?;
            // One that is down gets it when it is made anew.
            Some(core.set_priority(start, priority).unwrap_or(Outcome::Continue))
        });
        outcome.map(note).is_some()
    }) {
        child += 1;
    }
    Ok(())
}
