//! What is true after each step, and in the end.

use super::{Handler, Machine, Stage};
use reflex_event::{Cause, Phase};
use std::collections::HashMap;

impl Machine {
    pub(crate) fn check(&mut self) {
        let (mut due, mut due_with_data) = (0, 0);
        for child in 0..self.count() {
            let (phase, (context, start)) = (self.phase(child), self.names(child));
            let kid = &self.kids[usize::from(child)];
            assert_eq!(matches!(phase, Phase::Failed(_)), kid.repair.is_some(), "{phase:?}");
            let lives = matches!(phase, Phase::Alive | Phase::Lingers);
            assert_eq!(lives, kid.lives, "{phase:?}");
            let claimed = kid.claim.is_some_and(|claim| self.children.holds(claim));
            assert_eq!(matches!(phase, Phase::Claimed(_)), claimed, "{phase:?}");
            if kid.repair.is_none() {
                let priority = self.core.look_up(start).unwrap().registration.priority;
                assert_eq!(priority, self.children.priority(), "of another priority");
            }
            if let Some((handler, Stage::Body)) = self.stacks.get(&context.index) {
                assert_eq!((*handler, phase), (Handler::Start(child), Phase::Alive));
            }
            match phase {
                Phase::Due(Cause::Occurrence(at)) | Phase::Failed(Some(Cause::Occurrence(at))) => {
                    due += u64::from(at.count);
                }
                Phase::Due(Cause::Data) | Phase::Failed(Some(Cause::Data)) => due_with_data += 1,
                _ => {}
            }
        }
        let pending = u64::from(self.core.look_up(self.event).unwrap().pending);
        let known = self.begun + due + pending + self.cleaned;
        assert_eq!(self.occurred, known, "an occurrence was lost, or made up");
        assert_eq!(self.called, self.begun_with_data + due_with_data, "data was lost, or made up");
        if self.core.running().is_none() {
            let idle = (0..self.count()).filter(|child| self.phase(*child) == Phase::Idle);
            let free = idle.clone().any(|child| !self.kids[usize::from(child)].stopped);
            // One that is stopped first is asked first: what waits, waits for that one.
            let first_stopped = idle.clone().any(|child| self.kids[usize::from(child)].stopped);
            if free && !first_stopped && !self.disabled {
                assert_eq!(pending, 0, "occurrences wait, and so does a child");
            }
            assert!(!(self.owed && idle.count() > 0), "a source has not been told");
        }
    }

    /// Everything comes to its end: nobody is left in any phase but the first.
    pub(crate) fn finish(mut self) -> (u64, HashMap<&'static str, u64>) {
        self.enable();
        self.settle();
        while let Some(claim) = self.claims.pop() {
            let effects = self.children.give_back(&mut self.core, claim, || 0);
            self.apply(effects);
            self.settle();
        }
        for child in 0..self.count() {
            if self.kids[usize::from(child)].stopped {
                self.kids[usize::from(child)].stopped = false;
                let outcome = self.core.start(self.names(child).0).unwrap();
                self.note(outcome);
                self.settle();
            }
        }
        let mut left = 100_000;
        loop {
            left -= 1;
            assert!(left > 0, "it does not come to an end");
            let done = self.run() || self.repair(true);
            self.settle();
            if done {
                continue;
            }
            let all = 0..self.count();
            let ended = all.clone().any(|child| self.unregister_one(self.names(child).0));
            self.settle();
            if !ended {
                break;
            }
        }
        for child in 0..self.count() {
            assert_eq!(self.phase(child), Phase::Idle);
        }
        assert_eq!(self.core.look_up(self.event).unwrap().pending, 0);
        assert_eq!((self.occurred, self.called), (self.begun + self.cleaned, self.begun_with_data));
        assert_eq!(self.core.context_state(self.queue).unwrap().1, 1);
        (self.taken, self.failures)
    }
}
