//! The end: everything finishes, and every account balances.

use super::{Machine, What};
use reflex_event::{Attribute, DisabledPolicy, Error, Limits, Trouble};

impl Machine {
    /// Lets everything finish: what was activated has then been delivered once, or is accounted
    /// for; every handler has been given back; and no context has lost any of what it may have.
    pub(super) fn settle_up(mut self) {
        self.stormy = false;
        self.end_section();
        for place in self.live() {
            self.call(|machine| machine.enable(place));
            self.call(|machine| machine.set_attribute(place, Attribute::Watched, false));
            if self.world.events[place].pending > 100 {
                self.call(|machine| machine.clean(place));
            }
        }
        for at in 0..self.world.contexts.len() {
            self.let_go(at);
        }
        while self.world.running.is_some() || self.take_all() {
            self.alone(What::Return);
        }
        for place in self.live() {
            let event = &self.world.events[place];
            assert!(event.wakes || event.pending == 0 && !event.expired, "left undelivered");
            self.call(|machine| machine.unregister(place));
        }
        assert_eq!(self.core.registered(), self.ballast);
        assert_eq!(self.released.len(), self.handlers as usize, "handlers given back");
        self.check_latencies();
        for at in 0..self.world.contexts.len() {
            self.probe(at);
        }
    }

    fn live(&self) -> Vec<usize> {
        (0..self.world.events.len()).filter(|&at| self.world.events[at].live).collect()
    }

    /// A call in a section of its own.
    fn call(&mut self, call: impl FnOnce(&mut Self)) {
        self.change(|machine| {
            call(machine);
            true
        });
        self.end_section();
    }

    /// Takes away all that keeps a context from running.
    fn let_go(&mut self, at: usize) {
        let choice = at as u8;
        if self.world.contexts[at].stopping {
            self.alone(What::Start { context: choice });
        }
        self.alone(What::Unblock { context: choice, by: 0 });
        if self.world.contexts[at].waiting {
            let mut own = self.world.contexts[at].registered.iter().copied();
            let wakes = own.find(|&place| self.world.events[place].wakes);
            match wakes {
                Some(place) => {
                    self.call(|machine| machine.clean(place));
                    self.call(|machine| machine.admit(place, 1));
                }
                None => self.alone(What::Abandon { context: choice }),
            }
            assert!(!self.world.contexts[at].waiting, "it was not woken");
        }
        while self.world.contexts[at].holds > self.world.contexts[at].own_holds() {
            self.alone(What::Release { context: choice });
        }
        self.alone(What::Release { context: choice });
    }

    /// Takes from every context that is taken from until there is nothing left; false when there
    /// was nothing.
    fn take_all(&mut self) -> bool {
        let mut some = false;
        for at in 0..self.world.contexts.len() {
            while self.world.contexts[at].taken.is_some() && self.world.first(at).is_some() {
                some = true;
                self.alone(What::Take { context: at as u8 });
            }
            self.alone(What::Take { context: at as u8 });
        }
        some
    }

    /// As many handlers were begun as there are waits in the histograms, each in its bucket.
    fn check_latencies(&mut self) {
        for level in 0..64 {
            let latency = self.core.latency(super::priority(level));
            assert_eq!(latency.at_once, self.world.at_once[usize::from(level)]);
            assert_eq!(latency.waited, self.world.waited[usize::from(level)]);
        }
    }

    /// A context that has finished may have all that its limits allow, and not one more.
    fn probe(&mut self, at: usize) {
        let choice = at as u8;
        if self.world.contexts[at].taken.is_some() {
            if at == 0 && self.ballast > 0 {
                return;
            }
            let limits = self.world.contexts[at].limits;
            self.alone(What::Renew { context: choice, limits });
            self.alone(What::Release { context: choice });
        }
        assert_eq!(self.core.resume(self.name(at)), Err(Error::Busy));
        assert_eq!(self.core.serving(self.name(at)), None);
        let Limits { registrations, activations, .. } = self.world.contexts[at].limits;
        if self.ballast > 0 {
            return;
        }
        self.alone(What::TakeTroubles { context: choice });
        self.alone(What::Hold { context: choice });
        let first = self.world.events.len();
        for _ in 0..registrations.min(4) {
            self.alone(What::Register { context: choice, priority: 20, each: false });
        }
        assert_eq!(self.world.events.len() - first, registrations.min(4) as usize);
        // Beyond the limit, if there is one: the core must refuse as the model does.
        if registrations < 4 {
            self.alone(What::Register { context: choice, priority: 20, each: false });
        }
        for place in first..self.world.events.len() {
            let within = (place - first) < activations as usize;
            let before = self.world.contexts[at].troubles[Trouble::LimitReached as usize];
            self.call(|machine| machine.admit(place, 1));
            let after = self.world.contexts[at].troubles[Trouble::LimitReached as usize];
            assert_eq!(after - before, u32::from(!within), "room in a context's queue");
        }
        self.alone(What::TakeTroubles { context: choice });
        self.alone(What::Release { context: choice });
        while self.world.running.is_some() {
            self.alone(What::Return);
        }
        for place in first..self.world.events.len() {
            assert_eq!(self.world.events[place].pending, 0);
            self.call(|machine| machine.disable(place, DisabledPolicy::Discard));
            self.call(|machine| machine.unregister(place));
        }
    }
}
