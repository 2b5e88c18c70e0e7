//! What ought to be: lists, walked from one end to the other. No order here is kept by anything
//! cleverer than appending.

use reflex_event::{
    Accumulation, BUCKETS, ContextId, ContextState, DisabledPolicy, Error, EventId, Info, Limits,
    OverflowPolicy, Priority, Registration, Trouble,
};

/// Where the occurrences of an event have gone. `activated` is the sum of the others and of what
/// is pending.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ledger {
    pub(crate) activated: u64,
    /// Told to a handler, a taker, or a context that waited.
    pub(crate) delivered: u64,
    /// Cleaned, or unregistered.
    pub(crate) dropped: u64,
    /// Not to be delivered, as it was disabled so.
    pub(crate) discarded: u64,
    /// Told to the caller that enabled it.
    pub(crate) counted: u64,
    /// Beyond a limit.
    pub(crate) shed: u64,
}

pub(crate) struct Event {
    pub(crate) id: EventId,
    /// Its context's place, not name.
    pub(crate) context: usize,
    pub(crate) handler: u32,
    pub(crate) priority: u8,
    pub(crate) each: bool,
    pub(crate) live: bool,
    pub(crate) pending: u32,
    pub(crate) expired: bool,
    pub(crate) disabled: Option<DisabledPolicy>,
    pub(crate) watched: bool,
    pub(crate) timed: bool,
    pub(crate) wakes: bool,
    /// When what is pending began to be.
    pub(crate) stamp: u64,
    pub(crate) ledger: Ledger,
}

impl Event {
    /// One that is a handler and a counter and nothing else, and has nothing to tell.
    pub(crate) fn plain(id: EventId, context: usize, handler: u32, level: u8, each: bool) -> Self {
        Self {
            id,
            context,
            handler,
            priority: level,
            each,
            live: true,
            pending: 0,
            expired: false,
            disabled: None,
            watched: false,
            timed: false,
            wakes: false,
            stamp: 0,
            ledger: Ledger::default(),
        }
    }
}

/// A handler on a stack.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    /// The event it serves; none once it has returned and is being released.
    pub(crate) event: Option<usize>,
    /// That of its event when it began, or one it has inherited.
    pub(crate) priority: u8,
    /// When its activation was queued, if its event was timed.
    pub(crate) since: Option<u64>,
}

#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) notify: Option<usize>,
    pub(crate) told: bool,
}

pub(crate) struct Context {
    pub(crate) id: ContextId,
    pub(crate) limits: Limits,
    pub(crate) stack: Option<Frame>,
    pub(crate) holds: u32,
    pub(crate) waiting: bool,
    pub(crate) stopping: bool,
    pub(crate) taken: Option<Taken>,
    pub(crate) excluded_by: Option<usize>,
    /// Ceilings that its handler is at, each no lower than the one around it.
    pub(crate) ceilings: Vec<u8>,
    /// Events in the order in which they joined.
    pub(crate) queue: Vec<usize>,
    /// Events that wait for room, in order.
    pub(crate) parked: Vec<usize>,
    /// Its registrations in order.
    pub(crate) registered: Vec<usize>,
    pub(crate) notice: Option<usize>,
    pub(crate) troubles: [u32; Trouble::KINDS],
    pub(crate) shed: u64,
    /// When it began to wait at its present rank; 0 for one that was running then, and so goes
    /// before the others of its rank.
    pub(crate) turn: u64,
}

impl Context {
    pub(crate) fn new(id: ContextId, limits: Limits) -> Self {
        Self {
            id,
            limits,
            stack: None,
            holds: 0,
            waiting: false,
            stopping: false,
            taken: None,
            excluded_by: None,
            ceilings: Vec::new(),
            queue: Vec::new(),
            parked: Vec::new(),
            registered: Vec::new(),
            notice: None,
            troubles: [0; Trouble::KINDS],
            shed: 0,
            turn: 0,
        }
    }

    pub(crate) fn full(&self) -> bool {
        self.queue.len() as u64 >= u64::from(self.limits.activations.max(1))
    }

    /// How many of its holds are nobody's to take away.
    pub(crate) fn own_holds(&self) -> u32 {
        let reasons = [self.waiting, self.taken.is_some(), self.excluded_by.is_some()];
        reasons.into_iter().map(u32::from).sum()
    }
}

pub(crate) struct World {
    pub(crate) events: Vec<Event>,
    pub(crate) contexts: Vec<Context>,
    pub(crate) running: Option<usize>,
    pub(crate) now: u64,
    /// Handlers begun: on the spot, and by how long their activations had waited.
    pub(crate) at_once: [u64; 64],
    pub(crate) waited: [[u64; BUCKETS]; 64],
}

impl World {
    pub(crate) fn new(contexts: Vec<Context>) -> Self {
        let (at_once, waited) = ([0; 64], [[0; BUCKETS]; 64]);
        Self { events: Vec::new(), contexts, running: None, now: 1, at_once, waited }
    }

    /// What a context competes with: the priority of its handler when that began, or of what is
    /// queued; `None` when it does not compete.
    pub(crate) fn rank(&self, context: usize) -> Option<u8> {
        let context = &self.contexts[context];
        if context.holds > 0 {
            return None;
        }
        let active = context.stack.map(|frame| frame.priority);
        let queued = context.queue.iter().map(|&event| self.events[event].priority);
        active.into_iter().chain(queued).max()
    }

    pub(crate) fn ranks(&self) -> impl Iterator<Item = Option<u8>> {
        (0..self.contexts.len()).map(|context| self.rank(context))
    }

    pub(crate) fn running_rank(&self) -> Option<u8> {
        self.running.and_then(|running| self.rank(running))
    }

    /// Whether another context is better than the running one.
    pub(crate) fn due(&self) -> bool {
        self.ranks().max().flatten() > self.running_rank()
    }

    /// The first of the highest priority in a context's queue.
    pub(crate) fn first(&self, context: usize) -> Option<usize> {
        let queue = &self.contexts[context].queue;
        let highest = queue.iter().map(|&event| self.events[event].priority).max()?;
        queue.iter().copied().find(|&event| self.events[event].priority == highest)
    }

    /// Whether the event's handler is on its context's stack.
    pub(crate) fn runs(&self, event: usize) -> bool {
        let context = &self.contexts[self.events[event].context];
        context.stack.is_some_and(|frame| frame.event == Some(event))
    }

    /// Whether the event is a handler and a counter and nothing else.
    pub(crate) fn plain(&self, event: usize) -> bool {
        let context = &self.contexts[self.events[event].context];
        let aside = context.notice == Some(event) || context.parked.contains(&event);
        let event = &self.events[event];
        let marks = event.watched || event.timed || event.wakes || event.expired;
        !(marks || aside || event.disabled.is_some())
    }

    /// Whether the next occurrence of the event has its context go on, which waits, before all others.
    pub(crate) fn resumes(&self, place: usize) -> bool {
        let event = &self.events[place];
        let context = &self.contexts[event.context];
        let marks = event.watched || event.timed || event.expired || event.disabled.is_some();
        let plain = event.live && event.wakes && !marks && context.notice != Some(place);
        let waits = context.waiting && context.holds == 1 && event.pending == 0;
        let queued = context.queue.iter().map(|&event| self.events[event].priority);
        let rank = context.stack.map(|frame| frame.priority).into_iter().chain(queued).max();
        plain && waits && rank > self.running_rank() && !self.due()
    }

    pub(crate) fn context_state(&self, at: usize) -> ContextState {
        let context = &self.contexts[at];
        match (self.rank(at), context.stack) {
            _ if self.running == Some(at) => ContextState::Running,
            _ if context.waiting => ContextState::Waiting,
            _ if context.taken.is_some() => ContextState::Taken,
            _ if context.holds > 0 => ContextState::Held,
            (None, _) => ContextState::Idle,
            (Some(_), None) => ContextState::Ready,
            (Some(_), Some(_)) => ContextState::Preempted,
        }
    }

    pub(crate) fn info(&self, place: usize) -> Info {
        let event = &self.events[place];
        let accumulation = if event.each { Accumulation::Each } else { Accumulation::Count };
        let priority = Priority::new(event.priority).unwrap();
        Info {
            context: self.contexts[event.context].id,
            registration: Registration { priority, accumulation },
            disabled: event.disabled,
            pending: event.pending,
            runs: self.runs(place),
        }
    }

    /// `count` occurrences that nobody is to be asked about.
    pub(crate) fn admit(&mut self, place: usize, count: u32) -> Result<(), Error> {
        self.admit_since(place, count, self.now)
    }

    /// As a consequence of what happened at `stamp`.
    fn admit_since(&mut self, place: usize, count: u32, stamp: u64) -> Result<(), Error> {
        let event = &mut self.events[place];
        if !event.live {
            return Err(Error::Stale);
        }
        if event.disabled == Some(DisabledPolicy::Discard) {
            event.ledger.activated += u64::from(count);
            event.ledger.discarded += u64::from(count);
            return Ok(());
        }
        let pending = event.pending.checked_add(count).ok_or(Error::Overrun)?;
        let before = event.pending > 0 || event.expired;
        event.pending = pending;
        event.ledger.activated += u64::from(count);
        if !before && pending > 0 {
            self.occurred(place, stamp);
        }
        Ok(())
    }

    pub(crate) fn time_out(&mut self, place: usize) {
        let event = &mut self.events[place];
        if event.pending == 0 && !event.expired && event.disabled.is_none() {
            event.expired = true;
            self.occurred(place, self.now);
        }
    }

    pub(crate) fn forget_time_out(&mut self, place: usize) {
        let event = &self.events[place];
        if event.expired && event.pending == 0 {
            self.set_aside(place);
        }
        self.events[place].expired = false;
    }

    /// The event has something to tell and had not.
    pub(crate) fn occurred(&mut self, place: usize, stamp: u64) {
        let event = &mut self.events[place];
        event.stamp = stamp;
        let (context, wakes) = (event.context, event.wakes);
        match event.disabled {
            Some(_) => {}
            None if wakes => self.wake(context),
            None => self.join(place),
        }
    }

    fn join(&mut self, place: usize) {
        let event = &mut self.events[place];
        let at = event.context;
        let context = &mut self.contexts[at];
        if !context.full() || context.notice == Some(place) {
            return self.push(place);
        }
        match context.limits.overload {
            OverflowPolicy::Wait => context.parked.push(place),
            OverflowPolicy::Shed => {
                context.shed += u64::from(event.pending);
                event.ledger.shed += u64::from(event.pending);
                event.pending = 0;
                event.expired = false;
            }
        }
        let stamp = event.stamp;
        self.tell(at, Trouble::LimitReached, stamp);
    }

    /// Something has left a context's queue.
    fn left(&mut self, at: usize) {
        let context = &mut self.contexts[at];
        if !context.full() && !context.parked.is_empty() {
            let first = context.parked.remove(0);
            self.push(first);
        }
    }

    fn push(&mut self, place: usize) {
        let Event { context: at, priority, stamp, .. } = self.events[place];
        let context = &mut self.contexts[at];
        context.queue.push(place);
        if let Some(by) = context.excluded_by {
            self.inherit(by, priority);
        }
        self.tell_taker(at, stamp);
    }

    /// A handler has at least the priority of what waits because of it.
    pub(crate) fn inherit(&mut self, at: usize, priority: u8) {
        if let Some(frame) = &mut self.contexts[at].stack {
            frame.priority = frame.priority.max(priority);
        }
    }

    /// Takes an event out of wherever it waits.
    pub(crate) fn set_aside(&mut self, place: usize) {
        let at = self.events[place].context;
        let context = &mut self.contexts[at];
        context.parked.retain(|&other| other != place);
        let queued = context.queue.len();
        context.queue.retain(|&other| other != place);
        if context.queue.len() < queued {
            self.left(at);
        }
    }

    /// Drops what an event has to tell; says how many occurrences that were.
    pub(crate) fn drop_pending(&mut self, place: usize) -> u32 {
        self.set_aside(place);
        self.events[place].expired = false;
        std::mem::take(&mut self.events[place].pending)
    }

    pub(crate) fn set_priority(&mut self, place: usize, priority: u8) {
        let event = &mut self.events[place];
        if std::mem::replace(&mut event.priority, priority) == priority {
            return;
        }
        let context = &mut self.contexts[event.context];
        if context.queue.contains(&place) {
            context.queue.retain(|&other| other != place);
            self.push(place);
        }
    }

    /// The event is taken from its context's queue; says what its taker is told.
    pub(crate) fn told(&mut self, place: usize) -> u32 {
        self.set_aside(place);
        let event = &mut self.events[place];
        assert!(event.live && (event.pending > 0 || event.expired));
        event.expired = false;
        let count = if event.each { event.pending.min(1) } else { event.pending };
        event.pending -= count;
        event.ledger.delivered += u64::from(count);
        if event.pending > 0 {
            self.join(place);
        }
        count
    }

    pub(crate) fn tell(&mut self, at: usize, trouble: Trouble, stamp: u64) {
        let context = &mut self.contexts[at];
        context.troubles[trouble as usize] += 1;
        if let Some(notice) = context.notice {
            let _ = self.admit_since(notice, 1, stamp);
        }
    }

    pub(crate) fn tell_taker(&mut self, at: usize, stamp: u64) {
        let Some(taken) = &mut self.contexts[at].taken else { return };
        if !std::mem::replace(&mut taken.told, true)
            && let Some(notify) = taken.notify
        {
            let _ = self.admit_since(notify, 1, stamp);
        }
    }

    pub(crate) fn wake(&mut self, at: usize) {
        let context = &mut self.contexts[at];
        if std::mem::take(&mut context.waiting) {
            context.holds -= 1;
        }
    }

    /// A handler begins that was queued since `stamp`, or not at all.
    pub(crate) fn begun(&mut self, priority: u8, stamp: Option<u64>) {
        let Some(stamp) = stamp else {
            self.at_once[usize::from(priority)] += 1;
            return;
        };
        let time = self.now - stamp;
        let bucket = (0..BUCKETS).find(|&bucket| time < 1 << bucket).unwrap_or(BUCKETS - 1);
        self.waited[usize::from(priority)][bucket] += 1;
    }
}
