//! Senders that are to be told when there is room.

use reflex_event::{Error, EventId, EventSystem, Owner};
use reflex_memory::{Error as MemoryError, Lent, Pool};

/// Places there can be: each is a bit.
pub(crate) const MOST: usize = u64::BITS as usize;

/// The place of a sender that can be told.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) event: EventId,
    owner: Owner,
}

/// What a sender knows of its place. Another may have been given it since.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    at: usize,
    pub(crate) event: EventId,
}

/// Senders that can be told, and those among them that were refused since they were last told.
///
/// A place is nobody's any more when its context has been given up, whatever that has left behind: so no life of a
/// context takes more of them than another.
pub(crate) struct Waiting {
    places: Lent<[Option<Place>]>,
    refused: u64,
    /// The place that is told first the next time: no sender is always the first.
    turn: u32,
}

impl Waiting {
    pub(crate) fn new(pool: &'static Pool, places: usize) -> Result<Self, MemoryError> {
        let places = pool.slice(places.min(MOST), || None)?;
        Ok(Self { places, refused: 0, turn: 0 })
    }

    /// Gives a place to a sender of `owner` that is told by `event`.
    ///
    /// # Errors
    /// [`Error::LimitReached`] when all have one.
    pub(crate) fn join<K: EventSystem>(
        &mut self,
        kernel: &K,
        event: EventId,
        owner: Owner,
    ) -> Result<Ticket, Error> {
        let free = |place: &Option<Place>| place.is_none_or(|there| !there.owner.is_alive(kernel));
        let at = self.places.iter().position(free).ok_or(Error::LimitReached)?;
        self.places[at] = Some(Place { event, owner });
        self.refused &= !(1 << at);
        Ok(Ticket { at, event })
    }

    /// A message of this sender's was refused.
    pub(crate) fn add(&mut self, ticket: Ticket) {
        let there = self.places.get(ticket.at).copied().flatten();
        if there.is_some_and(|there| there.event == ticket.event) {
            self.refused |= 1 << ticket.at;
        }
    }

    /// Gives the place back of a sender that is not told any more.
    pub(crate) fn leave(&mut self, event: EventId) {
        let place = self.places.iter_mut().find(|place| place.is_some_and(|it| it.event == event));
        place.into_iter().for_each(|place| *place = None);
    }

    /// Those that wait: they are to be [told](Self::next), and do not wait any more.
    pub(crate) fn take(&mut self) -> Told {
        Told { left: core::mem::take(&mut self.refused), first: true }
    }

    /// The next of them.
    pub(crate) fn next(&mut self, told: &mut Told) -> Option<EventId> {
        while told.left != 0 {
            let behind = told.left.rotate_right(self.turn).trailing_zeros();
            let at = (self.turn + behind) % u64::BITS;
            told.left &= !(1 << at);
            if core::mem::take(&mut told.first) {
                self.turn = (at + 1) % u64::BITS;
            }
            if let Some(place) = self.places.get(at as usize).copied().flatten() {
                return Some(place.event);
            }
        }
        None
    }
}

/// Senders that are to be told.
pub(crate) struct Told {
    left: u64,
    first: bool,
}

impl Told {
    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }
}
