//! How a replacement goes: what is told of it, in every case.

use crate::cpu::local::Local;
use crate::cpu::runtime::Runtime;
use crate::dispatch::section::section;
use crate::event::activate;
use crate::event::wait::Waiter;
use crate::replace::error::ReplaceError;
use alloc::sync::Arc;
use reflex_event::{Context, EventId};

/// How a replacement went, shared by both sides.
pub(super) struct Shared<New> {
    pub(super) outcome: Option<Result<Context<New>, ReplaceError>>,
    pub(super) notify: Option<EventId>,
}

/// A replacement under way.
pub struct Pending<New: 'static> {
    pub(super) kernel: Runtime,
    pub(super) shared: Arc<Local<Shared<New>>>,
}

impl<New: 'static> Pending<New> {
    /// How it went; `None` as long as it is under way.
    pub fn outcome(&self) -> Option<Result<Context<New>, ReplaceError>> {
        section(|cs| self.shared.with(cs, |shared| shared.outcome))
    }

    /// Has `event` activated when there is an [outcome](Self::outcome), which may be now.
    pub fn notify(&self, event: EventId) {
        section(|cs| {
            let done = self.shared.with(cs, |shared| {
                shared.notify = Some(event);
                shared.outcome.is_some()
            });
            if done {
                let _ = activate::activate_deferred(cs, event, 1);
            }
        });
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    /// The outcome's; those of [`Waiter::new`] and [`Waiter::wait`].
    pub fn wait(&self) -> Result<Context<New>, ReplaceError> {
        loop {
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            let waiter = Waiter::new(self.kernel)?;
            self.notify(waiter.event());
            let _ = waiter.wait()?;
        }
    }
}

/// What says how it went: at the latest when it is dropped.
pub(super) struct Teller<New: 'static>(pub(super) Arc<Local<Shared<New>>>);

impl<New: 'static> Teller<New> {
    /// Says how it went, unless that has been said.
    pub(super) fn tell(&self, outcome: Result<Context<New>, ReplaceError>) {
        section(|cs| {
            let notify = self.0.with(cs, |shared| {
                if shared.outcome.is_some() {
                    return None;
                }
                shared.outcome = Some(outcome);
                shared.notify
            });
            if let Some(event) = notify {
                let _ = activate::activate_deferred(cs, event, 1);
            }
        });
    }
}

impl<New: 'static> Drop for Teller<New> {
    fn drop(&mut self) {
        self.tell(Err(ReplaceError::Stopped));
    }
}
