//! The end of a registration by a last call of its handler.

use crate::core::{Core, Outcome};
use crate::gate::Gate;
use crate::id::is_last;
use crate::{Accumulation, Error, EventId, OverflowPolicy};

impl<H: Copy, C: Copy> Core<H, C> {
    /// Ends a registration, and has its handler called one more time at its priority, in its own context: under
    /// another name of the same place, which nobody knows. The call is to [end](Core::unregister) that; then
    /// [`Core::finish`] gives the handler back. It takes no place and no memory, and the context has as many
    /// registrations meanwhile as before.
    ///
    /// # Errors
    /// [`Error::Stale`]. Nothing has changed with [`Error::Busy`], when something is pending, the handler is on its
    /// context's stack or the context waits for the event; [`Error::NotAllowed`], when the context's handlers are not
    /// run; [`Error::LimitReached`], when the call would be shed; [`Error::UsedUp`], when the place has no other name
    /// left.
    pub fn end_by_call(&mut self, id: EventId, now: u64) -> Result<Outcome, Error> {
        let record = self.table.live_at(id)?;
        let (context, waits) = (record.context, record.waits() || record.gate.has(Gate::WAKES));
        if is_last(record.generation) {
            return Err(Error::UsedUp);
        }
        // What is to run next takes room, too.
        self.flush_fast_path();
        let state = self.contexts.at(context);
        let (runs, room) = (state.serving == id.index, state.room);
        if waits || runs {
            return Err(Error::Busy);
        }
        let account = self.contexts.account(context);
        if account.taken.is_some() {
            return Err(Error::NotAllowed);
        }
        if room <= 0 && account.limits.overload == OverflowPolicy::Shed {
            return Err(Error::LimitReached);
        }
        let record = self.table.at(id.index);
        record.generation += 2;
        record.gate = Gate::OPEN;
        record.accumulation = Accumulation::Each;
        record.pending = 1;
        Ok(self.occurred(id.index, now))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Chunk, Core, Error, EventId, Limits, Registration};
    use std::boxed::Box;

    /// The last name but one of a place is that of a registration, and the last one that of its last call; there
    /// is none for a call after that.
    #[test]
    fn a_place_without_another_name_has_no_last_call() {
        let mut core = Core::new(());
        core.reserve(Chunk::<u32>::SIZE, 1).unwrap();
        assert!(core.supply(Box::leak(Box::default())).is_none());
        let context = core.add_context((), Limits::NONE).unwrap();
        let id = core.register(context, Registration::default(), 7).unwrap();
        for (generation, ends) in [(u32::MAX - 2, Ok(())), (u32::MAX, Err(Error::UsedUp))] {
            let id = EventId { generation, ..id };
            let record = core.table.at(id.index);
            (record.generation, record.pending) = (generation, 0);
            assert_eq!(core.end_by_call(id, 0).map(drop), ends, "{generation:#x}");
            let left = core.table.at(id.index).generation;
            assert_eq!(left, u32::MAX);
            assert!(core.clean(EventId { generation: left, ..id }).is_ok());
        }
    }
}
