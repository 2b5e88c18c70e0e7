//! The children of a cloner: what each is doing, which one takes the next occurrence, when a life is over.
//!
//! ```text
//!                offer                    begin          its handler has returned
//!    Idle ───────────────────▶ Due ───────────────▶ Alive ───────────▶ Lingers ◀─┐ registrations of
//!    │  ▲ ├── claim ─▶ Claimed ─┘ call                                 │  │  └────┘ its own are left
//!    │  │ └── begin, with an occurrence that has waited ──▶ Alive      │  │
//!    │  └──── give_back (Claimed), end (Lingers, nothing left) ◀───────┘  │
//!    │                                                                    │
//!    └─ failed ─▶ Failed ◀─ failed, from each of the others ──────────────┘
//!                    └── restored ─▶ Idle; Due, if it was to begin with something
//! ```
//!
//! The event belongs to a context of its own, the queueing context, which never runs: its
//! activations are taken one by one ([`Core::dequeue`]) by the children. So occurrences that find all
//! children busy wait as any others do, in order and counted. The event to tell of one is always the first idle
//! child's start event, which is an ordinary event of that child.
//!
//! | | Idle | Claimed | Due | Alive | Lingers | Failed |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | `offer` | Due | | joined, if it counts | | | |
//! | `claim` | Claimed | | | | | |
//! | `call`, with the claim | | Due | | | | void |
//! | `give_back`, with the claim | | Idle | | | | void |
//! | `begin` | Alive, if one waits | | Alive | | looked at | |
//! | `returned` | | | | Lingers | Lingers | |
//! | `end` | | | | | Idle | |
//! | `failed` | Failed | Failed | Failed, keeps it | Failed | Failed | |
//! | `restored` | | | | | | Idle, or Due |
//!
//! An empty place is a call that changes nothing. What a child has not begun with is not lost when it
//! is given up: it begins with that in its next life.
//!
//! Nothing here activates an event, since that may run a filter, which is an application's code and
//! may come back here: what is to be activated is [returned](Effects), for when the children are not
//! borrowed any more.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::{
    Accumulation, Activation, ContextId, Core, Error, EventId, Info, Limits, Outcome, Priority,
};
use alloc::vec::Vec;

/// No child.
const NOBODY: u16 = u16::MAX;

/// What a child that is due begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// An occurrence of the cloner's event.
    Occurrence(Activation),
    /// Data that a source has built for it.
    Data,
}

/// What a child is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nothing: it may be given an occurrence, or be claimed.
    Idle,
    /// A source builds its data: the one with the claim of this number.
    Claimed(u64),
    /// Its start event has been activated.
    Due(Cause),
    /// Its handler runs.
    Alive,
    /// Its handler has returned, and it has registrations of its own, or is just being looked at.
    Lingers,
    /// It was given up, and is to begin with this when it has been made anew.
    Failed(Option<Cause>),
}

/// What a child's start event has been activated for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// To begin a life.
    Life(Cause),
    /// To see whether its life is over.
    Again,
    /// Nothing any more.
    Nothing,
}

/// What is to be done when the children are not borrowed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "somebody waits for the event, and a preemption that is due must be carried out"]
pub struct Effects {
    /// What it means for the running context.
    pub outcome: Outcome,
    /// The event to activate.
    pub activate: Option<EventId>,
}

impl Effects {
    /// Nothing is to be done.
    const NONE: Self = Self { outcome: Outcome::Continue, activate: None };
}

/// A source's right to a child, until the child is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a claimed child is called or given back"]
pub struct Claim {
    /// Which child.
    pub child: u16,
    /// Of all claims there were.
    number: u64,
}

struct Child<M> {
    phase: Phase,
    /// Neighbours among the idle.
    previous: u16,
    next: u16,
    context: ContextId,
    start: EventId,
    /// What it was made with.
    limits: Limits,
    machine: M,
}

/// All children of one cloner, each with an `M` that the driver keeps with it.
///
/// Every call takes constant time, and the core that the contexts and events are of. `now` is the
/// time, which is asked for only where needed.
pub struct Children<M> {
    queue: ContextId,
    children: Vec<Child<M>>,
    idle: u16,
    /// The child that was made due last by an occurrence.
    due: u16,
    /// The event to tell when there is an idle child after one was asked for in vain.
    freed: Option<EventId>,
    refused: bool,
    priority: Priority,
    /// Claims there were.
    claims: u64,
}

impl<M: Copy> Children<M> {
    /// Room for so many children, which take their occurrences from `queue` and are started by events of this
    /// priority.
    ///
    /// # Errors
    /// [`Error::HeapExhausted`].
    pub fn new(queue: ContextId, most: u16, priority: Priority) -> Result<Self, Error> {
        let mut children = Vec::new();
        children.try_reserve_exact(usize::from(most)).map_err(|_| Error::HeapExhausted)?;
        let (idle, due, freed, refused, claims) = (NOBODY, NOBODY, None, false, 0);
        Ok(Self { queue, children, idle, due, freed, refused, priority, claims })
    }

    #[inline(always)]
    fn at(&mut self, child: u16) -> &mut Child<M> {
        &mut self.children[usize::from(child)]
    }

    /// Adds a child, idle. Its number is how many there were.
    ///
    /// # Errors
    /// [`Error::LimitReached`] when there are as many as there may be.
    pub fn add<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        (context, start): (ContextId, EventId),
        limits: Limits,
        machine: M,
        now: impl FnOnce() -> u64,
    ) -> Result<Effects, Error> {
        let number = self.children.len();
        if number == self.children.capacity() || number >= usize::from(NOBODY) {
            return Err(Error::LimitReached);
        }
        let (phase, previous, next) = (Phase::Lingers, NOBODY, NOBODY);
        self.children.push(Child { phase, previous, next, context, start, limits, machine });
        Ok(self.push(core, number as u16, now))
    }

    /// Offers an occurrence to an idle child: `None` if there is none, others wait before it, or it
    /// is for more than one child.
    #[inline]
    pub fn offer<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        info: Info,
        activation: Activation,
        now: impl FnOnce() -> u64,
    ) -> Option<Effects> {
        let counts = info.registration.accumulation == Accumulation::Count;
        if info.pending != 0 || info.disabled.is_some() || activation.count != 1 && !counts {
            return None;
        }
        if counts
            && let Some(Child { phase: Phase::Due(Cause::Occurrence(due)), .. }) =
                self.children.get_mut(usize::from(self.due))
        {
            // It has not begun yet.
            due.count = due.count.checked_add(activation.count)?;
            return Some(Effects::NONE);
        }
        let child = self.idle;
        if child == NOBODY {
            return None;
        }
        self.due = child;
        self.at(child).phase = Phase::Due(Cause::Occurrence(activation));
        let outcome = self.remove(core, child, now);
        Some(Effects { outcome, activate: Some(self.at(child).start) })
    }

    /// Claims an idle child for a source.
    ///
    /// # Errors
    /// [`Error::Busy`] when none is idle; the event to be [told](Self::set_freed) is told when one is.
    pub fn claim<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        now: impl FnOnce() -> u64,
    ) -> Result<(Claim, Outcome), Error> {
        let child = self.idle;
        if child == NOBODY {
            self.refused = true;
            return Err(Error::Busy);
        }
        self.claims += 1;
        let number = self.claims;
        self.at(child).phase = Phase::Claimed(number);
        let outcome = self.remove(core, child, now);
        Ok((Claim { child, number }, outcome))
    }

    /// Whether a claim has not become void.
    pub fn holds(&self, claim: Claim) -> bool {
        let child = self.children.get(usize::from(claim.child));
        child.is_some_and(|child| child.phase == Phase::Claimed(claim.number))
    }

    /// Gives a claimed child back.
    pub fn give_back<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        claim: Claim,
        now: impl FnOnce() -> u64,
    ) -> Effects {
        if self.holds(claim) { self.push(core, claim.child, now) } else { Effects::NONE }
    }

    /// Has a claimed child begin with its data, which is there: its start event is to be activated. The effects
    /// are those of a claim that has become void, as the child was given up.
    pub fn call(&mut self, claim: Claim) -> Result<EventId, Effects> {
        if self.holds(claim) {
            let child = self.at(claim.child);
            child.phase = Phase::Due(Cause::Data);
            return Ok(child.start);
        }
        // The source has none: it is told when there is one, which may be now.
        self.refused = true;
        let activate = if self.idle == NOBODY { None } else { self.told() };
        Err(Effects { activate, ..Effects::NONE })
    }

    /// A child's start event has been activated: what for.
    #[inline]
    pub fn begin<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        child: u16,
        now: impl FnOnce() -> u64,
    ) -> (Begin, Outcome) {
        match self.at(child).phase {
            Phase::Due(cause) => {
                self.at(child).phase = Phase::Alive;
                (Begin::Life(cause), Outcome::Continue)
            }
            Phase::Idle => {
                // Another may have been faster.
                let Ok(Some(activation)) = core.dequeue(self.queue) else {
                    return (Begin::Nothing, core.outcome());
                };
                self.at(child).phase = Phase::Alive;
                let outcome = self.remove(core, child, now);
                (Begin::Life(Cause::Occurrence(activation)), outcome)
            }
            Phase::Lingers => (Begin::Again, Outcome::Continue),
            Phase::Claimed(_) | Phase::Alive | Phase::Failed(_) => {
                (Begin::Nothing, Outcome::Continue)
            }
        }
    }

    /// The child's handler has returned: whether its life is over, as it has no registrations but
    /// the one that starts it.
    #[inline]
    pub fn returned<H: Copy, C: Copy>(&mut self, core: &mut Core<H, C>, child: u16) -> bool {
        match self.at(child).phase {
            Phase::Alive | Phase::Lingers => {
                self.at(child).phase = Phase::Lingers;
                self.is_alone(core, child)
            }
            Phase::Idle | Phase::Claimed(_) | Phase::Due(_) | Phase::Failed(_) => false,
        }
    }

    /// The child, which runs, has nothing left of its life: it is idle, under another name; unless
    /// somebody has registered something with it meanwhile, or it is to stop: then it is looked at
    /// again.
    #[inline]
    pub fn end<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        child: u16,
        now: impl FnOnce() -> u64,
    ) -> Effects {
        match self.at(child).phase {
            Phase::Lingers => {}
            Phase::Idle | Phase::Claimed(_) | Phase::Due(_) | Phase::Alive | Phase::Failed(_) => {
                return Effects::NONE;
            }
        }
        match core.renew_running(self.at(child).context) {
            Ok(name) => {
                self.at(child).context = name;
                self.push(core, child, now)
            }
            // There is no name left for another life: the child is retired.
            Err(Error::UsedUp) => Effects::NONE,
            // It is to stop, and is looked at when it has been started again.
            Err(_) if self.is_alone(core, child) => {
                Effects { activate: Some(self.at(child).start), ..Effects::NONE }
            }
            // What it has registered is its life: see `left`.
            Err(_) => Effects::NONE,
        }
    }

    /// A registration of the child has ended. The event to activate, if it was the last of a life
    /// that is to be looked at.
    pub fn left<H: Copy, C: Copy>(&mut self, core: &mut Core<H, C>, child: u16) -> Option<EventId> {
        match self.at(child).phase {
            Phase::Lingers => self.is_alone(core, child).then(|| self.at(child).start),
            // While its handler runs that is not over, and then it is looked at.
            Phase::Alive | Phase::Idle | Phase::Claimed(_) | Phase::Due(_) | Phase::Failed(_) => {
                None
            }
        }
    }

    /// The child is given up. A claim of it is void; what it was to begin with is kept.
    pub fn failed<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        child: u16,
        now: impl FnOnce() -> u64,
    ) -> Outcome {
        let (phase, idle) = match self.at(child).phase {
            Phase::Idle => (Phase::Failed(None), true),
            Phase::Due(cause) => (Phase::Failed(Some(cause)), false),
            Phase::Claimed(_) | Phase::Alive | Phase::Lingers => (Phase::Failed(None), false),
            failed @ Phase::Failed(_) => (failed, false),
        };
        self.at(child).phase = phase;
        if idle { self.remove(core, child, now) } else { Outcome::Continue }
    }

    /// Gives a failed child another name, after its registrations have ended. It is held.
    ///
    /// # Errors
    /// Those of [`Core::renew`].
    pub fn renew<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        child: u16,
    ) -> Result<ContextId, Error> {
        let Child { context, limits, .. } = *self.at(child);
        let name = core.renew(context, limits)?;
        self.at(child).context = name;
        Ok(name)
    }

    /// A failed child has been made anew, and `start` been registered with it: it is let go on, and
    /// is idle, or begins with what it was to begin with.
    ///
    /// # Errors
    /// [`Error::Busy`] when it is not failed; those of [`Core::set_priority`] and [`Core::resume`].
    /// Nothing has changed.
    pub fn restored<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        child: u16,
        start: EventId,
        now: impl FnOnce() -> u64,
    ) -> Result<Effects, Error> {
        let due = match self.at(child).phase {
            Phase::Failed(due) => due,
            Phase::Idle | Phase::Claimed(_) | Phase::Due(_) | Phase::Alive | Phase::Lingers => {
                return Err(Error::Busy);
            }
        };
        // It may have been changed since the registration was asked for.
        let _ = core.set_priority(start, self.priority)?;
        let _ = core.resume(self.at(child).context)?;
        self.at(child).start = start;
        if let Some(due) = due {
            self.at(child).phase = Phase::Due(due);
            return Ok(Effects { outcome: core.outcome(), activate: Some(start) });
        }
        let Effects { activate, .. } = self.push(core, child, now);
        Ok(Effects { outcome: core.outcome(), activate })
    }

    /// Has `event` activated when a child has become idle after one was asked for in vain.
    pub fn set_freed(&mut self, event: Option<EventId>) {
        self.freed = event;
    }

    /// The priority of start events.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// From now on start events are registered with this priority; those there are have to be
    /// changed one by one.
    pub fn set_priority(&mut self, priority: Priority) {
        self.priority = priority;
    }

    /// A child's context, and its start event; `None` when there is no such child.
    pub fn names(&self, child: u16) -> Option<(ContextId, EventId)> {
        let child = self.children.get(usize::from(child))?;
        Some((child.context, child.start))
    }

    /// What a child is doing; `None` when there is no such child.
    pub fn phase(&self, child: u16) -> Option<Phase> {
        self.children.get(usize::from(child)).map(|child| child.phase)
    }

    /// What the driver keeps with a child, which must exist.
    #[inline(always)]
    pub fn machine(&mut self, child: u16) -> &mut M {
        &mut self.at(child).machine
    }

    /// Whether a child has no registration but its start event.
    #[inline(always)]
    fn is_alone<H: Copy, C: Copy>(&mut self, core: &mut Core<H, C>, child: u16) -> bool {
        core.context_state(self.at(child).context).is_ok_and(|(_, live)| live == 1)
    }

    /// Has the first idle child told of occurrences.
    #[inline(always)]
    fn notify<H: Copy, C: Copy>(
        &self,
        core: &mut Core<H, C>,
        now: impl FnOnce() -> u64,
    ) -> Outcome {
        let first = self.children.get(usize::from(self.idle)).map(|child| child.start);
        core.set_notified(self.queue, first, now).unwrap_or(Outcome::Continue)
    }

    /// Takes a child out of the idle.
    #[inline(always)]
    fn remove<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        child: u16,
        now: impl FnOnce() -> u64,
    ) -> Outcome {
        let Child { previous, next, .. } = *self.at(child);
        if next != NOBODY {
            self.at(next).previous = previous;
        }
        if previous != NOBODY {
            self.at(previous).next = next;
            return Outcome::Continue;
        }
        self.idle = next;
        self.notify(core, now)
    }

    /// Puts a child first among the idle: its memory was touched last.
    #[inline(always)]
    fn push<H: Copy, C: Copy>(
        &mut self,
        core: &mut Core<H, C>,
        number: u16,
        now: impl FnOnce() -> u64,
    ) -> Effects {
        let next = core::mem::replace(&mut self.idle, number);
        if next != NOBODY {
            self.at(next).previous = number;
        }
        let child = self.at(number);
        (child.previous, child.next, child.phase) = (NOBODY, next, Phase::Idle);
        let outcome = self.notify(core, now);
        Effects { outcome, activate: self.told() }
    }

    /// The event to tell that there is an idle child, if one was asked for in vain.
    #[inline(always)]
    fn told(&mut self) -> Option<EventId> {
        if core::mem::take(&mut self.refused) { self.freed } else { None }
    }
}
