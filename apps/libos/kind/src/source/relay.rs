//! The relay: it goes round those that are behind, a step each.

use super::Source;
use super::state::SourceState;
use crate::backlog::Due;
use crate::levels::End;
use crate::subscription::Turn;
use crate::{Delivery, behalf};
use core::mem::needs_drop;
use reflex_event::{Chosen, ContextId, EventId, Kernel, Priority};

/// What is to be done next in a run of the relay.
enum Handed<K: Kernel, T: Send + 'static> {
    /// A registration has been given what it was to be given, and is to be activated for so many occurrences.
    Simply(EventId, u32),
    /// That is not all.
    Apart(Apart<K, T>),
    /// Nobody of that priority is behind, or enough have been served.
    Done,
    /// As [`Done`](Self::Done), and nothing is left to be done.
    Settled,
}

/// What takes a run of the relay more than a section.
enum Apart<K: Kernel, T: Send + 'static> {
    /// An activation, and data of the owner's that is not needed any more.
    Unneeded(EventId, u32, ContextId, T),
    /// A registration that has seen everything before the number is to be given a copy of what is due.
    Copy(Delivery<K, T>, u64, Due<T>, fn(&T) -> T),
    /// A registration that has seen everything before the number is to be given what is due.
    Slowly(Delivery<K, T>, u64, Due<T>),
}

/// A run of the relay.
struct Run {
    /// The level of those that it serves, as a bit; 0 before it has begun.
    level: u64,
    /// How much it may do before others of that priority come next.
    left: u32,
    /// Nothing is left to be done.
    settled: bool,
}

/// What a run of the relay may do, in registrations that run on the spot as none of that priority waits longer;
/// and what one takes beyond that which does not: a source of higher priority may have to wait for these.
const RUN: u32 = 128;
const QUEUED: u32 = 7;

impl<K: Kernel, T: Send + 'static> Source<K, T> {
    /// Hands the next registrations of one priority what they are to be given next. A run of the
    /// relay; others may come in between its steps.
    pub(super) fn step(&self) {
        let mut run = Run { level: 0, left: RUN, settled: false };
        while let Some(apart) = self.go_through(&mut run) {
            match apart {
                Apart::Unneeded(event, count, owner, unneeded) => {
                    // When it has ended meanwhile there is nobody to be told.
                    let _ = self.0.kernel.activate(event, count);
                    behalf::discard(&self.0.kernel, owner, unneeded);
                }
                Apart::Slowly(delivery, seen, due) => self.hand_slowly(&delivery, seen, due),
                Apart::Copy(delivery, seen, due, copy) => {
                    self.hand_copy(&delivery, seen, due, copy);
                }
            }
            run.left = run.left.saturating_sub(QUEUED);
        }
    }

    /// Hands registration after registration what it is to be given next, up to one that takes more than a
    /// section. `None` at the end of the run.
    #[inline(always)]
    fn go_through(&self, run: &mut Run) -> Option<Apart<K, T>> {
        let mut apart = None;
        loop {
            let choose = || {
                self.0.state.within(|state| {
                    // Mostly it is a copy of some bits.
                    if let Some(plain) = state.hand_plain(run) {
                        return Some(plain);
                    }
                    match state.hand(run) {
                        Handed::Simply(event, count) => return Some((event, count)),
                        Handed::Apart(first) => apart = Some(first),
                        Handed::Done => {}
                        Handed::Settled => run.settled = true,
                    }
                    None
                })
            };
            match self.0.kernel.yield_by(choose) {
                Chosen::Begun if !run.settled => {}
                Chosen::Queued if !run.settled => run.left = run.left.saturating_sub(QUEUED),
                Chosen::Begun | Chosen::Queued | Chosen::Nothing => break,
            }
        }
        if apart.is_none() && !run.settled {
            self.make_room();
            self.0.arm();
        }
        apart
    }

    /// Hands a registration what is due.
    fn hand_slowly(&self, delivery: &Delivery<K, T>, seen: u64, due: Due<T>) {
        let Due { data, count, after } = due;
        let result = delivery.deliver(data, count);
        let unneeded = self.0.with(|state| state.given(self, delivery, seen, after, result));
        if let Some(unneeded) = unneeded {
            behalf::discard(&self.0.kernel, delivery.context(), unneeded);
        }
    }

    /// Hands a registration a copy of what is due, and puts that back for the others.
    #[cold]
    #[inline(never)]
    fn hand_copy(&self, delivery: &Delivery<K, T>, seen: u64, due: Due<T>, copy: fn(&T) -> T) {
        let Due { data, count, after } = due;
        let Some((data, copied)) = behalf::copied(&self.0.kernel, delivery.context(), data, copy)
        else {
            self.0.with(|state| state.backlog.lose(seen));
            return;
        };
        let unneeded = self.0.with(|state| state.backlog.put_back(seen, data));
        if let Some(unneeded) = unneeded {
            behalf::discard(&self.0.kernel, delivery.context(), unneeded);
        }
        self.hand_slowly(delivery, seen, Due { data: copied, count, after });
    }
}

impl<K: Kernel, T: Send + 'static> SourceState<K, T> {
    /// The level that a run serves next, if it may serve another.
    #[inline(always)]
    fn level(&mut self, run: &mut Run) -> Option<Priority> {
        if run.level == 0 {
            self.armed = None;
            run.level = self.levels.next_bit();
        }
        run.left = run.left.checked_sub(1)?;
        self.levels.next_of(run.level)
    }

    /// Hands the next registration what it is to be given next, if its priority is that of those before it in
    /// this run, and there is [no more](Delivery::hand_plain) to it.
    #[inline(always)]
    fn hand_plain(&mut self, run: &mut Run) -> Option<(EventId, u32)> {
        let at = self.level(run)?;
        let (event, count, next) = self.levels.head(at)?.hand_plain(&mut self.backlog)?;
        self.levels.go_on(at, next);
        if self.backlog.is_empty() {
            self.levels.all_caught_up();
            run.settled = true;
        }
        Some((event, count))
    }

    /// Hands the next registration what it is to be given next, if its priority is that of those before it in
    /// this run.
    #[inline(never)]
    fn hand(&mut self, run: &mut Run) -> Handed<K, T> {
        while let Some(priority) = self.level(run) {
            let Self { levels, backlog, .. } = self;
            let Some(delivery) = levels.head(priority) else { return Handed::Done };
            let (next, handed) = match delivery.hand(backlog) {
                Turn::Given { event, count, unneeded: Some(unneeded), next }
                    if needs_drop::<T>() =>
                {
                    let apart = Apart::Unneeded(event, count, delivery.context(), unneeded);
                    (next, Some(Handed::Apart(apart)))
                }
                Turn::Given { event, count, next, .. } => {
                    (next, Some(Handed::Simply(event, count)))
                }
                Turn::Lost(next) => (next, None),
                Turn::Copy(seen, due, copy) => {
                    return Handed::Apart(Apart::Copy(delivery.clone(), seen, due, copy));
                }
                Turn::Slowly(seen, due) => {
                    return Handed::Apart(Apart::Slowly(delivery.clone(), seen, due));
                }
                Turn::Nothing => {
                    levels.caught_up(priority);
                    continue;
                }
            };
            // Those that have been given all come last.
            if next.is_some() {
                levels.go_on(priority, next);
            }
            if let Some(handed) = handed {
                return handed;
            }
        }
        let settled = self.levels.next().is_none() && self.backlog.forget_taken() && !self.refused;
        if settled { Handed::Settled } else { Handed::Done }
    }

    /// What became of it. Returns data that is not needed any more.
    fn given(
        &mut self,
        source: &Source<K, T>,
        delivery: &Delivery<K, T>,
        seen: u64,
        after: u64,
        result: Result<(), T>,
    ) -> Option<T> {
        let given = result.is_ok();
        let (home, listed) = delivery.with_links(|links| {
            let home = links.home.as_ref().is_some_and(|home| home.same(source));
            if home && given {
                links.seen = after;
            }
            (home, links.listed)
        });
        if !home {
            return result.err();
        }
        if let Err(data) = result {
            // It waits outside of the lists until it has room, unless that is so already.
            if listed && delivery.holds_up() {
                self.levels.remove(delivery);
            }
            return self.backlog.put_back(seen, data);
        }
        self.backlog.given(seen, after);
        if after == self.backlog.end() && listed {
            // Those that have been given all come last.
            self.levels.remove(delivery);
            self.levels.add(delivery, End::Back);
        }
        None
    }
}
