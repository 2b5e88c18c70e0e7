//! What the context of disks does for a device: it takes what is done, gives the device what waits, and tells of
//! deadlines.

use crate::Device;
use crate::error::Failure;
use crate::state::{After, State};
use reflex_event::Kernel;
use reflex_timer::Step;

/// Most requests, or deadlines, in a run: then others of the same priority have their turn.
const BATCH: u32 = 16;

impl<K: Kernel> Device<K> {
    /// Takes what the device has done. A run of the event that its interrupt activates.
    pub(crate) fn serve(&self) {
        let inner = &self.0;
        for _ in 0..BATCH {
            let taken = inner.with(|state| {
                let done = state.device.next()?;
                let done = state.done(done);
                Some((done, state.feed().1))
            });
            let Some((done, fed)) = taken else {
                return self.rest();
            };
            inner.follow(done);
            inner.follow(fed);
        }
        inner.with(|state| state.device.notify());
        self.go_on();
    }

    /// Has the device interrupt again when there is something done.
    fn rest(&self) {
        self.0.feed();
        if self.0.with(|state| state.device.enable()) {
            self.go_on();
        }
    }

    fn go_on(&self) {
        self.0.events.get().into_iter().for_each(|events| self.0.activate(events.served));
    }

    /// Ends requests with deadlines that have come. A run of the timer's event.
    pub(crate) fn expire(&self) {
        let inner = &self.0;
        let now = inner.kernel.now().as_nanos();
        inner.with(|state| state.alarm = None);
        for _ in 0..BATCH {
            let after = inner.with(|state: &mut State| match state.deadlines[0].expire(now) {
                Step::Fired(fired) => {
                    // One that is over has no deadline any more.
                    Some(state.give_up(fired.payload, Failure::TimedOut).unwrap_or_default())
                }
                Step::Cascading => Some(After::default()),
                Step::Idle => None,
            });
            let Some(after) = after else { break };
            inner.follow(after);
        }
        // What is due already is at once.
        inner.set_alarm(inner.with(State::next_alarm));
    }
}
