//! Occurrences: what activates, and where that is told.

use super::naive::Frame;
use super::{Machine, What};
use reflex_event::{Error, Outcome, Resume, Start, Trouble};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How often a context that waited has gone on on the spot, in all programs.
pub(crate) static RESUMED: AtomicU64 = AtomicU64::new(0);

/// How often a handler has begun on the spot to which one of the same priority has yielded, in all programs.
pub(crate) static YIELDED: AtomicU64 = AtomicU64::new(0);

impl Machine {
    /// Whether the core asks a watcher first.
    fn asks(&self, place: usize, count: u32) -> bool {
        let event = &self.world.events[place];
        let discarding = event.disabled == Some(reflex_event::DisabledPolicy::Discard);
        event.live && event.watched && !discarding && count > 0
    }

    pub(super) fn activate(&mut self, place: usize, count: u32, pass: bool) {
        let (id, now) = (self.world.events[place].id, self.world.now);
        let result = self.core.activate(id, count, || now);
        if self.asks(place, count) {
            assert_eq!(result, Ok(Outcome::Watched));
            if pass {
                self.admit(place, count);
            }
            return;
        }
        let expected = self.world.admit(place, count);
        assert_eq!(result.map(|_| ()), expected);
        if let Ok(outcome) = result {
            self.note(outcome);
        }
    }

    pub(super) fn admit(&mut self, place: usize, count: u32) {
        let result = self.core.accept(self.world.events[place].id, count, self.world.now);
        assert_eq!(result.map(|_| ()), self.world.admit(place, count));
        if let Ok(outcome) = result {
            self.note(outcome);
        }
    }

    /// An activation by a caller that can start the handler on the spot.
    pub(super) fn activate_at_once(&mut self, place: usize, count: u32, pass: bool) {
        let event = &self.world.events[place];
        let (id, to) = (event.id, event.context);
        let idle = self.world.rank(to).is_none() && self.world.contexts[to].holds == 0;
        let single = count == 1 || (count > 1 && !event.each);
        let better = Some(event.priority) > self.world.running_rank();
        let plain = event.live && self.world.plain(place);
        let expected = plain && idle && single && better && !self.world.due();
        let resumes = self.world.resumes(place) && count > 0;
        if let Some(start) = self.core.start_at_once(id, count) {
            assert!(expected, "a handler was begun that had to wait");
            return self.started(place, count, &start);
        }
        if let Some(Resume { from, to: resumed }) = self.core.resume_at_once(id, count) {
            assert!(resumes, "a context goes on that has to wait");
            assert_eq!(from, self.world.running.map(|at| self.name(at)));
            assert_eq!(resumed, self.name(to).place());
            assert_eq!(self.world.admit(place, count), Ok(()));
            if let Some(from) = self.world.running {
                self.world.contexts[from].turn = 0;
            }
            self.world.contexts[to].turn = 0;
            self.world.running = Some(to);
            RESUMED.fetch_add(1, Relaxed);
            return;
        }
        // What was due may be so no more; that is found out at the section's end.
        assert!(!expected || self.due, "a handler had to wait for nothing");
        assert!(!resumes || self.due, "a context had to wait for nothing");
        self.activate(place, count, pass);
    }

    /// An activation by a handler that yields to its equals, and can start them on the spot.
    pub(super) fn activate_yielding(&mut self, place: usize, count: u32, pass: bool) {
        let event = &self.world.events[place];
        let (id, to, priority) = (event.id, event.context, Some(event.priority));
        let running = self.world.running_rank();
        let idle = self.world.rank(to).is_none() && self.world.contexts[to].holds == 0;
        let single = count == 1 || (count > 1 && !event.each);
        let may = event.live && self.world.plain(place) && idle && single && !self.world.due();
        let equals: Vec<u64> = (0..self.world.contexts.len())
            .filter(|&at| Some(at) != self.world.running && self.world.rank(at) == priority)
            .map(|at| self.world.contexts[at].turn)
            .collect();
        if let Some(start) = self.core.start_yielding(id, count) {
            assert!(
                may && priority >= running && running.is_some(),
                "a handler was begun that had to wait"
            );
            assert!(equals.iter().all(|&turn| turn == 0), "another has waited longer");
            YIELDED.fetch_add(u64::from(priority == running), Relaxed);
            return self.started(place, count, &start);
        }
        let waits = self.due || running.is_none() || priority < running || !equals.is_empty();
        assert!(!may || waits, "a handler had to wait for nothing");
        self.activate(place, count, pass);
    }

    /// A handler is begun on the spot.
    fn started(&mut self, place: usize, count: u32, start: &Start<u32>) {
        let event = &mut self.world.events[place];
        let Start { from, to: started, handler, activation } = start;
        assert_eq!(
            (*handler, activation.event, activation.count),
            (event.handler, event.id, count)
        );
        event.ledger.activated += u64::from(count);
        event.ledger.delivered += u64::from(count);
        let (priority, to) = (event.priority, event.context);
        assert_eq!(*from, self.world.running.map(|at| self.name(at)));
        assert_eq!(*started, self.name(to));
        if let Some(from) = self.world.running {
            self.world.contexts[from].turn = 0;
        }
        let context = &mut self.world.contexts[to];
        assert!(context.stack.is_none(), "a second handler in one context");
        context.stack = Some(Frame { event: Some(place), priority, since: None });
        context.turn = 0;
        self.world.running = Some(to);
        self.world.begun(priority, None);
    }

    pub(super) fn time_out(&mut self, place: usize) {
        let result = self.core.time_out(self.world.events[place].id, self.world.now);
        if !self.world.events[place].live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        self.world.time_out(place);
        self.note(result.unwrap());
    }

    pub(super) fn forget_time_out(&mut self, place: usize) {
        let result = self.core.forget_time_out(self.world.events[place].id);
        if !self.world.events[place].live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        assert_eq!(result, Ok(()));
        self.world.forget_time_out(place);
        self.look();
    }

    pub(super) fn report(&mut self, at: usize, trouble: Trouble) {
        let outcome = self.core.report(self.name(at), trouble, self.world.now).unwrap();
        self.world.tell(at, trouble, self.world.now);
        self.note(outcome);
    }

    pub(super) fn take_troubles(&mut self, at: usize) {
        let troubles = self.core.take_troubles(self.name(at)).unwrap();
        let counts = Trouble::ALL.map(|kind| troubles.count(kind));
        assert_eq!(counts, std::mem::take(&mut self.world.contexts[at].troubles));
        assert!(troubles.iter().all(|(kind, count)| count > 0 && count == troubles.count(kind)));
    }

    /// The next activation of a context that runs no handlers.
    pub(super) fn take_one(&mut self, at: usize) {
        let result = self.core.dequeue(self.name(at));
        let first = self.world.first(at);
        let Some(taken) = &mut self.world.contexts[at].taken else {
            assert_eq!(result, Err(Error::NotAllowed));
            return;
        };
        taken.told = first.is_some();
        match (result.unwrap(), first) {
            (Some(activation), Some(place)) => {
                assert_eq!(activation.event, self.world.events[place].id, "taken out of turn");
                assert_eq!(activation.count, self.world.told(place));
            }
            (taken, first) => assert_eq!((taken, first), (None, None)),
        }
        self.look();
    }

    /// What some source does now, in an interrupt.
    pub(super) fn occurrence(&self) -> What {
        let word = self.world.now.wrapping_mul(0x9e37_79b9) >> 16;
        let (event, count) = (word as u8 % 240, 1 + (word >> 8) as u32 % 2);
        What::ActivateAtOnce { event, count, pass: true }
    }

    /// An interrupt between two calls of a driver that is busy with something longer.
    pub(super) fn interrupt(&mut self) {
        self.alone(self.occurrence());
    }
}
