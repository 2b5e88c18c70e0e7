//! Occurrences that a source has not handed to all its registrations.

use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_event::Error;

/// How another one of data is made.
pub(crate) enum Copying<T> {
    /// As its bits are: no code of anybody's.
    Bits(fn(&T) -> T),
    /// By code that may do anything.
    Code(fn(&T) -> T),
}

struct Entry<T> {
    /// Out while it is copied, or delivered to the last that waits for it.
    data: Option<T>,
    /// Registrations that have not been given it.
    left: u32,
    /// Copying it has failed.
    lost: bool,
}

/// What there is next for a registration.
pub(crate) enum Next<T> {
    /// Nothing: it has been given all.
    Nothing,
    /// Nothing more of those before this number: their data is lost.
    Lost(u64),
    /// This, copied by the function, and then [put back](Backlog::put_back).
    Copy(Due<T>, fn(&T) -> T),
    /// This.
    Due(Due<T>),
}

/// What a registration is to be given next.
pub(crate) struct Due<T> {
    pub(crate) data: T,
    /// Occurrences that the data stands for.
    pub(crate) count: u32,
    /// Where in the backlog the registration is afterwards.
    pub(crate) after: u64,
}

/// Occurrences are numbered; a registration's place is the number of the next it is to be given.
pub(crate) struct Backlog<T> {
    slots: Box<[Option<Entry<T>>]>,
    /// Only the last occurrence is kept, in the first slot, and they are counted.
    latest: bool,
    /// The oldest that is kept.
    first: u64,
    /// The next to come.
    end: u64,
    /// How to make another one of the data. Without, it goes to one only.
    copying: Option<Copying<T>>,
}

impl<T: Clone> Copying<T> {
    /// For data of any sort.
    pub(crate) fn code() -> Self {
        Self::Code(T::clone)
    }
}

impl<T: Copy> Copying<T> {
    /// For plain data.
    pub(crate) fn bits() -> Self {
        Self::Bits(|data| *data)
    }
}

impl<T> Backlog<T> {
    /// Of the last occurrence only.
    pub(crate) fn latest(copying: Option<Copying<T>>) -> Result<Self, Error> {
        Ok(Self { latest: true, ..Self::queue(1, copying)? })
    }

    /// Of so many occurrences.
    pub(crate) fn queue(capacity: usize, copying: Option<Copying<T>>) -> Result<Self, Error> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity).map_err(|_| Error::HeapExhausted)?;
        slots.extend((0..capacity).map(|_| None));
        Ok(Self { slots: slots.into_boxed_slice(), latest: false, first: 0, end: 0, copying })
    }

    /// The place of those that have been given all.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether everybody has been given everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.first == self.end
    }

    pub(crate) fn has_room(&self) -> bool {
        self.latest || ((self.end - self.first) as usize) < self.slots.len()
    }

    /// Adds data that stands for `count` occurrences and is for `takers`, at least one. Returns
    /// data that is not needed any more.
    ///
    /// # Errors
    /// The data, when there is no room.
    pub(crate) fn put(&mut self, data: T, count: u32, takers: u32) -> Result<Option<T>, T> {
        let entry = Entry { data: Some(data), left: takers, lost: false };
        if self.latest {
            self.end += u64::from(count);
            return Ok(self.slots[0].replace(entry).and_then(|old| old.data));
        }
        if !self.has_room() {
            return Err(entry.data.expect("it was put there just now"));
        }
        let at = self.at(self.end);
        self.slots[at] = Some(entry);
        self.end += 1;
        Ok(None)
    }

    /// What comes next for a registration that has seen everything before `seen`. Nothing but bits
    /// is copied here, where the caller has borrowed the backlog.
    pub(crate) fn look(&mut self, seen: u64) -> Next<T> {
        if seen >= self.end {
            return Next::Nothing;
        }
        let after = if self.latest { self.end } else { seen + 1 };
        let at = self.at(seen);
        let Some(Some(entry)) = self.slots.get_mut(at) else { return Next::Nothing };
        if entry.lost {
            return Next::Lost(after);
        }
        let count = u32::try_from(after - seen).unwrap_or(u32::MAX);
        let count = if self.latest { count } else { 1 };
        match (&self.copying, entry.data.take()) {
            (_, None) => Next::Nothing,
            (Some(Copying::Bits(copy)), Some(data)) if entry.left > 1 => {
                let copied = copy(&data);
                entry.data = Some(data);
                Next::Due(Due { data: copied, count, after })
            }
            (Some(Copying::Code(copy)), Some(data)) if entry.left > 1 => {
                Next::Copy(Due { data, count, after }, *copy)
            }
            (_, Some(data)) => Next::Due(Due { data, count, after }),
        }
    }

    /// The data that a registration at `seen` was to be given is lost, for all.
    pub(crate) fn lose(&mut self, seen: u64) {
        let at = self.at(seen);
        if let Some(Some(entry)) = self.slots.get_mut(at)
            && entry.data.is_none()
        {
            entry.lost = true;
        }
    }

    /// Data that was looked at and not taken comes back, if its slot still waits for it.
    pub(crate) fn put_back(&mut self, seen: u64, data: T) -> Option<T> {
        let at = self.at(seen);
        match self.slots.get_mut(at) {
            Some(Some(entry)) if entry.data.is_none() => {
                entry.data = Some(data);
                None
            }
            _ => Some(data),
        }
    }

    /// A registration has been given what it is not to be given again: all before `after`, where
    /// it was at `seen`.
    pub(crate) fn given(&mut self, seen: u64, after: u64) {
        if self.latest {
            // What it was given may have been replaced meanwhile: then it is to be given that.
            if seen < after && after == self.end {
                self.one_less(0);
            }
            return;
        }
        for number in seen..after {
            let at = self.at(number);
            self.one_less(at);
        }
    }

    fn one_less(&mut self, at: usize) {
        if let Some(Some(entry)) = self.slots.get_mut(at) {
            entry.left -= 1;
        }
    }

    /// The oldest data if nobody waits for it: to be dropped, one a call. `None` when there is no
    /// such.
    pub(crate) fn pop(&mut self) -> Option<Option<T>> {
        if self.is_empty() {
            return None;
        }
        let at = self.at(self.first);
        if self.slots[at].as_ref().is_some_and(|entry| entry.left > 0) {
            return None;
        }
        self.first = if self.latest { self.end } else { self.first + 1 };
        Some(self.slots[at].take().and_then(|entry| entry.data))
    }

    fn at(&self, number: u64) -> usize {
        if self.latest { 0 } else { (number % self.slots.len().max(1) as u64) as usize }
    }
}
