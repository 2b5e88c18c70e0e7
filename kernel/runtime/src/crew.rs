//! The children of a cloner, as far as they are the same whatever their state is: what
//! [`Children`] decides, carried out on the machine.
//!
//! A crew is borrowed in a section, together with the core, and never while anything else is called:
//! what a change of its leads to is [carried out](carry_out) when the borrow has ended, since an
//! activation may run a filter, which is an application's code.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::cpu::handler::EventCore;
use crate::cpu::local::Local;
use crate::cpu::supervision::Supervision;
use crate::cpu::workers::{Crew, Membership, Seat};
use crate::dispatch::{activate_deferred, note, timestamp, with_core};
use crate::section::{Section, section};
use crate::{inherit, policy, registry, table};
use reflex_event::{
    Activation, Begin, Claim, ContextId, Effects, Error, EventId, Info, Limits, Outcome, Priority,
    Registration, Trait,
};
use reflex_memory::{Cursor, Pool};

/// Runs `work` on a crew and the core. It calls nothing but these two.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
fn with<R>(
    cs: &Section,
    crew: &Local<Crew>,
    work: impl FnOnce(&mut Crew, &mut EventCore) -> R,
) -> R {
    crew.with(cs, |crew| with_core(cs, |core| work(crew, core)))
}

/// Carries out what a change has led to: in the section of the change, with nothing borrowed.
#[inline(always)]
fn carry_out(cs: &Section, Effects { outcome, activate }: Effects) {
    note(outcome);
    if let Some(event) = activate {
        begin_deferred(cs, event);
    }
}

/// Activates an event that may have been ended.
fn begin_deferred(cs: &Section, event: EventId) {
    let _ = activate_deferred(cs, event, 1);
}

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

    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn with<R>(self, cs: &Section, work: impl FnOnce(&mut Crew, &mut EventCore, u16) -> R) -> R {
        with(cs, self.crew, |crew, core| work(crew, core, self.number))
    }

    /// The child's start event has been activated: what for.
    #[inline]
    pub(crate) fn begin(self) -> Begin {
        section(|cs| {
            let (begin, outcome) =
                self.with(cs, |crew, core, number| crew.children.begin(core, number, timestamp));
            note(outcome);
            begin
        })
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

    /// The child's handler has returned: whether its life is over, as it has no registrations.
    #[inline]
    pub(crate) fn returned(self) -> bool {
        section(|cs| self.with(cs, |crew, core, number| crew.children.returned(core, number)))
    }

    /// The child's life is over and its state as new: it is idle, under another name. Runs in the
    /// child's context, on whose stack nothing is left but the start handler.
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

    /// A registration of the child has ended; if it was its last, its life is looked at.
    pub(crate) fn left(self, cs: &Section) {
        if let Some(start) = self.with(cs, |crew, core, number| crew.children.left(core, number)) {
            begin_deferred(cs, start);
        }
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

    /// The child has been given up.
    pub(crate) fn failed(self, cs: &Section) {
        note(self.with(cs, |crew, core, number| crew.children.failed(core, number, timestamp)));
    }

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
        let (Seat { chair, restore, .. }, context, priority) = section(|cs| {
            self.with(cs, |crew, core, number| {
                let context = crew.children.renew(core, number)?;
                let priority = crew.children.priority();
                Ok::<_, Error>((*crew.children.machine(number), context, priority))
            })
        })?;
        supervision.move_house(context)?;
        let (pool, _) = section(|cs| registry::parts(cs, context))?;
        // SAFETY: the chair is the child's; the rest is the caller's duty.
        let handler = unsafe { restore(chair, pool, supervision.home.reuse) }?;
        let start = Registration { priority, ..Registration::default() };
        let start = table::register(context, start, handler)?;
        let whole = pool.available();
        section(|cs| {
            supervision.born(cs);
            let restored = self.with(cs, |crew, core, number| {
                let seat = crew.children.machine(number);
                (seat.pool, seat.whole) = (pool, whole);
                crew.children.restored(core, number, start, timestamp)
            })?;
            carry_out(cs, restored);
            Ok(())
        })
    }
}

/// Gives an occurrence of the cloner's event to an idle child, if there is one, nobody waits before
/// it, and it is for one child. Returns whether it has, and the event that is to be activated for it.
pub(crate) fn offer(
    cs: &Section,
    crew: &'static Local<Crew>,
    info: Info,
    activation: Activation,
) -> Option<Option<EventId>> {
    let offered =
        with(cs, crew, |crew, core| crew.children.offer(core, info, activation, timestamp))?;
    note(offered.outcome);
    Some(offered.activate)
}

/// Makes a context, none of whose handlers is ever called, the front of a crew.
pub(crate) fn set_front(crew: &'static Local<Crew>, front: ContextId) -> Result<(), Error> {
    section(|cs| {
        registry::at(cs, front)?.front.set(cs, Some(crew));
        note(with_core(cs, |core| core.set_taken(front, None, timestamp()))?);
        Ok(())
    })
}

/// Has occurrences of a cloner's event [offered](offer) before they are queued.
pub(crate) fn watch(event: EventId) -> Result<(), Error> {
    section(|cs| with_core(cs, |core| core.set_trait(event, Trait::Watched, true)))
}

/// Claims an idle child for a source, which builds data in the child's pool.
///
/// # Errors
/// [`Error::Busy`] when none is idle; whoever is to be [told](set_freed) will be when one is.
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
