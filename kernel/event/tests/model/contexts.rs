//! Contexts: held, stopped, waiting, given up, taken from, begun anew.

use super::naive::{Context, Taken};
use super::{Machine, What};
use reflex_event::{Error, Limits, Priority, Registration, Trouble, Wait};

impl Machine {
    pub(super) fn hold(&mut self, at: usize) {
        let runs = self.world.running == Some(at);
        let expected = if runs { Err(Error::Busy) } else { Ok(()) };
        assert_eq!(self.core.suspend(self.name(at)), expected);
        self.world.contexts[at].holds += u32::from(!runs);
    }

    pub(super) fn release(&mut self, at: usize) {
        let result = self.core.resume(self.name(at));
        let context = &mut self.world.contexts[at];
        if context.holds == context.own_holds() {
            assert_eq!(result, Err(Error::Busy));
            return;
        }
        context.holds -= 1;
        self.note(result.unwrap());
    }

    pub(super) fn exclude(&mut self, at: usize) -> bool {
        if self.releasing {
            return false;
        }
        let result = self.core.exclude(self.name(at));
        let Some(running) = self.world.running else {
            assert_eq!(result, Err(Error::Busy));
            return true;
        };
        let context = &mut self.world.contexts[at];
        let expected = match context.excluded_by {
            Some(by) if by == running => Ok(false),
            None if at != running => Ok(true),
            _ => Err(Error::Busy),
        };
        assert_eq!(result, expected);
        if let Ok(anew) = result {
            context.holds += u32::from(anew);
            context.excluded_by = Some(running);
            let active = context.stack.map(|frame| frame.priority);
            let queued = context.queue.iter().map(|&event| self.world.events[event].priority);
            if let Some(highest) = active.into_iter().chain(queued).max() {
                self.world.inherit(running, highest);
            }
        }
        true
    }

    pub(super) fn unblock(&mut self, at: usize, by: u8) {
        let excluded_by = self.world.contexts[at].excluded_by;
        let by = match excluded_by {
            Some(true_one) if by < 192 => true_one,
            _ => self.context(by),
        };
        let result = self.core.unblock(self.name(at), self.name(by));
        if excluded_by != Some(by) {
            assert_eq!(result, Err(Error::NotAllowed));
            return;
        }
        let context = &mut self.world.contexts[at];
        context.holds -= 1;
        context.excluded_by = None;
        self.disinherit(by);
        self.note(result.unwrap());
    }

    /// A context's handler has its own priority again, or that of its ceiling.
    fn disinherit(&mut self, at: usize) {
        let context = &mut self.world.contexts[at];
        if let Some(frame) = &mut context.stack
            && let Some(event) = frame.event
        {
            let own = self.world.events[event].priority;
            frame.priority = own.max(context.ceilings.last().copied().unwrap_or(0));
        }
    }

    pub(super) fn raise(&mut self, ceiling: u8) -> bool {
        if self.releasing {
            return false;
        }
        let priority = Priority::new(ceiling).unwrap();
        let result = self.core.raise(priority);
        let Some(running) = self.world.running else {
            assert_eq!(result, Err(Error::Busy));
            return false;
        };
        let context = &mut self.world.contexts[running];
        let event = context.stack.and_then(|frame| frame.event);
        if event.is_some_and(|event| self.world.events[event].priority > ceiling) {
            assert_eq!(result, Err(Error::NotAllowed));
            return true;
        }
        let around = context.ceilings.last().copied().unwrap_or(0);
        context.ceilings.push(around.max(ceiling));
        self.raised.push((running, result.unwrap()));
        self.world.inherit(running, ceiling);
        assert!(self.core.is_raised());
        true
    }

    pub(super) fn lower(&mut self, at: usize) -> bool {
        let last = self.raised.iter().rposition(|(raised, _)| *raised == at);
        let Some(last) = last else { return false };
        let (_, to) = self.raised.remove(last);
        let result = self.core.lower(self.name(at), to);
        self.world.contexts[at].ceilings.pop();
        self.disinherit(at);
        self.note(result.unwrap());
        true
    }

    pub(super) fn wait_for(&mut self, at: usize) -> bool {
        let Some(running) = self.world.running.filter(|_| !self.releasing) else { return false };
        let holders = std::iter::successors(Some(at), |at| self.world.contexts[*at].excluded_by);
        let holders: Vec<usize> = holders.collect();
        let result = self.core.wait_for(self.name(at));
        if holders.contains(&running) {
            assert_eq!(result, Err(Error::Busy));
            return true;
        }
        let context = &mut self.world.contexts[running];
        let active = context.stack.map(|frame| frame.priority);
        let queued = context.queue.iter().map(|&event| self.world.events[event].priority);
        let highest = active.into_iter().chain(queued).max().unwrap();
        context.holds += 1;
        context.excluded_by = Some(at);
        self.world.running = None;
        for holder in holders {
            let before = self.world.rank(holder);
            self.world.inherit(holder, highest);
            if self.world.rank(holder) != before {
                // Behind the others of its new rank.
                self.world.contexts[holder].turn = self.world.now;
            }
        }
        self.carry_out(result.unwrap());
        true
    }

    pub(super) fn stop(&mut self, at: usize) {
        let result = self.core.stop(self.name(at));
        let context = &mut self.world.contexts[at];
        assert_eq!(result, Ok(context.stack.is_none()));
        match context.stack {
            Some(_) => context.stopping = true,
            None => context.holds += 1,
        }
    }

    pub(super) fn start(&mut self, at: usize) {
        if !self.world.contexts[at].stopping {
            let result = self.core.start(self.name(at));
            let context = &mut self.world.contexts[at];
            if context.holds == context.own_holds() {
                assert_eq!(result, Err(Error::Busy));
                return;
            }
            context.holds -= 1;
            return self.note(result.unwrap());
        }
        let outcome = self.core.start(self.name(at)).unwrap();
        self.note(outcome);
        self.world.contexts[at].stopping = false;
    }

    /// Mostly for one of the waking events of the running context.
    pub(super) fn wait(&mut self, choice: u8) -> bool {
        let Some(running) = self.world.running.filter(|_| !self.releasing) else { return false };
        let own = self.world.contexts[running].registered.iter().copied();
        let own: Vec<_> = own.filter(|&place| self.world.events[place].wakes).collect();
        let place = match own.len() {
            0 => self.pick(choice),
            _ if choice >= 200 => self.pick(choice),
            count => Some(own[usize::from(choice) % count]),
        };
        let Some(place) = place else { return false };
        let event = &mut self.world.events[place];
        let result = self.core.wait(event.id);
        if !event.live {
            assert_eq!(result, Err(Error::Stale));
        } else if !event.wakes || event.context != running {
            assert_eq!(result, Err(Error::NotAllowed));
        } else if event.disabled.is_none() && event.pending > 0 {
            assert_eq!(result, Ok(Wait::Occurred(event.pending)));
            event.ledger.delivered += u64::from(std::mem::take(&mut event.pending));
            event.expired = false;
        } else if event.disabled.is_none() && event.expired {
            assert_eq!(result, Ok(Wait::TimedOut));
            event.expired = false;
        } else {
            let Ok(Wait::Blocked(next)) = result else { panic!("{result:?}, not blocked") };
            let context = &mut self.world.contexts[running];
            context.waiting = true;
            context.holds += 1;
            self.world.running = None;
            self.carry_out(next);
        }
        true
    }

    pub(super) fn abandon(&mut self, at: usize) {
        let runs = self.world.running == Some(at);
        let (handler, next) = self.core.abandon(self.name(at)).unwrap();
        self.raised.retain(|(raised, _)| *raised != at);
        let context = &mut self.world.contexts[at];
        context.ceilings.clear();
        // To stop is to be held once no handler is on the stack, and now none is.
        context.holds += 1 + u32::from(std::mem::take(&mut context.stopping));
        context.holds -= u32::from(std::mem::take(&mut context.waiting));
        let served = context.stack.take().and_then(|frame| frame.event);
        let ended = served.map(|place| &self.world.events[place]).filter(|event| !event.live);
        assert_eq!(handler, ended.map(|event| event.handler));
        if let Some(handler) = handler {
            self.give_back(handler);
        }
        assert_eq!(next.is_some(), runs);
        if let Some(next) = next {
            self.releasing = false;
            self.world.running = None;
            self.carry_out(next);
        }
    }

    pub(super) fn renew(&mut self, at: usize, limits: Limits) {
        let context = &self.world.contexts[at];
        let loaded = at == 0 && self.ballast > 0;
        let over = context.holds > 0 && context.stack.is_none() && context.registered.is_empty();
        let (name, result) = (context.id, self.core.renew(context.id, limits));
        if !over || loaded {
            assert_eq!(result, Err(Error::Busy));
            return;
        }
        let renewed = result.unwrap();
        assert_eq!(renewed.index, name.index);
        assert_eq!(renewed.generation(), name.generation() + 1);
        self.ended.push(name);
        self.world.contexts[at] = Context { holds: 1, ..Context::new(renewed, limits) };
    }

    /// The running context is begun anew, its handler's registration the only one.
    pub(super) fn renew_running(&mut self, other: Option<u8>) -> bool {
        let Some(running) = self.world.running else { return false };
        let at = other.map_or(running, |other| self.context(other));
        let loaded = at == 0 && self.ballast > 0;
        let context = &mut self.world.contexts[at];
        let served = context.stack.and_then(|frame| frame.event);
        let only = context.registered.len() == 1 && context.registered.first() == served.as_ref();
        let result = self.core.renew_running(context.id);
        if at != running {
            assert_eq!(result, Err(Error::NoContext));
        } else if !only || loaded || context.stopping {
            assert_eq!(result, Err(Error::Busy));
        } else {
            let renewed = result.unwrap();
            assert_eq!(renewed.generation(), context.id.generation() + 1);
            self.ended.push(std::mem::replace(&mut context.id, renewed));
            context.notice = None;
            context.troubles = Default::default();
            context.shed = 0;
        }
        true
    }

    /// What is done about a context after its handler has panicked.
    pub(super) fn fail(&mut self, choice: u8, limits: Limits) {
        let at = self.context(choice);
        self.alone(What::Abandon { context: choice });
        self.interrupt();
        self.end_all(at);
        self.alone(What::Renew { context: choice, limits });
        self.interrupt();
        self.alone(What::Release { context: choice });
    }

    pub(super) fn set_taken(&mut self, at: usize, notify: Option<u8>) {
        let notify = notify.and_then(|choice| self.pick(choice));
        let id = notify.map(|place| self.world.events[place].id);
        let result = self.core.set_taken(self.name(at), id, self.world.now);
        let context = &mut self.world.contexts[at];
        if context.stack.is_some() {
            assert_eq!(result, Err(Error::Busy));
            return;
        }
        context.holds += u32::from(context.taken.is_none());
        context.taken = Some(Taken { notify, told: false });
        // What is queued already is told of as if it came now.
        if let Some(first) = self.world.first(at) {
            if let Some(by) = self.world.contexts[at].excluded_by {
                self.world.inherit(by, self.world.events[first].priority);
            }
            self.world.tell_taker(at, self.world.now);
        }
        self.note(result.unwrap());
    }

    /// Nothing can be done to a context that has ended.
    pub(super) fn ask_ended(&mut self, choice: u8) -> bool {
        if self.ended.is_empty() {
            return false;
        }
        let ended = self.ended[usize::from(choice) % self.ended.len()];
        let (core, now) = (&mut self.core, self.world.now);
        let refused = Some(Error::NoContext);
        assert_eq!(core.register(ended, Registration::default(), 0).err(), refused);
        assert_eq!(core.suspend(ended).err(), refused);
        assert_eq!(core.resume(ended).err(), refused);
        assert_eq!(core.stop(ended).err(), refused);
        assert_eq!(core.start(ended).err(), refused);
        assert_eq!(core.abandon(ended).err(), refused);
        assert_eq!(core.exclude(ended).err(), refused);
        assert_eq!(core.unblock(ended, ended).err(), refused);
        assert_eq!(core.wait_for(ended).err(), refused);
        assert_eq!(core.context_state(ended).err(), refused);
        assert_eq!(core.renew_running(ended).err(), refused);
        assert_eq!(core.renew(ended, Limits::NONE).err(), refused);
        assert_eq!(core.set_taken(ended, None, now).err(), refused);
        assert_eq!(core.dequeue(ended).err(), refused);
        assert_eq!(core.first_of(ended).err(), refused);
        assert_eq!(core.set_notice(ended, None).err(), refused);
        assert_eq!(core.report(ended, Trouble::PoolLow, now).err(), refused);
        assert_eq!(core.take_troubles(ended).err(), refused);
        assert_eq!(core.shed(ended).err(), refused);
        assert_eq!(core.serving(ended), None);
        true
    }
}
