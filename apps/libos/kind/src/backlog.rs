//! Occurrences that a source has not handed to all its registrations.

use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_event::Error;
use reflex_memory::Shared;

/// How another one of data is made.
pub(crate) enum Copying<T> {
    /// As its bits are, or by another share of it: no code of anybody's.
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
    /// Only the last occurrence is kept, here, and they are counted.
    latest: bool,
    last: Option<Entry<T>>,
    /// The oldest that is kept.
    first: u64,
    /// The next to come.
    end: u64,
    /// How to make another one of the data. Without, it goes to one only.
    copying: Option<Copying<T>>,
}

impl<T> Clone for Copying<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Copying<T> {}

impl<T: Clone> Copying<T> {
    /// For data of any sort.
    pub(crate) fn code() -> Self {
        Self::Code(T::clone)
    }
}

impl<T: Send + Sync + 'static> Copying<Shared<T>> {
    /// For data that is there once.
    pub(crate) fn shares() -> Self {
        Self::Bits(Shared::clone)
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
        Ok(Self { latest: true, ..Self::queue(0, copying)? })
    }

    /// Of so many occurrences.
    pub(crate) fn queue(capacity: usize, copying: Option<Copying<T>>) -> Result<Self, Error> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity).map_err(|_| Error::HeapExhausted)?;
        slots.extend((0..capacity).map(|_| None));
        let slots = slots.into_boxed_slice();
        Ok(Self { slots, latest: false, last: None, first: 0, end: 0, copying })
    }

    /// The place of those that have been given all.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether everybody has been given everything.
    #[inline]
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
            return Ok(self.last.replace(entry).and_then(|old| old.data));
        }
        if !self.has_room() {
            return Err(entry.data.expect("it was put there just now"));
        }
        let at = self.at(self.end);
        self.slots[at] = Some(entry);
        self.end += 1;
        Ok(None)
    }

    /// The last occurrence for a registration that has seen everything before `seen`, and so many that it stands
    /// for, if there is no more to it than bits: then it counts as [given](Self::given), and is forgotten when
    /// all have been given it.
    #[inline(always)]
    pub(crate) fn take_plain(&mut self, seen: u64) -> Option<(T, u32)> {
        let Some(Copying::Bits(copy)) = self.copying else { return None };
        let Some(entry) = &mut self.last else { return None };
        if seen >= self.end {
            return None;
        }
        let count = u32::try_from(self.end - seen).unwrap_or(u32::MAX);
        if entry.left > 1 {
            entry.left -= 1;
            return Some((copy(entry.data.as_ref()?), count));
        }
        let data = entry.data.take()?;
        self.last = None;
        self.first = self.end;
        Some((data, count))
    }

    /// What comes next for a registration that has seen everything before `seen`, which counts as
    /// [given](Self::given) when it is due or lost. Nothing but bits is copied here, where the caller has
    /// borrowed the backlog.
    pub(crate) fn take(&mut self, seen: u64) -> Next<T> {
        if seen >= self.end {
            return Next::Nothing;
        }
        let after = if self.latest { self.end } else { seen + 1 };
        let count = u32::try_from(after - seen).unwrap_or(u32::MAX);
        let copying = self.copying;
        let Some(entry) = self.entry(seen) else { return Next::Nothing };
        let data = match (&entry.data, copying) {
            (Some(data), Some(Copying::Bits(copy))) if entry.left > 1 => Some(copy(data)),
            (Some(_), Some(Copying::Code(copy))) if entry.left > 1 => {
                let data = entry.data.take();
                return data
                    .map_or(Next::Nothing, |data| Next::Copy(Due { data, count, after }, copy));
            }
            _ => entry.data.take(),
        };
        match data {
            Some(data) => {
                entry.left -= 1;
                Next::Due(Due { data, count, after })
            }
            None if entry.lost => {
                entry.left -= 1;
                Next::Lost(after)
            }
            None => Next::Nothing,
        }
    }

    /// What was [due](Self::take) for a registration at `seen` has not been given to it after all.
    pub(crate) fn not_given(&mut self, seen: u64) {
        if let Some(entry) = self.entry(seen) {
            entry.left += 1;
        }
    }

    /// The data that a registration at `seen` was to be given is lost, for all.
    pub(crate) fn lose(&mut self, seen: u64) {
        if let Some(entry) = self.entry(seen)
            && entry.data.is_none()
        {
            entry.lost = true;
        }
    }

    /// Data that was looked at and not taken comes back, if its slot still waits for it.
    pub(crate) fn put_back(&mut self, seen: u64, data: T) -> Option<T> {
        match self.entry(seen) {
            Some(entry) if entry.data.is_none() => {
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
                self.one_less(seen);
            }
            return;
        }
        (seen..after).for_each(|number| self.one_less(number));
    }

    fn one_less(&mut self, number: u64) {
        if let Some(entry) = self.entry(number) {
            entry.left -= 1;
        }
    }

    /// Forgets the oldest if nobody waits for it, and its data has been taken. True when nothing is left then.
    #[inline]
    pub(crate) fn forget_taken(&mut self) -> bool {
        let oldest = self.entry(self.first);
        if oldest.is_some_and(|oldest| oldest.left == 0 && oldest.data.is_none()) {
            self.pop();
        }
        self.is_empty()
    }

    /// The oldest data if nobody waits for it: to be dropped, one a call. `None` when there is no
    /// such.
    pub(crate) fn pop(&mut self) -> Option<Option<T>> {
        if self.is_empty() {
            return None;
        }
        if self.entry(self.first).is_some_and(|entry| entry.left > 0) {
            return None;
        }
        let oldest = self.place(self.first).and_then(Option::take);
        self.first = if self.latest { self.end } else { self.first + 1 };
        Some(oldest.and_then(|entry| entry.data))
    }

    fn at(&self, number: u64) -> usize {
        (number % self.slots.len().max(1) as u64) as usize
    }

    /// The place of the occurrence of a number.
    fn place(&mut self, number: u64) -> Option<&mut Option<Entry<T>>> {
        if self.latest {
            return Some(&mut self.last);
        }
        let at = self.at(number);
        self.slots.get_mut(at)
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry<T>> {
        self.place(number)?.as_mut()
    }
}
