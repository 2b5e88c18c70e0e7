//! A bounded first-in first-out queue in place.

/// A queue of at most `N` values with one owner; it never touches a heap.
#[derive(Debug)]
pub struct Ring<T, const N: usize> {
    slots: [Option<T>; N],
    first: usize,
    length: usize,
}

impl<T, const N: usize> Ring<T, N> {
    /// An empty ring.
    pub const fn new() -> Self {
        Self { slots: [const { None }; N], first: 0, length: 0 }
    }

    /// Values in the ring.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there is nothing to pop.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the next push is refused.
    pub const fn is_full(&self) -> bool {
        self.length == N
    }

    /// Puts `value` behind all others.
    ///
    /// # Errors
    /// The value itself, when the ring is full.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        let last = Self::wrapped(self.first + self.length);
        self.slots[last] = Some(value);
        self.length += 1;
        Ok(())
    }

    /// Takes the value that was pushed first.
    pub fn pop(&mut self) -> Option<T> {
        let value = self.slots.get_mut(self.first)?.take()?;
        self.first = Self::wrapped(self.first + 1);
        self.length -= 1;
        Some(value)
    }

    /// The value the next [`pop`](Self::pop) takes.
    pub fn front(&self) -> Option<&T> {
        self.slots.get(self.first)?.as_ref()
    }

    /// A place below `2 * N` as a slot; a compare is cheaper than a division.
    const fn wrapped(place: usize) -> usize {
        if place >= N { place - N } else { place }
    }
}

impl<T, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
