//! Where a registration keeps what its handler has not been told of.

use reflex_memory::LentDyn;

/// What a registration has not told its handler yet; made by an
/// [`Accumulate`](crate::Accumulate).
pub struct Store<T: Send + 'static>(Storage<T>);

enum Storage<T: Send + 'static> {
    Count,
    Latest(Option<Kept<T>>),
    Each(Slots<T>),
}

/// Data, and how many occurrences it stands for.
pub(crate) type Kept<T> = (T, u32);

/// What became of data that was to be kept.
pub(crate) enum Put<T> {
    /// It is kept.
    Kept,
    /// It is kept instead of this; or this is not needed, as only the number counts.
    Instead(T),
    /// There is no room for it.
    Full(T),
}

impl<T: Send + 'static> Store<T> {
    pub(crate) const fn count() -> Self {
        Self(Storage::Count)
    }

    pub(crate) const fn latest() -> Self {
        Self(Storage::Latest(None))
    }

    pub(crate) const fn each(slots: Slots<T>) -> Self {
        Self(Storage::Each(slots))
    }

    /// Whether the number of occurrences is all there is, and that is the event core's.
    pub(crate) fn only_counts(&self) -> bool {
        matches!(self.0, Storage::Count)
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.0 {
            Storage::Count | Storage::Latest(None) => true,
            Storage::Latest(Some(_)) => false,
            Storage::Each(slots) => slots.length == 0,
        }
    }

    /// Whether the next data finds no room.
    pub(crate) fn is_full(&self) -> bool {
        match &self.0 {
            Storage::Each(slots) => slots.length == slots.slots.len(),
            Storage::Count | Storage::Latest(_) => false,
        }
    }

    /// Entries that [`pop`](Self::pop) will return.
    pub(crate) fn entries(&self) -> usize {
        match &self.0 {
            Storage::Count => 0,
            Storage::Latest(kept) => usize::from(kept.is_some()),
            Storage::Each(slots) => slots.length,
        }
    }

    /// Occurrences kept; at most as many steps as there is room for.
    pub(crate) fn pending(&self) -> u32 {
        match &self.0 {
            Storage::Count => 0,
            Storage::Latest(kept) => kept.as_ref().map_or(0, |kept| kept.1),
            Storage::Each(slots) => {
                slots.slots.iter().flatten().fold(0, |sum: u32, kept| sum.saturating_add(kept.1))
            }
        }
    }

    pub(crate) fn put(&mut self, data: T, count: u32) -> Put<T> {
        match &mut self.0 {
            Storage::Count => Put::Instead(data),
            Storage::Latest(kept) => {
                let before = kept.as_ref().map_or(0, |kept| kept.1);
                match kept.replace((data, before.saturating_add(count))) {
                    Some((old, _)) => Put::Instead(old),
                    None => Put::Kept,
                }
            }
            Storage::Each(slots) => match slots.push((data, count)) {
                Ok(()) => Put::Kept,
                Err((data, _)) => Put::Full(data),
            },
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Kept<T>> {
        match &mut self.0 {
            Storage::Count => None,
            Storage::Latest(kept) => kept.take(),
            Storage::Each(slots) => slots.pop(),
        }
    }
}

/// A bounded first-in first-out queue in the owner's event memory.
pub(crate) struct Slots<T: 'static> {
    slots: LentDyn<[Option<Kept<T>>]>,
    first: usize,
    length: usize,
}

impl<T> Slots<T> {
    /// An empty queue in slots that are empty.
    pub(crate) fn new(slots: LentDyn<[Option<Kept<T>>]>) -> Self {
        Self { slots, first: 0, length: 0 }
    }

    fn push(&mut self, kept: Kept<T>) -> Result<(), Kept<T>> {
        if self.length == self.slots.len() {
            return Err(kept);
        }
        let last = self.wrapped(self.first + self.length);
        self.slots[last] = Some(kept);
        self.length += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<Kept<T>> {
        let kept = self.slots.get_mut(self.first)?.take()?;
        self.first = self.wrapped(self.first + 1);
        self.length -= 1;
        Some(kept)
    }

    /// A place below twice the length as a slot; a compare is cheaper than a division.
    fn wrapped(&self, place: usize) -> usize {
        if place >= self.slots.len() { place - self.slots.len() } else { place }
    }
}
