//! What occurs, and every registration that is to be told (A-3.6.5).

use crate::Delivery;
use crate::backlog::{Backlog, Copying, Due, Next};
use crate::behalf;
use crate::levels::{End, Levels};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::fmt;
use reflex_event::{Ceiling, Context, ContextId, Error, EventId, Kernel, Priority, Registration};

/// Where an occurrence goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// To every registration: its data is copied, or counted.
    Shared,
    /// To one only: a second registration is refused.
    Exclusive,
}

/// What can occur, and its registrations. Copies are of the same source, which ends with the last
/// of them.
///
/// The *relay* is a context in which occurrences are handed to registrations when there are
/// several: any will do, and one is enough for all sources. A run of it serves a few registrations
/// of one priority, at that priority, so that neither one of higher priority nor another source
/// waits for more.
///
/// ```text
///   deliver ──▶ one registration, with room, not behind ──▶ its subscription, on the spot
///         └───▶ backlog ──▶ relay, a few registrations a run ──▶ their subscriptions
///                 │ full             ▲          │ full
///                 ▼                  └──────────┘ when it has room again
///         the data is returned; `resume` is called when there is room again
/// ```
pub struct Source<K: Kernel, T: Send + 'static>(Arc<SourceShared<K, T>>);

/// What is called when there is room again.
type Resume = Box<dyn Fn() + Send + Sync>;

struct SourceShared<K: Kernel, T: Send + 'static> {
    kernel: K,
    sharing: Sharing,
    resume: Option<Resume>,
    state: Ceiling<SourceState<K, T>>,
}

/// Data that nobody needs, and for which context it was kept, if for any.
type Unneeded<T> = (Option<ContextId>, T);

/// What became of an occurrence for which there was no room.
enum Outcome<T> {
    /// It is kept, or goes to nobody.
    Done(Option<Unneeded<T>>),
    /// There is room now.
    Again(T),
    Refused(T),
}

/// What became of a registration's turn.
enum Handed<K: Kernel, T: Send + 'static> {
    /// It has been given what it was to be given, and is to be activated for so many occurrences.
    /// Data of a context's that is not needed any more is to be dropped.
    Simply(EventId, u32, Option<(ContextId, T)>),
    /// It is to be given a copy of what is due, which is to be made with others let in between.
    Copy(Delivery<K, T>, u64, Due<T>, fn(&T) -> T),
    /// It is not as simple as that: it is to be given what is due with others let in between.
    Not(Delivery<K, T>, u64, Due<T>),
    /// There is none of that priority that is behind.
    Nothing,
}

/// Most registrations served in one run of the relay: a source of higher priority may have to wait
/// for one run.
const RUN: u32 = 8;

struct SourceState<K: Kernel, T: Send + 'static> {
    levels: Levels<K, T>,
    registrations: u32,
    backlog: Backlog<T>,
    /// A delivery was turned away.
    refused: bool,
    /// Serves one registration a run.
    relay: Option<EventId>,
    /// Its priority.
    relay_at: Priority,
    /// That priority, while it is activated.
    armed: Option<Priority>,
    /// What is kept at the highest priority of a registration, and where it is.
    lead: Option<(EventId, Priority)>,
    /// Occurrences when nobody had registered.
    unheard: u64,
    /// The context that has registered last.
    latest: Option<ContextId>,
}

impl<K: Kernel, T: Send + 'static> Source<K, T> {
    /// A source that goes to everybody, and can not be held up: a registration that cannot keep
    /// pace is given the data of the last occurrence, and the number of them.
    ///
    /// Data is copied as code of the context that is given the copy: when that fails, so does this
    /// context, and the data is lost for the others.
    ///
    /// # Errors
    /// [`Error::HeapExhausted`], and those of [`Kernel::register`].
    pub fn latest<R: Send + 'static>(kernel: &K, relay: Context<R>) -> Result<Self, Error>
    where
        T: Clone,
    {
        let backlog = Backlog::latest(Some(Copying::code()))?;
        Self::new(kernel, relay, Sharing::Shared, backlog, None)
    }

    /// [`latest`](Self::latest) for plain data: its copies take no code, and less time.
    ///
    /// # Errors
    /// As [`latest`](Self::latest).
    pub fn plain<R: Send + 'static>(kernel: &K, relay: Context<R>) -> Result<Self, Error>
    where
        T: Copy,
    {
        let backlog = Backlog::latest(Some(Copying::bits()))?;
        Self::new(kernel, relay, Sharing::Shared, backlog, None)
    }

    /// A source that goes to everybody, occurrence by occurrence. Up to `capacity`, at least 1,
    /// wait for registrations that cannot keep pace; then it is held up, until `resume` is called.
    ///
    /// # Errors
    /// As [`latest`](Self::latest).
    pub fn queued<R: Send + 'static>(
        kernel: &K,
        relay: Context<R>,
        capacity: usize,
        resume: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Error>
    where
        T: Clone,
    {
        let backlog = Backlog::queue(capacity.max(1), Some(Copying::code()))?;
        Self::new(kernel, relay, Sharing::Shared, backlog, Some(Box::new(resume)))
    }

    /// A source that goes to one registration. When that has no room the source is held up, until
    /// `resume` is called.
    ///
    /// # Errors
    /// As [`latest`](Self::latest).
    pub fn exclusive<R: Send + 'static>(
        kernel: &K,
        relay: Context<R>,
        resume: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let backlog = Backlog::queue(0, None)?;
        Self::new(kernel, relay, Sharing::Exclusive, backlog, Some(Box::new(resume)))
    }

    fn new<R: Send + 'static>(
        kernel: &K,
        relay: Context<R>,
        sharing: Sharing,
        backlog: Backlog<T>,
        resume: Option<Resume>,
    ) -> Result<Self, Error> {
        let state = SourceState {
            levels: Levels::new()?,
            registrations: 0,
            backlog,
            refused: false,
            relay: None,
            relay_at: Priority::DEFAULT,
            armed: None,
            lead: None,
            unheard: 0,
            latest: None,
        };
        let kernel = kernel.clone();
        let inner = Arc::new(SourceShared { kernel, sharing, resume, state: Ceiling::new(state) });
        let weak: Weak<SourceShared<K, T>> = Arc::downgrade(&inner);
        let event =
            inner.kernel.register(relay, Registration::default(), move |_: &mut R, _| {
                if let Some(inner) = weak.upgrade() {
                    Self(inner).step();
                }
            })?;
        inner.with(|state| state.relay = Some(event));
        Ok(Self(inner))
    }

    /// Which registrations are told.
    pub fn sharing(&self) -> Sharing {
        self.0.sharing
    }

    /// The registration of a source that has no other.
    pub fn sole(&self) -> Option<Delivery<K, T>> {
        self.0.with(|state| {
            let first = state.levels.first().filter(|_| state.registrations == 1);
            first.cloned()
        })
    }

    /// How many registrations there are.
    pub fn registrations(&self) -> u32 {
        self.0.with(|state| state.registrations)
    }

    /// Occurrences there were when nobody had registered.
    pub fn unheard(&self) -> u64 {
        self.0.with(|state| state.unheard)
    }

    /// Adds a registration. It is told of what occurs from now on.
    ///
    /// # Errors
    /// [`Error::Exclusive`] when there is one already and there can be no other; [`Error::Busy`]
    /// when it is one of some source already.
    pub fn attach(&self, delivery: &Delivery<K, T>, priority: Priority) -> Result<(), Error> {
        self.0.with(|state| {
            if self.0.sharing == Sharing::Exclusive && state.registrations > 0 {
                return Err(Error::Exclusive);
            }
            delivery.with_links(|links| {
                if links.home.is_some() {
                    return Err(Error::Busy);
                }
                links.home = Some(self.clone());
                links.seen = state.backlog.end();
                links.priority = priority;
                Ok(())
            })?;
            state.registrations += 1;
            state.latest = Some(delivery.context());
            state.levels.add(delivery, End::Back);
            state.follow(&self.0.kernel);
            Ok(())
        })
    }

    /// Takes a registration away; false if it is none of this source.
    pub fn detach(&self, delivery: &Delivery<K, T>) -> bool {
        let home = self.0.with(|state| {
            let home = delivery.with_links(|links| links.home.take_if(|home| home.same(self)))?;
            state.registrations -= 1;
            let (listed, seen) = delivery.with_links(|links| (links.listed, links.seen));
            if listed {
                state.levels.remove(delivery);
            }
            let end = state.backlog.end();
            state.backlog.given(seen, end);
            state.follow(&self.0.kernel);
            Some(home)
        });
        if home.is_some() {
            self.make_room();
        }
        home.is_some()
    }

    /// `data` has occurred.
    ///
    /// # Errors
    /// The data when it cannot be taken now, which only happens to sources that can be held up.
    pub fn deliver(&self, data: T) -> Result<(), T> {
        self.deliver_counted(data, 1)
    }

    /// `data` has occurred so many times. Not for interrupt context.
    ///
    /// # Errors
    /// As [`deliver`](Self::deliver).
    pub fn deliver_counted(&self, data: T, count: u32) -> Result<(), T> {
        let try_push = self.0.with(|state| {
            let direct = state.registrations == 1 && state.backlog.is_empty();
            match state.levels.first() {
                Some(delivery) if direct => delivery.try_push(data, count),
                _ => Err(data),
            }
        });
        match try_push {
            Ok((event, unneeded)) => {
                // When it has ended meanwhile there is nobody to be told.
                let _ = self.0.kernel.activate(event, count);
                if let Some((owner, unneeded)) = unneeded {
                    behalf::discard(&self.0.kernel, owner, unneeded);
                }
                Ok(())
            }
            Err(data) => {
                // What nobody needs is dropped here, where nothing is guarded.
                match self.deliver_slowly(data, count)? {
                    Some((Some(owner), unneeded)) => {
                        behalf::discard(&self.0.kernel, owner, unneeded);
                    }
                    Some((None, unneeded)) => drop(unneeded),
                    None => {}
                }
                Ok(())
            }
        }
    }

    /// Delivers data where that is not simple; returns data that nobody needs.
    #[inline(never)]
    fn deliver_slowly(&self, data: T, count: u32) -> Result<Option<Unneeded<T>>, T> {
        // No share of a subscription is kept where the calling context may be given up.
        self.0.kernel.guarded(|| {
            let sole = self.0.with(|state| {
                let direct = state.registrations == 1 && state.backlog.is_empty();
                state.levels.first().filter(|_| direct).cloned()
            });
            match sole {
                Some(delivery) => match delivery.deliver(data, count) {
                    Ok(()) => Ok(None),
                    Err(data) => self.keep(&delivery, data, count),
                },
                None => self.0.queue(data, count),
            }
        })
    }

    /// The only registration has had no room for an occurrence.
    #[cold]
    #[inline(never)]
    fn keep(
        &self,
        delivery: &Delivery<K, T>,
        mut data: T,
        count: u32,
    ) -> Result<Option<Unneeded<T>>, T> {
        loop {
            // In a section: it does not make room in between, with nobody waiting yet.
            let kept = self.0.kernel.section(|| {
                if !self.has(delivery) {
                    return Outcome::Done(Some((Some(delivery.context()), data)));
                }
                if !delivery.holds_up() {
                    return Outcome::Again(data);
                }
                let unneeded = match self.0.queue(data, count) {
                    Ok(unneeded) => unneeded,
                    Err(data) => return Outcome::Refused(data),
                };
                self.0.with(|state| {
                    if delivery.with_links(|links| links.listed) {
                        state.levels.remove(delivery);
                    }
                });
                Outcome::Done(unneeded)
            });
            match kept {
                Outcome::Done(unneeded) => return Ok(unneeded),
                Outcome::Refused(data) => return Err(data),
                Outcome::Again(again) => match delivery.deliver(again, count) {
                    Ok(()) => return Ok(None),
                    Err(again) => data = again,
                },
            }
        }
    }

    /// Whether it is a registration of this source.
    fn has(&self, delivery: &Delivery<K, T>) -> bool {
        delivery.links(|links| links.home.as_ref().is_some_and(|home| home.same(self)))
    }

    /// Hands the next registrations of one priority what they are to be given next. A run of the
    /// relay; others may come in between its steps.
    fn step(&self) {
        self.0.with(|state| state.armed = None);
        let mut at = None;
        for _ in 0..RUN {
            match self.0.with(|state| state.hand(&mut at)) {
                Handed::Simply(event, count, unneeded) => {
                    // When it has ended meanwhile there is nobody to be told.
                    let _ = self.0.kernel.activate(event, count);
                    if let Some((owner, unneeded)) = unneeded {
                        behalf::discard(&self.0.kernel, owner, unneeded);
                    }
                }
                Handed::Not(delivery, seen, due) => self.hand_slowly(&delivery, seen, due),
                Handed::Copy(delivery, seen, due, copy) => {
                    self.hand_copy(&delivery, seen, due, copy)
                }
                Handed::Nothing => break,
            }
        }
        self.make_room();
        self.0.arm();
    }

    /// Hands a registration what is due.
    fn hand_slowly(&self, delivery: &Delivery<K, T>, seen: u64, due: Due<T>) {
        let Due { data, count, after } = due;
        let result = delivery.deliver(data, count);
        let unneeded = self.0.with(|state| state.given(self, delivery, seen, after, result));
        if let Some(unneeded) = unneeded {
            behalf::discard(&self.0.kernel, delivery.context(), unneeded);
        }
    }

    /// Hands a registration a copy of what is due, and puts that back for the others.
    #[cold]
    #[inline(never)]
    fn hand_copy(&self, delivery: &Delivery<K, T>, seen: u64, due: Due<T>, copy: fn(&T) -> T) {
        let Due { data, count, after } = due;
        let Some((data, copied)) = behalf::copied(&self.0.kernel, delivery.context(), data, copy)
        else {
            self.0.with(|state| state.backlog.lose(seen));
            return;
        };
        let unneeded = self.0.with(|state| state.backlog.put_back(seen, data));
        if let Some(unneeded) = unneeded {
            behalf::discard(&self.0.kernel, delivery.context(), unneeded);
        }
        self.hand_slowly(delivery, seen, Due { data: copied, count, after });
    }

    /// Drops what every registration has been given, and lets deliveries go on if there is room.
    fn make_room(&self) {
        loop {
            let (dropped, resumes, owner) = self.0.with(|state| {
                let dropped = state.backlog.pop();
                let room = state.registrations == 0 || state.backlog.has_room();
                let resumes = dropped.is_none() && room && core::mem::take(&mut state.refused);
                (dropped, resumes, state.latest)
            });
            if resumes {
                self.0.resume();
            }
            let Some(dropped) = dropped else { return };
            // It was copied for all of them: it is as much the last one's as any other's.
            if let (Some(dropped), Some(owner)) = (dropped, owner) {
                behalf::discard(&self.0.kernel, owner, dropped);
            }
        }
    }

    /// A registration has room again.
    pub(crate) fn resumed(&self, delivery: &Delivery<K, T>) {
        let resumes = self.0.with(|state| {
            if !delivery.with_links(|links| links.listed || links.home.is_none()) {
                state.levels.add(delivery, End::Front);
                state.follow(&self.0.kernel);
            }
            let direct = state.registrations == 1 && state.backlog.is_empty();
            direct && core::mem::take(&mut state.refused)
        });
        self.0.arm();
        if resumes {
            self.0.resume();
        }
    }

    /// A registration has another priority.
    pub(crate) fn set_priority(&self, delivery: &Delivery<K, T>, priority: Priority) {
        self.0.with(|state| {
            let (listed, seen) = delivery.with_links(|links| (links.listed, links.seen));
            if listed {
                state.levels.remove(delivery);
            }
            delivery.with_links(|links| links.priority = priority);
            if listed {
                let behind = seen < state.backlog.end();
                state.levels.add(delivery, if behind { End::Front } else { End::Back });
                state.follow(&self.0.kernel);
            }
        });
        self.0.arm();
    }

    /// From now on `event`, which delivers to this source, has the priority of the highest
    /// registration.
    pub fn follow_priority(&self, event: EventId) {
        self.0.with(|state| {
            state.lead = Some((event, Priority::DEFAULT));
            let _ = self.0.kernel.set_priority(event, Priority::DEFAULT);
            state.follow(&self.0.kernel);
        });
    }

    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<K: Kernel, T: Send + 'static> SourceShared<K, T> {
    fn with<R>(&self, work: impl FnOnce(&mut SourceState<K, T>) -> R) -> R {
        self.state.with(&self.kernel, work)
    }

    /// Puts an occurrence into the backlog, for the relay.
    fn queue(&self, data: T, count: u32) -> Result<Option<Unneeded<T>>, T> {
        let unneeded = self.with(|state| {
            if state.registrations == 0 {
                state.unheard += u64::from(count);
                return Ok(Some((None, data)));
            }
            match state.backlog.put(data, count, state.registrations) {
                Ok(unneeded) => {
                    state.levels.fall_behind();
                    Ok(unneeded.map(|data| (state.latest, data)))
                }
                Err(data) => {
                    state.refused = true;
                    Err(data)
                }
            }
        })?;
        self.arm();
        Ok(unneeded)
    }

    /// Activates the relay if there is something for it to do.
    fn arm(&self) {
        if let Some(relay) = self.with(|state| state.arm(&self.kernel)) {
            // It ends with the source only.
            let _ = self.kernel.activate(relay, 1);
        }
    }

    fn resume(&self) {
        if let Some(resume) = &self.resume {
            resume();
        }
    }
}

impl<K: Kernel, T: Send + 'static> SourceState<K, T> {
    /// Hands the next registration what it is to be given next, if its priority is that of those
    /// before it in this run.
    #[inline]
    fn hand(&mut self, at: &mut Option<Priority>) -> Handed<K, T> {
        let Self { levels, backlog, .. } = self;
        loop {
            let Some(priority) = levels.next() else { return Handed::Nothing };
            if at.replace(priority).is_some_and(|at| at != priority) {
                return Handed::Nothing;
            }
            let Some(delivery) = levels.head(priority) else { return Handed::Nothing };
            let (seen, alone) = delivery.with_links(|links| (links.seen, links.is_alone()));
            let (after, handed) = match backlog.look(seen) {
                Next::Nothing => {
                    levels.caught_up(priority);
                    continue;
                }
                Next::Copy(due, copy) => return Handed::Copy(delivery.clone(), seen, due, copy),
                Next::Lost(after) => (after, None),
                Next::Due(Due { data, count, after }) => match delivery.try_push(data, count) {
                    Ok((event, unneeded)) => (after, Some(Handed::Simply(event, count, unneeded))),
                    Err(data) => {
                        return Handed::Not(delivery.clone(), seen, Due { data, count, after });
                    }
                },
            };
            delivery.with_links(|links| links.seen = after);
            backlog.given(seen, after);
            if after == backlog.end() {
                // Those that have been given all come last.
                if alone { levels.caught_up(priority) } else { levels.rotate(priority) }
            }
            if let Some(handed) = handed {
                return handed;
            }
        }
    }

    /// What became of it. Returns data that is not needed any more.
    fn given(
        &mut self,
        source: &Source<K, T>,
        delivery: &Delivery<K, T>,
        seen: u64,
        after: u64,
        result: Result<(), T>,
    ) -> Option<T> {
        let given = result.is_ok();
        let (home, listed, alone, priority) = delivery.with_links(|links| {
            let home = links.home.as_ref().is_some_and(|home| home.same(source));
            if home && given {
                links.seen = after;
            }
            (home, links.listed, links.is_alone(), links.priority)
        });
        if !home {
            return result.err();
        }
        if let Err(data) = result {
            // It waits outside of the lists until it has room, unless that is so already.
            if listed && delivery.holds_up() {
                self.levels.remove(delivery);
            }
            return self.backlog.put_back(seen, data);
        }
        self.backlog.given(seen, after);
        if after == self.backlog.end() && listed {
            // Those that have been given all come last.
            if alone {
                self.levels.caught_up(priority);
            } else {
                self.levels.remove(delivery);
                self.levels.add(delivery, End::Back);
            }
        }
        None
    }

    /// Has whatever delivers follow the highest registration.
    fn follow(&mut self, kernel: &K) {
        if let (Some((event, at)), Some(top)) = (&mut self.lead, self.levels.top())
            && *at != top
        {
            *at = top;
            // When it has ended, nothing is delivered any more.
            let _ = kernel.set_priority(*event, top);
        }
    }

    /// Readies the relay for the registration that is next, at that one's priority. Returns it when
    /// it is to be activated.
    fn arm(&mut self, kernel: &K) -> Option<EventId> {
        let (next, relay) = (self.levels.next()?, self.relay?);
        if self.armed.is_some_and(|armed| armed >= next) {
            return None;
        }
        if self.relay_at != next {
            self.relay_at = next;
            // It ends with the source only.
            let _ = kernel.set_priority(relay, next);
        }
        self.armed.replace(next).is_none().then_some(relay)
    }
}

impl<K: Kernel, T: Send + 'static> Drop for SourceShared<K, T> {
    fn drop(&mut self) {
        if let Some(relay) = self.with(|state| state.relay.take()) {
            let _ = self.kernel.unregister(relay);
        }
    }
}

impl<K: Kernel, T: Send + 'static> Clone for Source<K, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kernel, T: Send + 'static> fmt::Debug for Source<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {} registrations)", self.0.sharing, self.registrations())
    }
}
