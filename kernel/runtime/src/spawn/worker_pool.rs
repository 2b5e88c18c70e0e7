//! The children of a cloner, as far as they are the same whatever their state is: what
//! [`Children`](reflex_event::Children) decides, carried out on the machine.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::workers::with;
use crate::context::{policy, registry};
use crate::cpu::local::Local;
use crate::cpu::workers::{Crew, Membership, Seat};
use crate::dispatch::event_core::{note, timestamp, with_core};
use crate::dispatch::section::{Section, section};
use crate::event::activate::{begin_deferred, carry_out};
use crate::event::table;
use crate::spawn::inherit;
use reflex_event::{Claim, ContextId, Error, EventId, Limits, Outcome, Priority, Trait};
use reflex_memory::{Cursor, Pool};

impl Membership {
    /// Adds a child to the crew, idle.
    pub(crate) fn join(
        crew: &'static Local<Crew>,
        number: u16,
        (context, start): (ContextId, EventId),
        limits: Limits,
        mut seat: Seat,
    ) -> Result<(), Error> {
        seat.whole = seat.pool.available();
        section(|cs| {
            registry::at(cs, context)?.member.set(cs, Some(Self { crew, number }));
            let names = (context, start);
            let added = with(cs, crew, |crew, core| {
                crew.children.add(core, names, limits, seat, timestamp)
            })?;
            carry_out(cs, added);
            Ok(())
        })
    }

    pub(crate) fn of(crew: &'static Local<Crew>, number: u16) -> Self {
        Self { crew, number }
    }

    /// Lets a child that has just begun inherit what it is to inherit.
    pub(crate) fn inherit(self) {
        let (from, to) = section(|cs| {
            self.with(cs, |crew, _, number| (crew.heir_of, crew.children.names(number)))
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
        let (Seat { pool, whole, .. }, names) = section(|cs| {
            self.with(cs, |crew, _, number| {
                (*crew.children.machine(number), crew.children.names(number))
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
                self.with(cs, |crew, _, number| crew.children.machine(number).whole = whole);
            });
        }
        let Some((context, _)) = names else { return };
        while let Some(mourner) = section(|cs| registry::at(cs, context).ok()?.next_mourner(cs)) {
            section(|cs| begin_deferred(cs, mourner));
        }
        section(|cs| {
            let ended =
                self.with(cs, |crew, core, number| crew.children.end(core, number, timestamp));
            carry_out(cs, ended);
        });
    }

    /// Ends every registration of a child but its start event: its life is over as soon as none
    /// of its handlers is on its stack.
    pub(crate) fn leave(self) -> Result<(), Error> {
        let names = section(|cs| self.with(cs, |crew, _, number| crew.children.names(number)));
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

/// Makes a context that runs no handlers the front of a crew.
pub(crate) fn set_front(crew: &'static Local<Crew>, front: ContextId) -> Result<(), Error> {
    section(|cs| {
        registry::at(cs, front)?.front.set(cs, Some(crew));
        note(with_core(cs, |core| core.set_taken(front, None, timestamp()))?);
        Ok(())
    })
}

/// Has occurrences of a cloner's event offered before they are queued.
pub(crate) fn watch(event: EventId) -> Result<(), Error> {
    section(|cs| with_core(cs, |core| core.set_trait(event, Trait::Watched, true)))
}

/// Claims an idle child for a source, which builds data in the child's pool.
///
/// # Errors
/// [`Error::Busy`] when none is idle; the event to be [told](set_freed) is told when one is.
pub(crate) fn claim(crew: &'static Local<Crew>) -> Result<(Claim, &'static Pool), Error> {
    section(|cs| {
        let (claim, outcome, pool) = with(cs, crew, |crew, core| {
            let (claim, outcome) = crew.children.claim(core, timestamp)?;
            Ok::<_, Error>((claim, outcome, crew.children.machine(claim.child).pool))
        })?;
        note(outcome);
        Ok((claim, pool))
    })
}

/// Gives a claimed child back, if the claim has not become void.
pub(crate) fn give_back(crew: &'static Local<Crew>, claim: Claim) {
    section(|cs| {
        let given_back =
            with(cs, crew, |crew, core| crew.children.give_back(core, claim, timestamp));
        carry_out(cs, given_back);
    });
}

/// Has a claimed child begin, once `put` has put its data where it finds it. Returns the child's
/// name; `None` when it was given up meanwhile: then nothing has been put anywhere.
pub(crate) fn call(
    crew: &'static Local<Crew>,
    claim: Claim,
    put: impl FnOnce(&Section),
) -> Option<ContextId> {
    section(|cs| {
        let called = with(cs, crew, |crew, _| {
            let start = crew.children.call(claim)?;
            Ok((start, crew.children.names(claim.child)))
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
pub(crate) fn set_freed(crew: &'static Local<Crew>, event: Option<EventId>) {
    section(|cs| with(cs, crew, |crew, _| crew.children.set_freed(event)));
}

/// Gives the event and every child another priority: a section a child.
pub(crate) fn set_priority(
    crew: &'static Local<Crew>,
    event: EventId,
    priority: Priority,
) -> Result<(), Error> {
    section(|cs| -> Result<(), Error> {
        note(with(cs, crew, |crew, core| {
            crew.children.set_priority(priority);
            core.set_priority(event, priority)
        })?);
        Ok(())
    })?;
    let mut child = 0;
    while section(|cs| {
        let outcome = with(cs, crew, |crew, core| {
            let (_, start) = crew.children.names(child)?;
            // One that is down gets it when it is made anew.
            Some(core.set_priority(start, priority).unwrap_or(Outcome::Continue))
        });
        outcome.map(note).is_some()
    }) {
        child += 1;
    }
    Ok(())
}
