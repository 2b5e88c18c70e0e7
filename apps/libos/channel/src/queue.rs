//! The messages that wait.

use reflex_memory::{Error, Lent, Pool};

/// A queue of a fixed number of places, in one block of a pool. A message has a
/// position, which another has only when it was withdrawn.
pub(crate) struct Queue<T: 'static> {
    /// A place between the first and the last is empty when its message was [withdrawn](Self::withdraw).
    places: Lent<[Option<T>]>,
    /// The place of the first, and its position.
    first: usize,
    position: u64,
    /// Places from the first to the last.
    length: usize,
    /// Those that are empty.
    gaps: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(pool: &'static Pool, capacity: usize) -> Result<Self, Error> {
        Ok(Self {
            places: pool.slice(capacity, || None)?,
            first: 0,
            position: 0,
            length: 0,
            gaps: 0,
        })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.length - self.gaps
    }

    /// Puts a message behind all others, and returns its position; without a place for it, it comes back.
    pub(crate) fn push(&mut self, message: T) -> Result<u64, T> {
        if self.length == self.places.len() {
            return Err(message);
        }
        let last = self.at(self.length);
        self.places[last] = Some(message);
        let position = self.position + self.length as u64;
        self.length += 1;
        Ok(position)
    }

    /// Takes the message that came first.
    pub(crate) fn pop(&mut self) -> Option<T> {
        while self.length > 0 {
            let message = self.places.get_mut(self.first)?.take();
            self.first = self.at(1);
            self.position += 1;
            self.length -= 1;
            if message.is_some() {
                return message;
            }
            // It is passed over once, as its message was withdrawn once.
            self.gaps -= 1;
        }
        None
    }

    /// Takes the message at this position out of the queue, wherever it is; none when it was taken before.
    pub(crate) fn withdraw(&mut self, position: u64) -> Option<T> {
        let behind = usize::try_from(position.checked_sub(self.position)?).ok()?;
        let place = (behind < self.length).then(|| self.at(behind))?;
        let message = self.places[place].take()?;
        self.gaps += 1;
        // Gaps behind all messages would have none taken before them.
        while self.length > 0 && self.places[self.at(self.length - 1)].is_none() {
            self.length -= 1;
            self.gaps -= 1;
        }
        Some(message)
    }

    /// So many places behind the first; a comparison is cheaper than a division.
    fn at(&self, behind: usize) -> usize {
        let place = self.first + behind;
        if place >= self.places.len() { place - self.places.len() } else { place }
    }
}

#[cfg(test)]
mod tests;
