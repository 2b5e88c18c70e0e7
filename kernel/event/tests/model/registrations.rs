//! Registrations: made, changed, ended.

use super::naive::Event;
use super::{Machine, priority};
use reflex_event::{
    Accumulation, Attribute, Chunk, DisabledPolicy, Error, EventId, OverflowPolicy, Registration,
    Unregistered,
};

/// More live registrations than this only make the model slow.
const MOST: usize = 24;

impl Machine {
    /// Fills the table with registrations that nobody uses.
    pub(super) fn load(&mut self, count: u32) {
        let limits = self.world.contexts[0].limits.registrations;
        self.ballast = if limits == u32::MAX { count } else { 0 };
        for _ in 0..self.ballast {
            self.supply();
            let id = self.core.register(self.name(0), Registration::default(), u32::MAX).unwrap();
            self.names.insert((id.index, id.generation));
        }
    }

    /// Places that registrations have; that of one which ended its own stays taken for so long.
    fn places(&self) -> u32 {
        let live = (0..self.world.events.len())
            .filter(|&at| self.world.events[at].live || self.world.runs(at));
        live.count() as u32 + self.ballast
    }

    /// Gives the core memory for registrations, if it asks for some.
    fn supply(&mut self) {
        while self.core.needs_chunk() == Ok(true) {
            let chunk = self.chunks.lend();
            assert!(self.core.supply(chunk).is_none());
        }
    }

    pub(super) fn register(&mut self, context: usize, level: u8, each: bool) -> bool {
        if self.world.contexts[context].registered.len() > MOST {
            return false;
        }
        let accumulation = if each { Accumulation::Each } else { Accumulation::Count };
        let registration = Registration { priority: priority(level), accumulation };
        let (name, handler) = (self.name(context), self.handlers);
        let registered = self.world.contexts[context].registered.len();
        let allowed = registered < self.world.contexts[context].limits.registrations as usize;
        let full = self.places() == self.chunks.count() * Chunk::<u32>::SIZE as u32;
        let needs = match (full, self.chunks.count() < self.most_chunks) {
            (false, _) => Ok(false),
            (true, true) => Ok(true),
            (true, false) => Err(Error::TableFull),
        };
        assert_eq!(self.core.needs_chunk(), needs);
        if !allowed || full {
            let error = if allowed { Error::TableFull } else { Error::LimitReached };
            assert_eq!(self.core.register(name, registration, handler), Err(error));
            self.supply();
            if !allowed || needs.is_err() {
                return true;
            }
        }
        let id = self.core.register(name, registration, handler).unwrap();
        assert!(self.names.insert((id.index, id.generation)), "an identifier came back");
        assert_eq!(EventId::from_word(id.into_word()), id);
        self.handlers += 1;
        self.world.contexts[context].registered.push(self.world.events.len());
        self.world.events.push(Event::plain(id, context, handler, level, each));
        true
    }

    pub(super) fn unregister(&mut self, place: usize) {
        let result = self.core.unregister(self.world.events[place].id);
        if !self.world.events[place].live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        let ended = result.unwrap();
        let dropped = self.world.drop_pending(place);
        let runs = self.world.runs(place);
        let event = &mut self.world.events[place];
        event.live = false;
        event.ledger.dropped += u64::from(dropped);
        let (at, handler) = (event.context, (!runs).then_some(event.handler));
        let (level, wakes) = (priority(event.priority), event.wakes);
        let context = &mut self.world.contexts[at];
        context.registered.retain(|&other| other != place);
        let outcome = ended.outcome;
        let expected =
            Unregistered { context: context.id, handler, dropped, priority: level, outcome };
        assert_eq!(ended, expected);
        // Nobody waits for what cannot occur any more.
        if wakes {
            self.world.wake(at);
        }
        if let Some(handler) = handler {
            self.give_back(handler);
        }
        self.note(outcome);
    }

    /// In the place of the event comes another of its context, of which nobody knows the name.
    pub(super) fn end_by_call(&mut self, place: usize) {
        let Event { id, context: at, handler, priority, live, wakes, .. } =
            self.world.events[place];
        let waits = self.world.events[place].pending > 0 || self.world.events[place].expired;
        let context = &self.world.contexts[at];
        let shed = context.limits.overload == OverflowPolicy::Shed && context.full();
        let expected = match context.taken {
            _ if !live => Err(Error::Stale),
            _ if waits || wakes || self.world.runs(place) => Err(Error::Busy),
            Some(_) => Err(Error::NotAllowed),
            None if shed => Err(Error::LimitReached),
            None => Ok(()),
        };
        let result = self.core.end_by_call(id, self.world.now);
        assert_eq!(result.map(drop), expected);
        let Ok(outcome) = result else { return };
        let id = EventId { generation: id.generation + 2, ..id };
        assert!(self.names.insert((id.index, id.generation)), "an identifier came back");
        let last = self.world.events.len();
        self.world.events[place].live = false;
        let registered = &mut self.world.contexts[at].registered;
        registered.iter_mut().filter(|other| **other == place).for_each(|other| *other = last);
        self.world.events.push(Event::plain(id, at, handler, priority, true));
        assert_eq!(self.world.admit(last, 1), Ok(()));
        self.note(outcome);
    }

    pub(super) fn clean(&mut self, place: usize) {
        let result = self.core.clean(self.world.events[place].id);
        if !self.world.events[place].live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        let dropped = self.world.drop_pending(place);
        assert_eq!(result, Ok(dropped));
        self.world.events[place].ledger.dropped += u64::from(dropped);
        self.look();
    }

    pub(super) fn set_priority(&mut self, place: usize, level: u8) {
        let result = self.core.set_priority(self.world.events[place].id, priority(level));
        if !self.world.events[place].live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        self.world.set_priority(place, level);
        self.note(result.unwrap());
    }

    pub(super) fn disable(&mut self, place: usize, meanwhile: DisabledPolicy) {
        let (id, pending) = (self.world.events[place].id, self.world.events[place].pending);
        let result = if meanwhile == DisabledPolicy::Discard && self.world.now.is_multiple_of(2) {
            self.core.silence(id).map(|(dropped, outcome)| {
                assert_eq!(dropped, pending);
                outcome
            })
        } else {
            self.core.disable(id, meanwhile)
        };
        if !self.world.events[place].live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        self.world.set_aside(place);
        let event = &mut self.world.events[place];
        event.disabled = Some(meanwhile);
        event.expired = false;
        if meanwhile == DisabledPolicy::Discard {
            event.ledger.discarded += u64::from(std::mem::take(&mut event.pending));
        }
        self.note(result.unwrap());
    }

    pub(super) fn enable(&mut self, place: usize) {
        let result = self.core.enable(self.world.events[place].id, || self.world.now);
        let event = &mut self.world.events[place];
        if !event.live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        let (counted, outcome) = result.unwrap();
        let disabled = event.disabled.take();
        if disabled == Some(DisabledPolicy::Count) {
            assert_eq!(counted, std::mem::take(&mut event.pending));
            event.ledger.counted += u64::from(counted);
        } else {
            assert_eq!(counted, 0);
        }
        if disabled == Some(DisabledPolicy::Keep) && event.pending > 0 {
            self.world.occurred(place, self.world.now);
        }
        self.note(outcome);
    }

    pub(super) fn set_attribute(&mut self, place: usize, which: Attribute, on: bool) {
        let result = self.core.set_attribute(self.world.events[place].id, which, on);
        let event = &mut self.world.events[place];
        let waits = self.world.contexts[event.context].waiting;
        let expected = match which {
            _ if !event.live => Err(Error::Stale),
            Attribute::Wakes if event.wakes == on => Ok(()),
            Attribute::Wakes if event.pending > 0 || event.expired || waits => Err(Error::Busy),
            _ => Ok(()),
        };
        assert_eq!(result, expected);
        if expected.is_ok() {
            match which {
                Attribute::Watched => event.watched = on,
                Attribute::Timed => event.timed = on,
                Attribute::Wakes => event.wakes = on,
            }
        }
    }

    /// Mostly by the context that has the registration, and now and then by another or by one that
    /// has ended.
    pub(super) fn rebind(&mut self, place: usize, by: u8) {
        let (handler, runs) = (self.handlers, self.world.runs(place));
        let own = self.world.events[place].context;
        let (by, ended) = match (by, self.ended.len()) {
            (0..160, _) => (self.name(own), false),
            (160..240, _) | (_, 0) => (self.name(self.context(by)), false),
            (_, ended) => (self.ended[usize::from(by) % ended], true),
        };
        let foreign = by != self.name(own);
        let event = &mut self.world.events[place];
        assert_eq!(self.core.owns(by, event.id).is_ok(), event.live && !foreign);
        let result = self.core.rebind(by, event.id, handler);
        let expected = match (event.live, runs) {
            _ if ended => Err(Error::NoContext),
            (false, _) => Err(Error::Stale),
            _ if foreign => Err(Error::Foreign),
            (true, true) => Err(Error::Busy),
            (true, false) => Ok(std::mem::replace(&mut event.handler, handler)),
        };
        assert_eq!(result, expected);
        if let Ok(old) = result {
            self.handlers += 1;
            self.give_back(old);
        }
    }

    /// Mostly one of the context's own.
    pub(super) fn set_notice(&mut self, at: usize, choice: Option<u8>) {
        let own = &self.world.contexts[at].registered;
        let event = choice.and_then(|choice| match own.len() {
            0 => self.pick(choice),
            _ if choice >= 200 => self.pick(choice),
            count => Some(own[usize::from(choice) % count]),
        });
        let id = event.map(|place| self.world.events[place].id);
        let result = self.core.set_notice(self.name(at), id);
        let expected = match event {
            Some(place) if !self.world.events[place].live => Err(Error::Stale),
            Some(place) if self.world.events[place].context != at => Err(Error::Foreign),
            Some(place) if self.world.contexts[at].parked.contains(&place) => Err(Error::Busy),
            _ => Ok(()),
        };
        assert_eq!(result, expected);
        if result.is_ok() {
            self.world.contexts[at].notice = event;
        }
    }

    /// Ends all registrations of a context, which are found through it. Others come in between.
    pub(super) fn end_all(&mut self, at: usize) {
        let mut found = Vec::new();
        let mut next = self.core.first_of(self.name(at)).unwrap();
        while let Some(id) = next {
            found.push(id);
            next = self.core.next_of(id).unwrap();
        }
        let ballast = if at == 0 { self.ballast as usize } else { 0 };
        let own = self.world.contexts[at].registered.iter().rev();
        let own: Vec<_> = own.map(|&place| self.world.events[place].id).collect();
        assert_eq!(found[..found.len() - ballast], own, "each context has its own registrations");
        while let Some(id) = self.core.first_of(self.name(at)).unwrap() {
            let Some(place) = self.world.events.iter().position(|event| event.id == id) else {
                break;
            };
            self.change(|machine| {
                machine.unregister(place);
                true
            });
            self.end_section();
            self.interrupt();
        }
    }
}
