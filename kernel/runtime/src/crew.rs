//! The children of a cloner, as far as they are the same whatever their state is: who is idle, who
//! takes the next occurrence, when a life is over.
//!
//! ```text
//!         an occurrence taken, its start begins
//!   Idle ---------------------------------------> Lives --+ registrations of its own are left
//!    |  \                                          ^  |   |
//!    |   \ claimed by a source      begins         |  +<--+
//!    |    +--> Claimed ---> Called ----------------+  |
//!    |             data built                         |
//!    +<-----------------------------------------------+
//!           its handler has returned, nothing is left
//! ```
//!
//! The event belongs to a context of its own, the front, which never runs: its activations are
//! taken one by one ([`Core::take`](reflex_event::Core::take)) by the children. So occurrences
//! that find all children busy wait as any others do, in order and counted. Whom to tell of one is
//! always the first idle child's start event, which is an ordinary event of that child.

use crate::bound::Handler;
use crate::dispatch::{note, timestamp, with_core};
use crate::local::Local;
use crate::section::{Section, section};
use crate::{inherit, policy, registry, table};
use alloc::vec::Vec;
use core::ptr::NonNull;
use reflex_event::{
    Accumulation, Activation, ContextId, Error, EventId, Info, Limits, Priority, Registration,
    Trait,
};
use reflex_memory::{Cursor, Pool};

/// No child.
const NOBODY: u16 = u16::MAX;

/// What a child is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    /// A source builds its data.
    Claimed,
    /// Its data is there, its handler is to run.
    Called,
    /// It has been given an occurrence.
    Given(Activation),
    /// Its handler runs, or has left registrations.
    Lives,
}

/// What a child's start event has been activated for.
pub(crate) enum Begin {
    /// An occurrence of the cloner's event.
    Occurred(Activation),
    /// Data that a source has built.
    Called,
    /// To see whether its life is over.
    Again,
    /// Somebody else was faster.
    Nothing,
}

/// How the start handler of a child that was given up is made anew.
///
/// # Safety
/// The place is that of the child's chair, and none of the child's handlers is under way.
pub(crate) type Restore = unsafe fn(NonNull<()>, &'static Pool) -> Result<Handler, Error>;

/// One child.
#[derive(Clone, Copy)]
pub(crate) struct Seat {
    context: ContextId,
    start: EventId,
    pool: &'static Pool,
    /// Free bytes of its pool when it is idle.
    whole: usize,
    phase: Phase,
    /// Neighbours among the idle.
    previous: u16,
    next: u16,
    /// What it was made with.
    limits: Limits,
    chair: NonNull<()>,
    restore: Restore,
}

// SAFETY: the chair is looked at by its child's own handlers, or by the supervisor when none of these
// goes on; here it is a name.
unsafe impl Send for Seat {}

impl Seat {
    pub(crate) fn new(
        context: ContextId,
        start: EventId,
        pool: &'static Pool,
        limits: Limits,
        chair: NonNull<()>,
        restore: Restore,
    ) -> Self {
        let (previous, next) = (NOBODY, NOBODY);
        let phase = Phase::Lives;
        Self { context, start, pool, whole: 0, phase, previous, next, limits, chair, restore }
    }
}

/// All children of one cloner.
pub(crate) struct Crew {
    front: ContextId,
    seats: Vec<Seat>,
    idle: u16,
    /// Who was given an occurrence last.
    given: u16,
    /// Whom to tell when there is an idle child after one was asked for in vain.
    freed: Option<EventId>,
    refused: bool,
    priority: Priority,
    /// Whose registrations the children inherit.
    heir_of: Option<ContextId>,
}

/// A child's place, as its context keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Membership {
    crew: &'static Local<Crew>,
    number: u16,
}

impl Crew {
    pub(crate) fn new(
        front: ContextId,
        children: u16,
        priority: Priority,
        heir_of: Option<ContextId>,
    ) -> Result<Self, Error> {
        let mut seats = Vec::new();
        seats.try_reserve_exact(usize::from(children)).map_err(|_| Error::HeapExhausted)?;
        let (idle, given, freed, refused) = (NOBODY, NOBODY, None, false);
        Ok(Self { front, seats, idle, given, freed, refused, priority, heir_of })
    }

    #[inline]
    fn seat(&mut self, number: u16) -> &mut Seat {
        &mut self.seats[usize::from(number)]
    }

    /// Has the first idle child told of occurrences.
    fn notify(&mut self, cs: &Section) {
        let first = self.seats.get(usize::from(self.idle)).map(|seat| seat.start);
        let told = with_core(cs, |core| core.set_notified(self.front, first, timestamp));
        if let Ok(outcome) = told {
            note(outcome);
        }
    }

    /// Takes a child out of the idle.
    fn remove(&mut self, cs: &Section, number: u16) {
        let seat = self.seat(number);
        let (previous, next) = (seat.previous, seat.next);
        if next != NOBODY {
            self.seat(next).previous = previous;
        }
        if previous != NOBODY {
            self.seat(previous).next = next;
            return;
        }
        self.idle = next;
        self.notify(cs);
    }

    /// Puts a child first among the idle: its memory was touched last. Returns whom to tell of
    /// that, which is to be done when the crew is not borrowed any more.
    #[must_use]
    fn push(&mut self, cs: &Section, number: u16) -> Option<EventId> {
        let next = core::mem::replace(&mut self.idle, number);
        if next != NOBODY {
            self.seat(next).previous = number;
        }
        let seat = self.seat(number);
        (seat.previous, seat.next, seat.phase) = (NOBODY, next, Phase::Idle);
        self.notify(cs);
        if core::mem::take(&mut self.refused) { self.freed } else { None }
    }
}

/// Puts a child among the idle, and tells whoever has asked for one in vain.
fn push(cs: &Section, crew: &Local<Crew>, number: u16) {
    if let Some(event) = crew.with(cs, |crew| crew.push(cs, number)) {
        activate(cs, event);
    }
}

/// Activates an event that may have been ended.
fn activate(cs: &Section, event: EventId) {
    let _ = crate::dispatch::activate_deferred(cs, event, 1);
}

impl Membership {
    /// Adds a child to the crew, idle.
    pub(crate) fn join(crew: &'static Local<Crew>, mut seat: Seat) -> Result<(), Error> {
        seat.whole = seat.pool.available();
        section(|cs| {
            let context = seat.context;
            let member = &registry::at(cs, context)?.member;
            let number = crew.with(cs, |crew| {
                // There is capacity: it was reserved with the crew.
                crew.seats.push(seat);
                (crew.seats.len() - 1) as u16
            });
            member.set(cs, Some(Self { crew, number }));
            push(cs, crew, number);
            Ok(())
        })
    }

    pub(crate) fn of(crew: &'static Local<Crew>, number: u16) -> Self {
        Self { crew, number }
    }

    /// Runs `work` on the crew and the child's number, in a section.
    #[cfg_attr(debug_assertions, track_caller)]
    fn with<R>(self, work: impl FnOnce(&Section, &mut Crew, u16) -> R) -> R {
        section(|cs| self.crew.with(cs, |crew| work(cs, crew, self.number)))
    }

    /// The child's start event has been activated: what for.
    pub(crate) fn begin(self) -> Begin {
        self.with(|cs, crew, number| {
            match crew.seat(number).phase {
                Phase::Claimed => return Begin::Nothing,
                Phase::Lives => return Begin::Again,
                Phase::Called => {
                    crew.seat(number).phase = Phase::Lives;
                    return Begin::Called;
                }
                Phase::Given(activation) => {
                    crew.seat(number).phase = Phase::Lives;
                    return Begin::Occurred(activation);
                }
                Phase::Idle => {}
            }
            let Ok(Some(activation)) = with_core(cs, |core| core.take(crew.front)) else {
                return Begin::Nothing;
            };
            crew.seat(number).phase = Phase::Lives;
            crew.remove(cs, number);
            Begin::Occurred(activation)
        })
    }

    /// Lets a child that has just begun inherit what it is to inherit.
    pub(crate) fn inherit(self) {
        let (from, to) = self.with(|_, crew, number| (crew.heir_of, crew.seat(number).context));
        if let Some(from) = from
            && inherit::all(from, to).is_err()
        {
            // Its handler runs all the same; what it lacks its parent is told.
            section(|cs| policy::refuse(cs, from));
        }
    }

    /// Whether the child's life is over: its handler has returned and it has no registrations.
    pub(crate) fn is_over(self) -> bool {
        self.with(|cs, crew, number| {
            let context = crew.seat(number).context;
            with_core(cs, |core| core.condition(context)).is_ok_and(|(_, live)| live == 1)
        })
    }

    /// The child's life is over and its state as new: it is idle, under another name. Runs in the
    /// child's context, on whose stack nothing is left but the start handler.
    pub(crate) fn end(self) {
        let (pool, whole, context) = self.with(|_, crew, number| {
            let Seat { pool, whole, context, .. } = *crew.seat(number);
            (pool, whole, context)
        });
        if pool.available() < whole {
            let mut at = Some(Cursor::default());
            while let Some(from) = at {
                // SAFETY: the handlers of this life have returned, its registrations and its state
                // are gone: nothing of it goes on or is used.
                at = unsafe { pool.reclaim(from) };
            }
            // What is lent out comes back when it comes back.
            self.with(|_, crew, number| crew.seat(number).whole = pool.available());
        }
        while let Some(mourner) = section(|cs| registry::at(cs, context).ok()?.next_mourner(cs)) {
            section(|cs| activate(cs, mourner));
        }
        section(|cs| {
            if let Ok(name) = with_core(cs, |core| core.renew_running(context)) {
                self.crew.with(cs, |crew| crew.seat(self.number).context = name);
                push(cs, self.crew, self.number);
            }
            // Else somebody has registered something with it meanwhile, or it is to stop.
        });
    }

    /// A registration of the child has ended; if it was its last, its life is looked at.
    pub(crate) fn left(self, cs: &Section, context: ContextId) {
        let Seat { start, phase, .. } = self.crew.with(cs, |crew| *crew.seat(self.number));
        let alone = with_core(cs, |core| {
            let last = core.condition(context).is_ok_and(|(_, live)| live == 1);
            last && core.serving(context) != Some(start)
        });
        if alone && phase == Phase::Lives {
            activate(cs, start);
        }
    }

    /// Ends every registration of a child but its start event: its life is over as soon as none
    /// of its handlers is on its stack.
    pub(crate) fn leave(self) -> Result<(), Error> {
        let (context, start) = self.with(|_, crew, number| {
            let seat = crew.seat(number);
            (seat.context, seat.start)
        });
        // The start event was registered first, so it comes last.
        while section(|cs| {
            match with_core(cs, |core| core.first_of(context)) {
                Ok(Some(event)) if event != start => table::unregister(cs, event).map(|_| true),
                // Nothing is left, or it has come to its end with the last of them.
                _ => Ok(false),
            }
        })? {}
        Ok(())
    }

    /// A child was given up in the middle of a handler; its registrations are ended, its own
    /// blocks reclaimed, it is held. It becomes idle again, under another name.
    ///
    /// # Safety
    /// Nothing of what ran in the context goes on, and nothing is on its stack.
    pub(crate) unsafe fn restore(self) -> Result<ContextId, Error> {
        let (context, pool, limits, chair, restore, priority) = self.with(|_, crew, number| {
            let priority = crew.priority;
            let Seat { context, pool, limits, chair, restore, .. } = *crew.seat(number);
            (context, pool, limits, chair, restore, priority)
        });
        let name = section(|cs| with_core(cs, |core| core.renew(context, limits)))?;
        // SAFETY: the chair is the child's; the rest is the caller's duty.
        let handler = unsafe { restore(chair, pool) }?;
        let start = Registration { priority, ..Registration::default() };
        let start = table::register(name, start, handler)?;
        section(|cs| {
            self.crew.with(cs, |crew| {
                let seat = crew.seat(self.number);
                (seat.context, seat.start, seat.whole) = (name, start, pool.available());
                if seat.phase == Phase::Idle {
                    crew.remove(cs, self.number);
                }
            });
            push(cs, self.crew, self.number);
            with_core(cs, |core| core.release(name)).map(note)
        })?;
        Ok(name)
    }
}

/// Gives occurrences of the cloner's event to an idle child, if there is one, nobody waits before
/// them, and they are for one child. Returns the child's start event, which is to be activated.
pub(crate) fn offer(
    cs: &Section,
    crew: &'static Local<Crew>,
    info: Info,
    event: EventId,
    count: u32,
) -> Option<EventId> {
    let counts = info.registration.accumulation == Accumulation::Count;
    if info.pending != 0 || info.disabled.is_some() || count != 1 && !counts {
        return None;
    }
    crew.with(cs, |crew| {
        if let Some(seat) = crew.seats.get_mut(usize::from(crew.given))
            && let Phase::Given(given) = &mut seat.phase
            && counts
        {
            // It has not begun yet.
            given.count = given.count.checked_add(count)?;
            return Some(seat.start);
        }
        let number = crew.idle;
        if number == NOBODY {
            return None;
        }
        crew.given = number;
        crew.seat(number).phase = Phase::Given(Activation { event, count });
        crew.remove(cs, number);
        Some(crew.seat(number).start)
    })
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

/// Claims an idle child for a source.
///
/// # Errors
/// [`Error::Busy`] when none is idle; whoever is to be [told](set_freed) will be when one is.
pub(crate) fn claim(crew: &'static Local<Crew>) -> Result<(u16, &'static Pool), Error> {
    section(|cs| {
        crew.with(cs, |crew| {
            let number = crew.idle;
            if number == NOBODY {
                crew.refused = true;
                return Err(Error::Busy);
            }
            crew.seat(number).phase = Phase::Claimed;
            crew.remove(cs, number);
            Ok((number, crew.seat(number).pool))
        })
    })
}

/// Gives a claimed child back.
pub(crate) fn give_back(crew: &'static Local<Crew>, number: u16) {
    section(|cs| push(cs, crew, number));
}

/// Has a claimed child begin, whose data is there. Returns its name.
pub(crate) fn call(crew: &'static Local<Crew>, number: u16) -> ContextId {
    section(|cs| {
        let (start, context) = crew.with(cs, |crew| {
            let seat = crew.seat(number);
            seat.phase = Phase::Called;
            (seat.start, seat.context)
        });
        activate(cs, start);
        context
    })
}

/// Has `event` activated when a child has become idle after one was asked for in vain.
pub(crate) fn set_freed(crew: &'static Local<Crew>, event: Option<EventId>) {
    section(|cs| crew.with(cs, |crew| crew.freed = event));
}

/// Gives the event and every child another priority: a section a child.
pub(crate) fn set_priority(
    crew: &'static Local<Crew>,
    event: EventId,
    priority: Priority,
) -> Result<(), Error> {
    section(|cs| -> Result<(), Error> {
        crew.with(cs, |crew| crew.priority = priority);
        note(with_core(cs, |core| core.set_priority(event, priority))?);
        Ok(())
    })?;
    let mut number = 0;
    while section(|cs| {
        let start = crew.with(cs, |crew| crew.seats.get(number).map(|seat| seat.start));
        let set = start.map(|start| with_core(cs, |core| core.set_priority(start, priority)));
        if let Some(Ok(outcome)) = set {
            note(outcome);
        }
        start.is_some()
    }) {
        number += 1;
    }
    Ok(())
}
