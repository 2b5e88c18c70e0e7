//! The state of a source, in its ceiling: the registrations, and what is under way to them.

use crate::Delivery;
use crate::backlog::Backlog;
use crate::levels::Levels;
use reflex_event::{ContextId, EventId, Kernel, Priority};

/// Data that nobody needs, and for which context it was kept, if for any.
pub(super) type Unneeded<T> = (Option<ContextId>, T);

/// What has become of data that has occurred.
pub(super) enum Occurred<T> {
    /// It is kept, or goes to nobody. This is not needed any more.
    Done(Option<Unneeded<T>>),
    /// The only registration cannot simply be given it.
    Slowly(T),
    Refused(T),
}

/// What a source is at present.
pub(super) struct SourceState<K: Kernel, T: Send + 'static> {
    pub(super) levels: Levels<K, T>,
    pub(super) registrations: u32,
    pub(super) backlog: Backlog<T>,
    /// A delivery was turned away.
    pub(super) refused: bool,
    /// Serves one registration a run.
    pub(super) relay: Option<EventId>,
    /// Its priority.
    pub(super) relay_at: Priority,
    /// That priority, while it is activated.
    pub(super) armed: Option<Priority>,
    /// What is kept at the highest priority of a registration, and where it is.
    pub(super) lead: Option<(EventId, Priority)>,
    /// Occurrences when nobody had registered.
    pub(super) unheard: u64,
    /// The context that has registered last.
    pub(super) latest: Option<ContextId>,
}

impl<K: Kernel, T: Send + 'static> SourceState<K, T> {
    /// The only registration, when it has been given all.
    #[inline(always)]
    pub(super) fn direct(&self) -> Option<&Delivery<K, T>> {
        if self.registrations != 1 || !self.backlog.is_empty() {
            return None;
        }
        self.levels.first()
    }

    /// Gives data to the only registration, or puts it into the backlog for the relay. Says what is to be
    /// activated, and so many times.
    #[inline(always)]
    pub(super) fn occur(
        &mut self,
        kernel: &K,
        data: T,
        count: u32,
    ) -> (Option<(EventId, u32)>, Occurred<T>) {
        if let Some(delivery) = self.direct() {
            return match delivery.try_push(data, count) {
                Ok((event, unneeded)) => {
                    let unneeded = unneeded.map(|data| (Some(delivery.context()), data));
                    (Some((event, count)), Occurred::Done(unneeded))
                }
                Err(data) => (None, Occurred::Slowly(data)),
            };
        }
        match self.queue(data, count) {
            Ok(unneeded) => (self.arm(kernel), Occurred::Done(unneeded)),
            Err(data) => (None, Occurred::Refused(data)),
        }
    }

    /// Puts an occurrence into the backlog.
    pub(super) fn queue(&mut self, data: T, count: u32) -> Result<Option<Unneeded<T>>, T> {
        if self.registrations == 0 {
            self.unheard += u64::from(count);
            return Ok(Some((None, data)));
        }
        match self.backlog.put(data, count, self.registrations) {
            Ok(unneeded) => {
                self.levels.fall_behind();
                Ok(unneeded.map(|data| (self.latest, data)))
            }
            Err(data) => {
                self.refused = true;
                Err(data)
            }
        }
    }

    /// Has whatever delivers follow the highest registration.
    pub(super) fn follow(&mut self, kernel: &K) {
        if let (Some((event, at)), Some(top)) = (&mut self.lead, self.levels.top())
            && *at != top
        {
            *at = top;
            // When it has ended, nothing is delivered any more.
            let _ = kernel.set_priority(*event, top);
        }
    }

    /// Readies the relay for the registration that is next, at that one's priority. Returns it when
    /// it is to be activated, and how often.
    pub(super) fn arm(&mut self, kernel: &K) -> Option<(EventId, u32)> {
        let (next, relay) = (self.levels.next()?, self.relay?);
        if self.armed.is_some_and(|armed| armed >= next) {
            return None;
        }
        if self.relay_at != next {
            self.relay_at = next;
            // It ends with the source only.
            let _ = kernel.set_priority(relay, next);
        }
        self.armed.replace(next).is_none().then_some((relay, 1))
    }
}
