//! A registration's end of a source: data of a type on its way to a handler.

mod control;

use crate::backlog::{Backlog, Due, Next};
use crate::levels::Links;
use crate::store::{Put, Store, Taken};
use crate::{Source, behalf};
use core::fmt;
use core::mem::needs_drop;
use reflex_event::{Activation, Borrowed, Ceiling, ContextId, Error, EventId, Kernel, Trouble};
use reflex_memory::{LentDyn, Pool, Shared};

/// What a registration has done about occurrences that find no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shortage {
    /// The source is held up until the handler has made room.
    #[default]
    Wait,
    /// The source is held up until somebody says [`Delivery::retry`].
    Retry,
    /// The occurrence is dropped, and [counted](Delivery::shed).
    Shed,
    /// The registration ends.
    Abort,
}

/// How a registration is to be served, beside its priority and accumulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Only the first occurrence counts.
    pub once: bool,
    /// What to do about occurrences that find no room.
    pub shortage: Shortage,
}

/// What a handler's run is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivered<T> {
    /// So many occurrences; their data unless they are only counted.
    Occurred(Option<T>, u32),
    /// The event did not occur in time.
    TimedOut,
    /// What it was for has been taken already, or dropped.
    Nothing,
}

/// Says whether an occurrence with this data counts.
type Filter<T> = LentDyn<dyn Fn(&T) -> bool + Send>;

/// Whether occurrences are let in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Counting,
    Discarding,
    /// The registration has ended.
    Closed,
}

struct SubscriptionState<K: Kernel, T: Send + 'static> {
    event: Option<EventId>,
    /// The same, while all that occurs is let in without a question: see [`settle`](Self::settle).
    open: Option<EventId>,
    store: Store<T>,
    gate: Gate,
    /// Out while it is asked.
    filter: Option<Filter<T>>,
    /// Changes with the filter.
    version: u32,
    shortage: Shortage,
    /// A source waits for room.
    holds_up: bool,
    /// Only one occurrence counts.
    once: bool,
    /// The one occurrence that counts has been let in.
    used_up: bool,
    /// Occurrences while the registration was disabled.
    counted: u32,
    shed: u64,
    /// What the source keeps with it.
    links: Links<K, T>,
}

/// A registration has been given the last occurrence, and is to be activated so many times. Then the one after it
/// comes.
type Given<K, T> = (EventId, u32, Option<Delivery<K, T>>);

/// What has become of a registration's turn in its source.
pub(crate) enum Turn<K: Kernel, T: Send + 'static> {
    /// It has been given what it was to be given, and is to be activated for so many occurrences. Data that
    /// it has kept before is not needed any more.
    Given { event: EventId, count: u32, unneeded: Option<T>, next: Option<Delivery<K, T>> },
    /// What it was to be given is lost.
    Lost(Option<Delivery<K, T>>),
    /// It has seen everything before this number, and is to be given a copy of what is due, which is to be
    /// made with others let in between.
    Copy(u64, Due<T>, fn(&T) -> T),
    /// It has seen everything before this number, and is to be given what is due with others let in between.
    Slowly(u64, Due<T>),
    /// It has been given all.
    Nothing,
}

/// What to do, outside of the ceiling, about an occurrence that was to be let in.
enum Admission<T> {
    /// The filter is to be asked first.
    Ask(T),
    /// Nothing: it does not count, or only as a number.
    Drop(T),
    /// Nothing: the filter has failed, and it was forgotten.
    Forgotten,
    /// The handler is due. Data that is no longer needed is to be dropped.
    Activate(Option<T>),
    /// There is no room; true when that is news.
    Full(T, bool),
    Shed(T),
    Abort(T),
}

/// A registration's data and what is kept with it, in the owner's event memory. It is reached
/// through a [`Delivery`].
pub struct Subscription<K: Kernel, T: Send + 'static> {
    kernel: K,
    context: ContextId,
    pool: &'static Pool,
    state: Ceiling<SubscriptionState<K, T>>,
}

/// A registration as its source and its owner see it: a share of its [`Subscription`].
pub struct Delivery<K: Kernel, T: Send + 'static>(Shared<Subscription<K, T>>);

impl<K: Kernel, T: Send + 'static> Delivery<K, T> {
    /// A subscription for a registration that is about to be made with the context.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(
        kernel: &K,
        context: ContextId,
        pool: &'static Pool,
        store: Store<T>,
        options: Options,
    ) -> Result<Self, Error> {
        let state = SubscriptionState {
            event: None,
            open: None,
            store,
            gate: Gate::Open,
            filter: None,
            version: 0,
            shortage: options.shortage,
            holds_up: false,
            once: options.once,
            used_up: false,
            counted: 0,
            shed: 0,
            links: Links::default(),
        };
        let subscription =
            Subscription { kernel: kernel.clone(), context, pool, state: Ceiling::new(state) };
        Shared::new(pool, subscription).map(Self).map_err(|_| Error::OutOfMemory)
    }

    /// The registration has been made.
    pub fn registered(&self, event: EventId) {
        self.change(|state| state.event = Some(event));
    }

    /// The owner.
    pub fn context(&self) -> ContextId {
        self.0.context
    }

    /// The owner's event memory.
    pub fn pool(&self) -> &'static Pool {
        self.0.pool
    }

    /// The registration.
    pub fn event(&self) -> Option<EventId> {
        self.with(|state| state.event)
    }

    /// Delivers data that stands for `count` occurrences. Not for interrupt context.
    ///
    /// # Errors
    /// The data, when there is no room for it: the caller is held up, and the subscription's source is told
    /// when to try again.
    pub fn deliver(&self, data: T, count: u32) -> Result<(), T> {
        let (admission, event) = self.change(|state| {
            let admission = match state.filter {
                Some(_) => Admission::Ask(data),
                None => state.admit(data, count),
            };
            (admission, state.event)
        });
        let admission = match admission {
            Admission::Activate(unneeded) => {
                self.activate(event, count);
                unneeded.into_iter().for_each(|data| self.discard(data));
                return Ok(());
            }
            Admission::Ask(data) => self.ask(data, count),
            other => other,
        };
        self.carry_out(admission, event, count)
    }

    /// Lets data in if nothing is to be asked, and there is room, for code in a section: then says which
    /// handler is due, and what data of the owner's is not needed any more.
    ///
    /// # Errors
    /// The data, to be [delivered](Self::deliver).
    #[inline(always)]
    pub(crate) fn try_push(&self, data: T, count: u32) -> Result<(EventId, Option<T>), T> {
        self.0.state.within(|state| state.push(data, count))
    }

    /// Gives the registration the last occurrence, for code in a section, if all there is to be done is to keep
    /// a copy of its bits in the place of the one before. Says which handler is due, and for how many.
    #[inline(always)]
    pub(crate) fn hand_plain(&self, backlog: &mut Backlog<T>) -> Option<Given<K, T>> {
        // What is dropped is not dropped in here.
        if needs_drop::<T>() {
            return None;
        }
        self.0.state.within(|state| {
            let (event, last) = (state.open?, state.store.last()?);
            let (data, count) = backlog.take_plain(state.links.seen)?;
            last.put(data, count);
            state.links.seen = backlog.end();
            Some((event, count, state.links.after()))
        })
    }

    /// Gives the registration what is next for it in the backlog, for code in a section: as
    /// [`try_push`](Self::try_push), if that is simple.
    pub(crate) fn hand(&self, backlog: &mut Backlog<T>) -> Turn<K, T> {
        self.0.state.within(|state| {
            let seen = state.links.seen;
            match backlog.take(seen) {
                Next::Due(Due { data, count, after }) => match state.push(data, count) {
                    Ok((event, unneeded)) => {
                        state.links.seen = after;
                        let next = if after == backlog.end() { state.links.after() } else { None };
                        Turn::Given { event, count, unneeded, next }
                    }
                    Err(data) => {
                        backlog.not_given(seen);
                        Turn::Slowly(seen, Due { data, count, after })
                    }
                },
                Next::Copy(due, copy) => Turn::Copy(seen, due, copy),
                Next::Lost(after) => {
                    state.links.seen = after;
                    Turn::Lost(if after == backlog.end() { state.links.after() } else { None })
                }
                Next::Nothing => Turn::Nothing,
            }
        })
    }

    /// Asks the filter. It may do anything, change itself included.
    #[cold]
    #[inline(never)]
    fn ask(&self, mut data: T, count: u32) -> Admission<T> {
        // In a section: while it is out, nobody passes without having been asked about.
        self.0.kernel.section(|| {
            if let Some((filter, version)) = self.change(SubscriptionState::take_filter) {
                let contained = self.0.kernel.contained(self.0.context, data, |data| filter(data));
                let (whole, passes) = match contained {
                    Ok(done) => done,
                    // In what state it is nobody knows, so nobody is to drop it.
                    Err(Borrowed::Reusable) => {
                        filter.forget();
                        return Admission::Forgotten;
                    }
                    Err(Borrowed::Quarantined) => {
                        filter.leave();
                        return Admission::Forgotten;
                    }
                };
                data = whole;
                // When it is not put back, it is dropped here.
                let outdated = self.change(|state| state.put_back(filter, version));
                outdated.into_iter().for_each(|filter| self.discard(filter));
                if !passes {
                    return Admission::Drop(data);
                }
            }
            self.change(|state| state.admit(data, count))
        })
    }

    /// What is to be done about what was not simply let in.
    #[cold]
    #[inline(never)]
    fn carry_out(
        &self,
        admission: Admission<T>,
        event: Option<EventId>,
        count: u32,
    ) -> Result<(), T> {
        match admission {
            Admission::Forgotten => {}
            Admission::Drop(data) | Admission::Ask(data) => self.discard(data),
            Admission::Activate(unneeded) => {
                self.activate(event, count);
                unneeded.into_iter().for_each(|data| self.discard(data));
            }
            Admission::Full(data, news) => {
                if news {
                    // Whatever became of what was pending, the handler is to make room.
                    self.activate(event, 1);
                    self.report(Trouble::SourceThrottled);
                }
                return Err(data);
            }
            Admission::Shed(data) => {
                self.report(Trouble::LimitReached);
                self.discard(data);
            }
            Admission::Abort(data) => {
                self.report(Trouble::LimitReached);
                self.discard(data);
                // When it has ended already, so much the better.
                let _ = event.map(|event| self.0.kernel.unregister(event));
            }
        }
        Ok(())
    }

    /// There was no memory for the data of `count` occurrences, which are dropped, and counted or the
    /// end of the registration, as it has chosen for those that find no room. True when it has
    /// chosen that the caller is to wait: then they are to be delivered later, if that is possible.
    pub fn no_room(&self, count: u32) -> bool {
        let (shortage, event) = self.with(|state| {
            if state.shortage == Shortage::Shed {
                state.shed = state.shed.saturating_add(u64::from(count));
            }
            (state.shortage, state.event)
        });
        if shortage == Shortage::Abort {
            // When it has ended already, so much the better.
            let _ = event.map(|event| self.0.kernel.unregister(event));
        }
        matches!(shortage, Shortage::Wait | Shortage::Retry)
    }

    /// Whether deliveries are held up for want of room.
    pub(crate) fn holds_up(&self) -> bool {
        self.with(|state| state.holds_up)
    }

    /// What the handler's run is for. In the handler's context, first thing.
    #[inline]
    pub fn take(&self, activation: Activation) -> Delivered<T> {
        // Mostly it is the last data, and that is all.
        let last = self.with(|state| {
            let last = state.store.last().filter(|_| !state.holds_up)?;
            last.take()
        });
        match last {
            Some((data, count)) => Delivered::Occurred(Some(data), count),
            None => self.take_any(activation),
        }
    }

    /// [`take`](Self::take) of whatever it is.
    #[inline(never)]
    fn take_any(&self, activation: Activation) -> Delivered<T> {
        let (taken, held_up) = self.with(|state| (state.store.take(), state.holds_up));
        if held_up {
            self.room_made();
        }
        match taken {
            Taken::Last((data, count)) => Delivered::Occurred(Some(data), count),
            Taken::First((data, count)) => {
                self.activate(Some(activation.event), 1);
                Delivered::Occurred(Some(data), count)
            }
            Taken::Counted if activation.count > 0 => Delivered::Occurred(None, activation.count),
            Taken::Counted | Taken::Nothing if activation.timed_out() => Delivered::TimedOut,
            Taken::Counted | Taken::Nothing => Delivered::Nothing,
        }
    }

    /// There may be room for what has waited for some: the source goes on.
    #[cold]
    #[inline(never)]
    fn room_made(&self) {
        let resumes = self.with(|state| {
            let waits = state.shortage == Shortage::Wait && !state.store.only_counts();
            waits && core::mem::take(&mut state.holds_up)
        });
        if resumes {
            self.resume();
        }
    }

    /// Drops what is the owner's, wherever this is.
    fn discard<D>(&self, value: D) {
        behalf::discard(&self.0.kernel, self.0.context, value);
    }

    fn resume(&self) {
        self.0.kernel.section(|| {
            if let Some(source) = self.home() {
                source.resumed(self);
            }
        });
    }

    fn home(&self) -> Option<Source<K, T>> {
        self.links(|links| links.home.clone())
    }

    fn activate(&self, event: Option<EventId>, count: u32) {
        // A registration that has ended has nobody to be told, and a full counter says as much
        // as a counter can.
        let _ = event.map(|event| self.0.kernel.activate(event, count));
    }

    fn report(&self, trouble: Trouble) {
        // An owner that has ended need not be told.
        let _ = self.0.kernel.report(self.0.context, trouble);
    }

    fn with<R>(&self, work: impl FnOnce(&mut SubscriptionState<K, T>) -> R) -> R {
        self.0.state.with(&self.0.kernel, work)
    }

    /// [`with`](Self::with), for what may change whether all that occurs is let in.
    fn change<R>(&self, work: impl FnOnce(&mut SubscriptionState<K, T>) -> R) -> R {
        self.with(|state| {
            let result = work(state);
            state.settle();
            result
        })
    }

    /// Whether both are of the same registration.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }

    /// What a source keeps with a registration.
    pub(crate) fn links<R>(&self, work: impl FnOnce(&mut Links<K, T>) -> R) -> R {
        self.with(|state| work(&mut state.links))
    }

    /// What a source keeps with a registration, for code in a section. Several subscriptions may be looked
    /// at at a time, but none twice.
    #[inline]
    pub(crate) fn with_links<R>(&self, work: impl FnOnce(&mut Links<K, T>) -> R) -> R {
        self.0.state.within(|state| work(&mut state.links))
    }
}

impl Gate {
    fn unless_closed(self, gate: Self) -> Self {
        if self == Self::Closed { Self::Closed } else { gate }
    }
}

impl<K: Kernel, T: Send + 'static> SubscriptionState<K, T> {
    /// Works out anew whether all that occurs is let in without a question.
    fn settle(&mut self) {
        let shut = self.gate != Gate::Open || (self.once && self.used_up);
        self.open = self.event.filter(|_| self.filter.is_none() && !shut);
    }

    /// Lets data in: see [`Delivery::try_push`].
    #[inline(always)]
    fn push(&mut self, data: T, count: u32) -> Result<(EventId, Option<T>), T> {
        let Some(event) = self.open else { return Err(data) };
        let unneeded = match self.store.put(data, count) {
            Put::Full(data) => return Err(data),
            Put::Kept => None,
            Put::Instead(old) => Some(old),
        };
        if self.once {
            self.used_up = true;
            self.settle();
        }
        Ok((event, unneeded))
    }

    fn take_filter(&mut self) -> Option<(Filter<T>, u32)> {
        self.filter.take().map(|filter| (filter, self.version))
    }

    /// Gives the filter back if it has been changed meanwhile.
    fn put_back(&mut self, filter: Filter<T>, version: u32) -> Option<Filter<T>> {
        if self.version != version {
            return Some(filter);
        }
        self.filter = Some(filter);
        None
    }

    fn admit(&mut self, data: T, count: u32) -> Admission<T> {
        match self.gate {
            Gate::Open if self.once && self.used_up => return Admission::Drop(data),
            Gate::Open => {}
            Gate::Counting => {
                self.counted = self.counted.saturating_add(count);
                return Admission::Drop(data);
            }
            Gate::Discarding | Gate::Closed => return Admission::Drop(data),
        }
        match self.store.put(data, count) {
            Put::Kept => {
                self.used_up = true;
                Admission::Activate(None)
            }
            Put::Instead(old) => {
                self.used_up = true;
                Admission::Activate(Some(old))
            }
            Put::Full(data) => match self.shortage {
                Shortage::Wait | Shortage::Retry => {
                    let news = !core::mem::replace(&mut self.holds_up, true);
                    Admission::Full(data, news)
                }
                Shortage::Shed => {
                    self.shed = self.shed.saturating_add(u64::from(count));
                    Admission::Shed(data)
                }
                Shortage::Abort => Admission::Abort(data),
            },
        }
    }
}

impl<K: Kernel, T: Send + 'static> Clone for Delivery<K, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kernel, T: Send + 'static> fmt::Debug for Delivery<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({:?}, {} pending)", self.event(), self.pending())
    }
}
