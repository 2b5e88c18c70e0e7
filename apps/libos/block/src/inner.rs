//! What a device's handles and its handlers in the context of disks have in common.

use crate::Error;
use crate::state::{After, State};
use reflex_event::{Ceiling, EventId, Instant, Kernel, TimerId};
use reflex_hil::BlockInfo;
use spin::Once;

pub(crate) struct Inner<K: Kernel> {
    pub(crate) kernel: K,
    pub(crate) info: BlockInfo,
    pub(crate) state: Ceiling<State>,
    pub(crate) events: Once<Events>,
}

/// The device's own events.
#[derive(Clone, Copy)]
pub(crate) struct Events {
    /// Requests may be done.
    pub(crate) served: EventId,
    /// Deadlines may have come.
    pub(crate) timer: TimerId,
    /// There may be something to be cleared away.
    pub(crate) swept: EventId,
    /// Contexts with disks have come to their end; of all devices.
    pub(crate) ended: EventId,
}

impl<K: Kernel> Inner<K> {
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.state.with(&self.kernel, work)
    }

    pub(crate) fn events(&self) -> Result<Events, Error> {
        self.events.get().copied().ok_or(Error::NotStarted)
    }

    /// Activates an event. It can only be refused when its registration has ended, and then there is nothing to
    /// tell.
    #[inline]
    pub(crate) fn activate(&self, event: EventId) {
        let _ = self.kernel.activate(event, 1);
    }

    /// Does what was to be done outside of the section. Memory is dropped here.
    #[inline]
    pub(crate) fn follow(&self, after: After) {
        let After { event, sweep, memory: _memory } = after;
        event.into_iter().for_each(|event| self.activate(event));
        if sweep {
            self.sweep_soon();
        }
    }

    #[cold]
    pub(crate) fn sweep_soon(&self) {
        self.events.get().into_iter().for_each(|events| self.activate(events.swept));
    }

    /// Has the timer go off at that time.
    #[inline]
    pub(crate) fn set_alarm(&self, alarm: Option<u64>) {
        if let (Some(alarm), Some(events)) = (alarm, self.events.get()) {
            // The timer is there for as long as the image.
            let _ = self.kernel.arm(events.timer, Instant::from_nanos(alarm), None);
        }
    }

    /// Gives the device what waits, as long as it has room, and tells it.
    pub(crate) fn feed(&self) {
        loop {
            let (more, after) = self.with(State::feed);
            self.follow(after);
            if !more {
                break;
            }
        }
        self.with(|state| state.device.notify());
    }
}
