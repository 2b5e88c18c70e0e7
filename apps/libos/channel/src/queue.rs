//! The messages that wait.

use reflex_memory::{Error, Lent, Pool};

/// A queue of a fixed number of places, in one block of a pool.
pub(crate) struct Queue<T: 'static> {
    places: Lent<[Option<T>]>,
    first: usize,
    length: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(pool: &'static Pool, capacity: usize) -> Result<Self, Error> {
        Ok(Self { places: pool.slice(capacity, || None)?, first: 0, length: 0 })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Puts a message behind all others; without a place for it, it comes back.
    pub(crate) fn push(&mut self, message: T) -> Result<(), T> {
        if self.length == self.places.len() {
            return Err(message);
        }
        let last = self.at(self.length);
        self.places[last] = Some(message);
        self.length += 1;
        Ok(())
    }

    /// Takes the message that came first.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let message = self.places.get_mut(self.first)?.take()?;
        self.first = self.at(1);
        self.length -= 1;
        Some(message)
    }

    /// Takes the message that came last.
    pub(crate) fn pop_last(&mut self) -> Option<T> {
        let last = self.at(self.length.checked_sub(1)?);
        let message = self.places[last].take()?;
        self.length -= 1;
        Some(message)
    }

    /// So many places behind the first; a comparison is cheaper than a division.
    fn at(&self, behind: usize) -> usize {
        let place = self.first + behind;
        if place >= self.places.len() { place - self.places.len() } else { place }
    }
}
