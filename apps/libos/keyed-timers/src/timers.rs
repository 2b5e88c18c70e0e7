//! One registration, with many deadlines.

use crate::Refused;
use crate::table::Table;
use alloc::sync::Arc;
use core::fmt;
use reflex_event::{
    Accumulation, Ceiling, Context, Error, EventId, EventSystem, Instant, Owner, Priority,
    Registration, TimerId,
};
use reflex_timer::Step;

/// Steps in one run of the handler: deadlines that it is told of, and pieces of the wheel's own work. Others of the
/// same priority run in between.
const RUN: usize = 8;

/// What has been counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Deadlines that were set, or set anew.
    pub set: u64,
    /// Deadlines that the handler was told of.
    pub expired: u64,
    /// Deadlines that were cancelled.
    pub cancelled: u64,
    /// Deadlines that were refused, since there was no room or nothing to be told.
    pub refused: u64,
}

/// Deadlines, each under a key and with a payload of a few bits, a number or an index: what is larger lies where the
/// handler finds it by the key. A copy is the same deadlines; any context may have one.
///
/// They end with their registration, in this life of its context.
pub struct KeyedTimers<K: EventSystem, P: Copy + Send + 'static>(Arc<Inner<K, P>>);

struct Inner<K: EventSystem, P: Copy + Send + 'static> {
    kernel: K,
    owner: Owner,
    state: Ceiling<State<P>>,
}

struct State<P> {
    table: Table<P>,
    event: Option<EventId>,
    timer: Option<TimerId>,
    /// When the kernel's timer comes, in nanoseconds; `u64::MAX` when it does not.
    armed: u64,
    ended: bool,
    counters: Counters,
}

/// What the handler holds: dropped with the registration, which is ended then.
struct Registered<K: EventSystem, P: Copy + Send + 'static>(Arc<Inner<K, P>>);

impl<K: EventSystem, P: Copy + Send + Default + 'static> KeyedTimers<K, P> {
    /// Makes room for `capacity` deadlines, 1 at least, of which `handler` is told in `context`, at `priority`: with
    /// the key and the payload, when each is due, and never before. The memory is the global heap's, counted to the
    /// caller, and is all taken here.
    ///
    /// # Errors
    /// [`Error::HeapExhausted`]; those of [`register`](EventSystem::register) and [`timer`](EventSystem::timer).
    pub fn new<S: 'static, F>(
        kernel: &K,
        context: impl Into<Context<S>>,
        priority: Priority,
        capacity: usize,
        handler: F,
    ) -> Result<Self, Error>
    where
        F: Fn(&mut S, u64, P) + Send + 'static,
    {
        let context = context.into();
        kernel.permit(context.id(), "timer")?;
        let owner = Owner::of(kernel, context.id())?;
        let inner = Inner::new(kernel, owner, capacity)?;
        let registered = Registered(inner.clone());
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let event = kernel.register(context, registration, move |state: &mut S, activation| {
            registered.0.run(activation.event, |key, payload| handler(state, key, payload));
        })?;
        let timer = kernel.timer(event).inspect_err(|_| {
            // It was registered just now, so that cannot be refused.
            let _ = kernel.unregister(event);
        })?;
        inner.with(|state| (state.event, state.timer) = (Some(event), Some(timer)));
        Ok(Self(inner))
    }
}

impl<K: EventSystem, P: Copy + Send + 'static> KeyedTimers<K, P> {
    /// Sets the deadline under `key`, or sets it anew; a deadline that has passed is due at once. Returns the payload
    /// of the one that it replaces: the handler will not be told of that.
    ///
    /// # Errors
    /// [`Refused::Full`], [`Refused::Ended`]; nothing has changed.
    pub fn set(&self, key: u64, deadline: Instant, payload: P) -> Result<Option<P>, Refused> {
        let set = self.change(|state| {
            let set = state.table.set(key, deadline.as_nanos(), payload);
            let (before, due) = set.map_err(|_| Refused::Full)?;
            state.counters.set += 1;
            Ok((before, due))
        });
        set.inspect_err(|_| self.0.with(|state| state.counters.refused += 1))
    }

    /// Moves the deadline under `key`.
    ///
    /// # Errors
    /// [`Refused::NotSet`], [`Refused::Ended`].
    pub fn move_to(&self, key: u64, deadline: Instant) -> Result<(), Refused> {
        self.change(|state| {
            let due = state.table.move_to(key, deadline.as_nanos());
            due.map(|due| ((), due)).map_err(|_| Refused::NotSet)
        })
    }

    /// Takes the deadline under `key` away, and returns its payload: the handler will not be told of it.
    ///
    /// # Errors
    /// [`Refused::NotSet`]: there is none, or the handler has been told.
    pub fn cancel(&self, key: u64) -> Result<P, Refused> {
        self.0.with(|state| {
            // The kernel's timer may come for nothing: cheaper than finding out whether it is needed.
            let payload = state.table.cancel(key).map_err(|_| Refused::NotSet)?;
            state.counters.cancelled += 1;
            Ok(payload)
        })
    }

    /// The payload under `key`, while its deadline is set.
    pub fn get(&self, key: u64) -> Option<P> {
        self.0.with(|state| state.table.get(key))
    }

    /// Changes a deadline, and has the kernel's timer come in time for it.
    #[inline]
    fn change<R>(
        &self,
        change: impl FnOnce(&mut State<P>) -> Result<(R, u64), Refused>,
    ) -> Result<R, Refused> {
        let inner = &*self.0;
        inner.kernel.section(|| {
            if !inner.owner.is_alive(&inner.kernel) {
                return Err(Refused::Ended);
            }
            let (result, due, timer) = inner.state.within(|state| {
                if state.ended {
                    return Err(Refused::Ended);
                }
                let (result, due) = change(state)?;
                Ok((result, due, state.come_at(due)))
            })?;
            inner.arm(timer, due);
            Ok(result)
        })
    }

    /// Deadlines that are set.
    pub fn len(&self) -> usize {
        self.0.with(|state| state.table.len())
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Deadlines that can be set at a time.
    pub fn capacity(&self) -> usize {
        self.0.with(|state| state.table.capacity())
    }

    /// The registration, for control. Ending it ends the deadlines.
    pub fn event(&self) -> EventId {
        // Nobody has these before they are registered.
        self.0.with(|state| state.event).unwrap_or(EventId { index: u32::MAX, generation: 0 })
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.0.with(|state| state.counters)
    }
}

impl<K: EventSystem, P: Copy + Send + Default + 'static> Inner<K, P> {
    fn new(kernel: &K, owner: Owner, capacity: usize) -> Result<Arc<Self>, Error> {
        let mut random = [0; 8];
        kernel.random(&mut random);
        let table = Table::new(capacity, u64::from_le_bytes(random), P::default());
        let state = State {
            table: table.map_err(|_| Error::HeapExhausted)?,
            event: None,
            timer: None,
            armed: u64::MAX,
            ended: false,
            counters: Counters::default(),
        };
        Ok(Arc::new(Self { kernel: kernel.clone(), owner, state: Ceiling::new(state) }))
    }
}

impl<K: EventSystem, P: Copy + Send + 'static> Inner<K, P> {
    fn with<R>(&self, work: impl FnOnce(&mut State<P>) -> R) -> R {
        self.state.with(&self.kernel, work)
    }

    /// Has the kernel's timer come at `due`, if there is one to be [armed](State::come_at).
    #[inline]
    fn arm(&self, timer: Option<TimerId>, due: u64) {
        if let Some(timer) = timer {
            // It is there as long as the registration.
            let _ = self.kernel.arm(timer, Instant::from_nanos(due), None);
        }
    }

    /// A run of the handler.
    fn run(&self, event: EventId, mut handler: impl FnMut(u64, P)) {
        self.with(|state| state.armed = u64::MAX);
        for _ in 0..RUN {
            let now = self.kernel.now().as_nanos();
            let step = self.with(|state| {
                let step = state.table.expire(now);
                state.counters.expired += u64::from(matches!(step, Step::Fired(_)));
                step
            });
            match step {
                Step::Fired(fired) => handler(fired.payload.0, fired.payload.1),
                Step::Cascading => {}
                Step::Idle => return self.come_again(),
            }
        }
        // Where a limit of the context forbids that, the timer comes.
        if self.kernel.activate(event, 1).is_err() {
            self.come_again();
        }
    }

    /// Has the kernel's timer come for the next deadline.
    fn come_again(&self) {
        self.kernel.section(|| {
            let next = self.state.within(|state| {
                let due = state.table.next_expiry()?;
                Some((state.come_at(due), due))
            });
            if let Some((timer, due)) = next {
                self.arm(timer, due);
            }
        });
    }
}

impl<P> State<P> {
    /// Notes that the kernel's timer comes at `due`: which is to be armed for that, unless it comes earlier.
    #[inline]
    fn come_at(&mut self, due: u64) -> Option<TimerId> {
        let timer = self.timer.filter(|_| due < self.armed)?;
        self.armed = due;
        Some(timer)
    }
}

impl<K: EventSystem, P: Copy + Send + 'static> Drop for Registered<K, P> {
    fn drop(&mut self) {
        self.0.with(|state| state.ended = true);
    }
}

impl<K: EventSystem, P: Copy + Send + 'static> Clone for KeyedTimers<K, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: EventSystem, P: Copy + Send + 'static> fmt::Debug for KeyedTimers<K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedTimers({} of {})", self.len(), self.capacity())
    }
}
