//! What a few registrations have beside a handler: a filter, a time-out, a timer, a deadline.

use super::deferral::Section;
use core::cell::Cell;
use reflex_event::TimerId;
use reflex_memory::Lent;

/// Says of a number of occurrences whether they count.
pub(crate) type Filter = dyn Fn(u32) -> bool + Send;

/// No timer. Generations of timers are odd.
pub(crate) const NO_TIMER: TimerId = TimerId { index: 0, generation: 0 };

/// What is kept beside a handler.
pub(crate) struct Attributes {
    /// Taken out while it is asked.
    pub(crate) filter: Cell<Option<Lent<Filter>>>,
    /// Another with each filter.
    pub(crate) version: Cell<u64>,
    /// What tells that the event did not occur in time.
    pub(crate) time_out: Cell<TimerId>,
    /// The time it has for that, in nanoseconds; 0 for any.
    pub(crate) within: Cell<u64>,
    /// The timer that activates the event.
    pub(crate) timer: Cell<TimerId>,
    /// In what time its handler is to have ended, in microseconds; 0 in any.
    pub(crate) deadline: Cell<u32>,
}

// Two granules, not four: every timer has this.
const _: () = assert!(size_of::<Attributes>() <= 64);

impl Default for Attributes {
    fn default() -> Self {
        Self {
            filter: Cell::new(None),
            version: Cell::new(0),
            time_out: Cell::new(NO_TIMER),
            within: Cell::new(0),
            timer: Cell::new(NO_TIMER),
            deadline: Cell::new(0),
        }
    }
}

/// Forgets what kind of filter it is.
pub(crate) fn erase(filter: Lent<impl Fn(u32) -> bool + Send + 'static>) -> Lent<Filter> {
    let (filter, pool) = filter.into_raw();
    // SAFETY: given up in the line above; the same pointer, seen as one to a trait object.
    unsafe { Lent::from_raw(filter as core::ptr::NonNull<Filter>, pool) }
}

impl Attributes {
    /// Whether there is a filter.
    pub(crate) fn has_filter(&self) -> bool {
        let filter = self.filter.take();
        let some = filter.is_some();
        self.filter.set(filter);
        some
    }

    /// Takes the filter out, for good.
    pub(crate) fn take_filter(&self, _: &Section) -> Option<Lent<Filter>> {
        self.filter.take()
    }

    /// Whether there is something to watch for.
    pub(crate) fn watches(&self) -> bool {
        self.within.get() != 0 || self.has_filter()
    }
}
