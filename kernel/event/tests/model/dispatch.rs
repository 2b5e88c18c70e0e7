//! Which context runs: handlers begin and return, and better ones take over.

use super::Machine;
use super::naive::Frame;
use reflex_event::{Finished, Next};

impl Machine {
    /// The running handler returns.
    pub(super) fn finish(&mut self) -> bool {
        let Some(running) = self.world.running else { return false };
        if self.releasing {
            self.leave();
            return true;
        }
        // Code that is at ceilings leaves them before it returns.
        if !self.world.contexts[running].ceilings.is_empty() {
            return self.lower(running);
        }
        let frame = self.world.contexts[running].stack.as_mut().unwrap();
        let event = &self.world.events[frame.event.unwrap()];
        let since = frame.since;
        if since.is_some() {
            assert_eq!(self.core.since(), since);
        }
        match self.core.finish() {
            Finished::Next(next) => {
                assert!(event.live);
                self.left(next);
            }
            Finished::Release(handler) => {
                assert!(!event.live);
                assert_eq!(handler, event.handler);
                frame.event = None;
                self.releasing = true;
                self.give_back(handler);
            }
        }
        true
    }

    /// What the release led to is over.
    pub(super) fn leave(&mut self) {
        self.world.now += 1;
        let next = self.core.leave();
        self.releasing = false;
        self.left(next);
    }

    fn left(&mut self, next: Next) {
        let running = self.world.running.take().unwrap();
        let context = &mut self.world.contexts[running];
        context.stack = None;
        context.turn = self.world.now;
        context.holds += u32::from(std::mem::take(&mut context.stopping));
        self.carry_out(next);
    }

    /// The end of a section: a better context than the running one takes over, if there is one.
    pub(super) fn dispatch(&mut self) {
        let due = std::mem::take(&mut self.due);
        // A driver that has run jobs looks even if it has been told nothing.
        if due || self.world.now.is_multiple_of(2) {
            self.world.now += 1;
            let (from, beaten) = (self.world.running, self.world.running_rank());
            match self.core.preempt() {
                Some(next) => {
                    assert!(due && self.world.due(), "preempted for no better one");
                    if let Some(from) = from {
                        self.world.contexts[from].turn = 0;
                    }
                    self.world.running = None;
                    self.carry_out(next);
                    assert!(self.world.running_rank() > beaten);
                }
                None => assert!(!self.world.due(), "a preemption that is due is not made"),
            }
        }
    }

    pub(super) fn carry_out(&mut self, next: Next) {
        let (Next::Start(place) | Next::Resume(place)) = next else {
            assert_eq!(self.world.ranks().flatten().max(), None, "idle with work to do");
            return;
        };
        let chosen = usize::from(self.core.running().expect("it has been chosen").index);
        assert_eq!(place, self.name(chosen).place());
        self.check_turn(chosen);
        self.world.running = Some(chosen);
        self.world.contexts[chosen].turn = 0;
        let stack = self.world.contexts[chosen].stack;
        match next {
            Next::Resume(_) => assert!(stack.is_some(), "nothing to go on with"),
            _ => self.begin(chosen),
        }
    }

    /// Of the contexts of the highest rank, the one that has waited longest goes on.
    fn check_turn(&self, chosen: usize) {
        let rank = self.world.rank(chosen);
        assert!(rank.is_some(), "a context that does not compete was chosen");
        for (other, theirs) in self.world.ranks().enumerate() {
            assert!(theirs <= rank, "a better one was passed over");
            if theirs == rank {
                let turns = [chosen, other].map(|at| self.world.contexts[at].turn);
                assert!(turns[0] <= turns[1], "not its turn");
            }
        }
    }

    fn begin(&mut self, chosen: usize) {
        assert!(self.world.contexts[chosen].stack.is_none(), "a second handler in one context");
        let expected = self.world.first(chosen).expect("a context was started for nothing");
        let now = self.world.now;
        let (handler, activation) = self.core.begin(|| now);
        let event = &self.world.events[expected];
        assert_eq!(activation.event, event.id, "not the first of the highest priority");
        assert_eq!(handler, event.handler);
        let (priority, stamp) = (event.priority, event.stamp);
        let since = event.timed.then_some(stamp);
        self.world.begun(priority, Some(stamp));
        assert_eq!(self.world.told(expected), activation.count);
        self.world.contexts[chosen].stack = Some(Frame { event: Some(expected), priority, since });
        assert_eq!(self.core.since().filter(|_| since.is_some()), since);
    }
}
