//! Where a registration keeps what its handler has not been told of.

use reflex_memory::LentDyn;

/// What a registration has not told its handler yet; made by an
/// [`Accumulate`](crate::Accumulate).
pub struct Store<T: Send + 'static>(Storage<T>);

enum Storage<T: Send + 'static> {
    Count,
    Latest(Last<T>),
    Each(Slots<T>),
}

/// The last data, and how many occurrences it stands for.
pub(crate) struct Last<T> {
    data: Option<T>,
    count: u32,
}

impl<T> Last<T> {
    /// Keeps data instead of what there is.
    #[inline]
    pub(crate) fn put(&mut self, data: T, count: u32) -> Option<T> {
        self.count = self.count.saturating_add(count);
        self.data.replace(data)
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Option<Kept<T>> {
        let data = self.data.take()?;
        Some((data, core::mem::take(&mut self.count)))
    }
}

/// Data, and how many occurrences it stands for.
pub(crate) type Kept<T> = (T, u32);

/// What was kept first.
pub(crate) enum Taken<T> {
    /// This, and nothing else is kept.
    Last(Kept<T>),
    /// This, and there is more.
    First(Kept<T>),
    /// Nothing is kept.
    Nothing,
    /// Nothing is kept but the number of occurrences, which is the event core's.
    Counted,
}

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
        Self(Storage::Latest(Last { data: None, count: 0 }))
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
            Storage::Count => true,
            Storage::Latest(last) => last.data.is_none(),
            Storage::Each(slots) => slots.length == 0,
        }
    }

    /// Entries that [`pop`](Self::pop) will return.
    pub(crate) fn entries(&self) -> usize {
        match &self.0 {
            Storage::Count => 0,
            Storage::Latest(last) => usize::from(last.data.is_some()),
            Storage::Each(slots) => slots.length,
        }
    }

    /// Occurrences kept; at most as many steps as there is room for.
    pub(crate) fn pending(&self) -> u32 {
        match &self.0 {
            Storage::Count => 0,
            Storage::Latest(last) => last.count,
            Storage::Each(slots) => {
                slots.slots.iter().flatten().fold(0, |sum: u32, kept| sum.saturating_add(kept.1))
            }
        }
    }

    #[inline]
    pub(crate) fn put(&mut self, data: T, count: u32) -> Put<T> {
        match &mut self.0 {
            Storage::Count => Put::Instead(data),
            Storage::Latest(last) => match last.put(data, count) {
                Some(old) => Put::Instead(old),
                None => Put::Kept,
            },
            Storage::Each(slots) => match slots.push((data, count)) {
                Ok(()) => Put::Kept,
                Err((data, _)) => Put::Full(data),
            },
        }
    }

    /// Takes what the handler is to be told next.
    #[inline]
    pub(crate) fn take(&mut self) -> Taken<T> {
        match &mut self.0 {
            Storage::Latest(last) => last.take().map_or(Taken::Nothing, Taken::Last),
            Storage::Count => Taken::Counted,
            Storage::Each(slots) => match slots.pop() {
                Some(kept) if slots.length > 0 => Taken::First(kept),
                Some(kept) => Taken::Last(kept),
                None => Taken::Nothing,
            },
        }
    }

    /// Where the last data is kept, if that is all.
    #[inline]
    pub(crate) fn last(&mut self) -> Option<&mut Last<T>> {
        match &mut self.0 {
            Storage::Latest(last) => Some(last),
            Storage::Count | Storage::Each(_) => None,
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Kept<T>> {
        match &mut self.0 {
            Storage::Count => None,
            Storage::Latest(last) => last.take(),
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
