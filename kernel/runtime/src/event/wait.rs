//! Waiting synchronously: a handler, or `main`, that stays where it is until an event occurs
//!
//!
//! Only the context waits. Its other events stay queued meanwhile, since one of its handlers is
//! under way; every other context runs.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{caller, policy, registry};
use crate::cpu::loose::Loose;
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::{borrow_core, running, with_core};
use crate::dispatch::section::{Outermost, section};
use crate::dispatch::{switch, timer};
use crate::event::table;
use core::time::Duration;
use reflex_event::{Attribute, Error, EventId, Executor, Priority, Registration, Wait};

/// An event that the context it was made in waits for. Whatever activates events can activate it;
/// what occurs while nobody waits is not lost.
pub struct Waiter {
    kernel: Runtime,
    event: EventId,
}

/// What a waiter has been waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// It has occurred so many times since it was last waited for.
    Occurred(u32),
    /// It has not occurred in the time that was given.
    TimedOut,
}

impl Waiter {
    /// Makes an event for the running context to wait for. The context goes on at its handler's
    /// own priority when it has occurred.
    ///
    /// # Errors
    /// [`Error::Busy`] outside any context and in a filter, [`Error::NotAllowed`] when the context's policy does
    /// not let it wait; those of [`EventSystem::register`](reflex_event::EventSystem::register).
    pub fn new(kernel: Runtime) -> Result<Self, Error> {
        let context = caller::own()?;
        let (pool, _) = section(|cs| {
            policy::permit(cs, context, Executor::Waiting)?;
            registry::state_and_pool(cs, context)
        })?;
        let handler = Loose::nothing(pool)?;
        let registration = Registration { priority: Priority::LOWEST, ..Registration::default() };
        let event = table::register(context, registration, handler)?;
        section(|cs| with_core(cs, |core| core.set_attribute(event, Attribute::Wakes, true)))?;
        Ok(Self { kernel, event })
    }

    /// What to activate.
    pub fn event(&self) -> EventId {
        self.event
    }

    /// Waits until the event has occurred. Returns at once if it has since it was last waited for.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] in another context than the one it was made in, [`Error::Busy`] when
    /// dispatch is deferred or the context holds a [mutex](crate::Mutex), [`Error::Stale`] when the event was unregistered.
    pub fn wait(&self) -> Result<Waited, Error> {
        self.wait_inline()
    }

    /// [`wait`](Self::wait), for a caller that is no hot path: else the other would not be a part of its own.
    #[inline(never)]
    pub(crate) fn wait_apart(&self) -> Result<Waited, Error> {
        self.wait_inline()
    }

    #[inline(always)]
    fn wait_inline(&self) -> Result<Waited, Error> {
        if section(|cs| with_core(cs, |core| core.is_raised())) {
            return Err(Error::Busy);
        }
        loop {
            // A section a look: the one in which it goes on is that of the code that has woken it.
            let mut outermost = Outermost::open().map_err(|_| Error::Busy)?;
            let from = running(&outermost);
            let wait = borrow_core(&outermost).wait(self.event);
            // Something runs that can wait, so there is a context.
            if let (Ok(Wait::Blocked(next)), Some(from)) = (wait, from) {
                switch::block(&mut outermost, from, next);
                outermost.leave();
                continue;
            }
            outermost.leave();
            return match wait? {
                Wait::Occurred(count) => Ok(Waited::Occurred(count)),
                Wait::TimedOut => Ok(Waited::TimedOut),
                Wait::Blocked(_) => Err(Error::Busy),
            };
        }
    }

    /// Waits until the event has occurred, but no longer than `within` from now.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); [`Error::OutOfMemory`] and [`Error::TableFull`] the first time.
    pub fn wait_within(&self, within: Duration) -> Result<Waited, Error> {
        self.kernel.set_time_out(self.event, Some(within))?;
        let waited = self.wait();
        self.kernel.set_time_out(self.event, None)?;
        waited
    }

    /// Waits for a time to pass.
    ///
    /// # Errors
    /// As [`wait_within`](Self::wait_within).
    pub fn sleep(&self, time: Duration) -> Result<(), Error> {
        let until = timer::now() + time;
        while timer::now() < until {
            let _ = self.wait_within(until - timer::now())?;
        }
        Ok(())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // It may have been unregistered by its identifier already.
        let _ = table::end(self.event);
    }
}
