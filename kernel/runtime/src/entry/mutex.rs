//! A value that several contexts share, one at a time.
//!
//! ```text
//!          lock                                 the work returns
//!   Free ────────▶ Held, at its ceiling ───────────────────────▶ Free
//!                     │ the holder is given up
//!                     ▼                         renew
//!                  Poisoned ───────────────────────────────────▶ Free
//! ```
//!
//! The holder runs at the mutex's ceiling (an immediate priority ceiling; Baker 1991, "Stack-based scheduling of
//! real-time processes"): nothing that may lock it is begun meanwhile, so that as a rule nothing ever waits. What runs
//! above the ceiling and comes to the mutex all the same, by a handler that inherits the priority of what is pending
//! for its context, waits for the holder, which inherits its priority in turn.
//!
//! The value is taken out of the mutex for as long as it is held, so that nobody comes to one that its holder never
//! gives back: that one stays where it is, as all does that was borrowed for a computation that was given up.

use crate::context::{caller, exclude, guard, registry};
use crate::cpu::local::{Local, LocalCell};
use crate::cpu::runtime::Runtime;
use crate::cpu::set::ContextSet;
use crate::dispatch::event_core::{borrow_core, note, running, with_core};
use crate::dispatch::section::{Outermost, Section, section};
use crate::dispatch::{send, switch};
use crate::failure::quarantine;
use core::cell::Cell;
use core::fmt;
use reflex_event::{Borrowed, Context, ContextId, Error, Priority, Raised};
use reflex_memory::{Lent, Refused, Shared};

/// A value that several contexts share, one at a time. A copy of a mutex is the same mutex.
///
/// It belongs to the core of the [`Runtime`] that it was made with: it is locked by raising the priority of the
/// running context there, in constant time, and spins for nobody.
///
/// What is locked may not wait: [`Waiter::wait`](crate::Waiter::wait) and its like say [`Error::Busy`] there.
pub struct Mutex<T: Send + 'static>(Shared<Inner<T>>);

struct Inner<T: Send + 'static> {
    home: ContextId,
    ceiling: Priority,
    holder: LocalCell<Option<ContextId>>,
    poisoned: LocalCell<bool>,
    /// Contexts that wait, which is seldom so.
    contended: LocalCell<bool>,
    waiting: LocalCell<ContextSet>,
    /// None while it is held or poisoned.
    value: Local<Option<Lent<T>>>,
}

/// Why a mutex was not locked, or not renewed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockError {
    /// A context was given up while it held the mutex: its value is lost, until it is [renewed](Mutex::renew).
    Poisoned,
    /// The running handler's event has a higher priority than the mutex's ceiling.
    AboveCeiling,
    /// The running context holds it already, or something that its holder waits for.
    Deadlock,
    /// No context runs, or it cannot wait: dispatch is deferred, or this is a filter.
    Busy,
    /// Only a poisoned mutex is renewed.
    NotPoisoned,
    /// There is no room for the new value in the memory of the context that the mutex was made for.
    OutOfMemory,
    /// The mutex is another core's.
    OtherCore,
}

/// What a context has that holds a mutex.
struct Held<T: Send + 'static> {
    inner: Shared<Inner<T>>,
    by: ContextId,
    raised: Raised,
}

/// Why a mutex was not taken at once.
enum Turned {
    /// It is held by another.
    Contended,
    /// It is refused.
    Away(LockError),
}

impl<T: Send + 'static> Mutex<T> {
    /// A mutex in the event memory of `home`, for handlers of events up to the priority `ceiling`.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::OutOfMemory`].
    pub fn new<S>(
        _: Runtime,
        home: Context<S>,
        ceiling: Priority,
        value: T,
    ) -> Result<Self, Error> {
        let (pool, _) = section(|cs| registry::state_and_pool(cs, home.id()))?;
        let value = pool.alloc(value).map_err(|_| Error::OutOfMemory)?;
        let inner = Inner {
            home: home.id(),
            ceiling,
            holder: LocalCell::new(None),
            poisoned: LocalCell::new(false),
            contended: LocalCell::new(false),
            waiting: LocalCell::new(ContextSet::NONE),
            value: Local::new(Some(value)),
        };
        Ok(Self(Shared::new(pool, inner).map_err(|_| Error::OutOfMemory)?))
    }

    /// Runs `work` on the value. Meanwhile the calling context runs at least at the ceiling, and may not wait.
    ///
    /// # Errors
    /// [`LockError::Poisoned`], [`LockError::AboveCeiling`], [`LockError::Deadlock`], [`LockError::Busy`],
    /// [`LockError::OtherCore`]; the work has not been done.
    pub fn lock<R>(&self, work: impl FnOnce(&mut T) -> R) -> Result<R, LockError> {
        if self.0.is_elsewhere() {
            return Err(LockError::OtherCore);
        }
        let by = caller::undeferred().map_err(|_| LockError::Busy)?;
        let mut work = Some(work);
        loop {
            match self.attempt(by, &mut work) {
                Ok(result) => return Ok(result),
                Err(Turned::Away(error)) => return Err(error),
                Err(Turned::Contended) => self.wait(by)?,
            }
        }
    }

    /// Runs the work, if the mutex is free: guarded, but for the work itself.
    #[inline]
    fn attempt<R, F: FnOnce(&mut T) -> R>(
        &self,
        by: ContextId,
        work: &mut Option<F>,
    ) -> Result<R, Turned> {
        let value = Cell::new(None);
        guard::keep(
            || {
                let (lent, raised) = section(|cs| self.0.take(cs, by)).map_err(Err)?;
                value.set(Some(lent));
                Ok(Held { inner: self.0.clone(), by, raised })
            },
            |_| &[],
            Held::abandon,
            |_| {
                let mut lent: Lent<T> = value.take()?;
                let result = work.take()?(&mut lent);
                Some((lent, result))
            },
            |held, done| {
                // Both were there: the one was put there above, the other is taken by nobody else.
                let (lent, result) = done.ok_or(Turned::Away(LockError::Busy))?;
                held.release(lent);
                Ok(result)
            },
        )
    }

    /// Waits for the holder to go on, if there is one.
    #[cold]
    fn wait(&self, by: ContextId) -> Result<(), LockError> {
        let inner = &*self.0;
        let mut outermost = Outermost::open().map_err(|_| LockError::Busy)?;
        let Some(holder) = inner.holder.get(&outermost) else {
            outermost.leave();
            return Ok(());
        };
        let waits = borrow_core(&outermost).wait_for(holder);
        if let Ok(next) = waits {
            inner.contended.set(&outermost, true);
            inner.waiting.set(&outermost, inner.waiting.get(&outermost).with(by));
            switch::block(&mut outermost, by, next);
        }
        outermost.leave();
        waits.map(drop).map_err(|_| LockError::Deadlock)
    }

    /// Puts another value into a poisoned mutex. The former one's memory is not used again.
    ///
    /// # Errors
    /// The value, with [`LockError::NotPoisoned`], [`LockError::OutOfMemory`] or [`LockError::OtherCore`].
    pub fn renew(&self, value: T) -> Result<(), (LockError, T)> {
        let inner = &*self.0;
        if inner.is_elsewhere() {
            return Err((LockError::OtherCore, value));
        }
        let Ok((pool, _)) = section(|cs| registry::state_and_pool(cs, inner.home)) else {
            return Err((LockError::OutOfMemory, value));
        };
        let lent =
            pool.alloc(value).map_err(|Refused { value, .. }| (LockError::OutOfMemory, value))?;
        let unneeded = section(|cs| {
            if !inner.poisoned.get(cs) {
                return Some(lent);
            }
            inner.poisoned.set(cs, false);
            inner.value.with(cs, |value| value.replace(lent))
        });
        unneeded.map_or(Ok(()), |lent| Err((LockError::NotPoisoned, lent.into_inner())))
    }

    /// Whether a context was given up while it held the mutex. On another core this is not known, and false.
    pub fn is_poisoned(&self) -> bool {
        !self.0.is_elsewhere() && section(|cs| self.0.poisoned.get(cs))
    }

    /// The highest priority of events of which the handlers may lock it.
    pub fn ceiling(&self) -> Priority {
        self.0.ceiling
    }
}

impl<T: Send + 'static> Inner<T> {
    /// Whether it is another core's, on which alone its cells are touched.
    #[inline(always)]
    fn is_elsewhere(&self) -> bool {
        send::is_elsewhere(self.home.core())
    }

    /// Takes the value, for a context that is at the ceiling from now on.
    #[inline(always)]
    fn take(&self, cs: &Section, by: ContextId) -> Result<(Lent<T>, Raised), Turned> {
        // First, so that whether it is refused does not depend on whether the mutex is held.
        let raised = with_core(cs, |core| core.raise(self.ceiling));
        let raised = raised.map_err(|_| Turned::Away(LockError::AboveCeiling))?;
        if let Some(value) = self.value.with(cs, Option::take) {
            self.holder.set(cs, Some(by));
            return Ok((value, raised));
        }
        lower(cs, by, raised);
        Err(match self.holder.get(cs) {
            None => Turned::Away(LockError::Poisoned),
            Some(holder) if holder == by => Turned::Away(LockError::Deadlock),
            Some(_) => Turned::Contended,
        })
    }

    /// Lets those go on that wait for `by`, a section each. Meanwhile a holder that goes on itself stays before all
    /// others, so that none that is less urgent than the last of these comes in between.
    #[cold]
    fn let_go(&self, by: ContextId) {
        let waiting = section(|cs| {
            if running(cs) == Some(by) {
                // It is lowered to what it was raised from first.
                let _ = with_core(cs, |core| core.raise(Priority::HIGHEST));
            }
            self.contended.set(cs, false);
            let waiting = self.waiting.get(cs);
            self.waiting.set(cs, ContextSet::NONE);
            waiting
        });
        for index in waiting.indices() {
            section(|cs| exclude::unblock(cs, index, by));
        }
    }
}

impl<T: Send + 'static> Held<T> {
    /// Puts the value back.
    #[inline(always)]
    fn release(self, value: Lent<T>) {
        let Self { inner, by, raised } = self;
        let contended = section(|cs| {
            inner.value.with(cs, |place| *place = Some(value));
            inner.holder.set(cs, None);
            let contended = inner.contended.get(cs);
            if !contended {
                lower(cs, by, raised);
            }
            contended
        });
        if contended {
            inner.let_go(by);
            section(|cs| lower(cs, by, raised));
        }
        exclude::inherit_anew();
    }

    /// The holder was given up, with the value.
    fn abandon(self, _: Borrowed) {
        let Self { inner, by, .. } = self;
        section(|cs| {
            inner.holder.set(cs, None);
            inner.poisoned.set(cs, true);
        });
        inner.let_go(by);
        let pool = section(|cs| registry::state_and_pool(cs, inner.home).map(|(pool, _)| pool));
        if let Ok(pool) = pool {
            quarantine::add_borrowed(pool, size_of::<T>() as u64);
        }
    }
}

/// A context is not at the ceiling any more.
#[inline(always)]
fn lower(cs: &Section, context: ContextId, raised: Raised) {
    if let Ok(outcome) = with_core(cs, |core| core.lower(context, raised)) {
        note(outcome);
    }
}

impl<T: Send + 'static> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_elsewhere() {
            return f
                .debug_struct("Mutex")
                .field("ceiling", &self.0.ceiling)
                .finish_non_exhaustive();
        }
        let (holder, poisoned) = section(|cs| (self.0.holder.get(cs), self.0.poisoned.get(cs)));
        let mut all = f.debug_struct("Mutex");
        all.field("ceiling", &self.0.ceiling).field("holder", &holder);
        all.field("poisoned", &poisoned).finish_non_exhaustive()
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poisoned => "a context was given up while it held the mutex",
            Self::AboveCeiling => "the handler's priority is higher than the mutex's ceiling",
            Self::Deadlock => "the context holds the mutex, or what its holder waits for",
            Self::Busy => "a mutex is locked by a context that may keep others waiting",
            Self::NotPoisoned => "the mutex is not poisoned",
            Self::OutOfMemory => "the mutex's context has no room for another value",
            Self::OtherCore => "the mutex belongs to another core",
        })
    }
}

impl core::error::Error for LockError {}
