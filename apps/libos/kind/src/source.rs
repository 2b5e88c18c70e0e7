//! What occurs, and every registration that is to be told (A-3.6.5).

mod relay;
mod state;

use crate::backlog::{Backlog, Copying};
use crate::levels::{End, Levels};
use crate::{Delivery, behalf};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::fmt;
use reflex_event::{Ceiling, Context, Error, EventId, Kernel, Priority, Registration};
use reflex_memory::Shared;
use state::{Occurred, SourceState, Unneeded};

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

/// What became of an occurrence for which there was no room.
enum Outcome<T> {
    /// It is kept, or goes to nobody.
    Done(Option<Unneeded<T>>),
    /// There is room now.
    Again(T),
    Refused(T),
}

impl<K: Kernel, T: Send + Sync + 'static> Source<K, Shared<T>> {
    /// [`latest`](Self::latest) for data that is there once, in event memory: each registration is given a share,
    /// and the last to drop its own drops the data.
    ///
    /// # Errors
    /// As [`latest`](Self::latest).
    pub fn shared<R: Send + 'static>(kernel: &K, relay: Context<R>) -> Result<Self, Error> {
        let backlog = Backlog::latest(Some(Copying::shares()))?;
        Self::new(kernel, relay, Sharing::Shared, backlog, None)
    }
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
        let mut occurred = Occurred::Done(None);
        self.0.kernel.activate_by(|| {
            let (event, told) =
                self.0.state.within(|state| state.occur(&self.0.kernel, data, count));
            occurred = told;
            event
        });
        let unneeded = match occurred {
            Occurred::Done(None) => return Ok(()),
            Occurred::Done(unneeded) => unneeded,
            Occurred::Slowly(data) => self.deliver_slowly(data, count)?,
            Occurred::Refused(data) => return Err(data),
        };
        // What nobody needs is dropped here, where nothing is guarded.
        match unneeded {
            Some((Some(owner), unneeded)) => behalf::discard(&self.0.kernel, owner, unneeded),
            Some((None, unneeded)) => drop(unneeded),
            None => {}
        }
        Ok(())
    }

    /// Delivers data where that is not simple; returns data that nobody needs.
    #[inline(never)]
    fn deliver_slowly(&self, data: T, count: u32) -> Result<Option<Unneeded<T>>, T> {
        // No share of a subscription is kept where the calling context may be given up.
        self.0.kernel.guarded(|| {
            let sole = self.0.with(|state| state.direct().cloned());
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
        let mut queued = Ok(None);
        self.kernel.activate_by(|| {
            self.state.within(|state| {
                queued = state.queue(data, count);
                state.arm(&self.kernel)
            })
        });
        queued
    }

    /// Activates the relay if there is something for it to do.
    fn arm(&self) {
        self.kernel.activate_by(|| self.state.within(|state| state.arm(&self.kernel)));
    }

    fn resume(&self) {
        if let Some(resume) = &self.resume {
            resume();
        }
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
