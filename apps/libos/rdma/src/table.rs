//! Tables of fixed size with entries that have names which are not used again.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

/// The handle of an entry: its place, and how often that has been used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Handle(pub(crate) u64);

impl Handle {
    /// Of the generation, 48 bits count: too many to come round.
    fn new(index: u16, generation: u64) -> Self {
        Self(generation << 16 | u64::from(index))
    }

    /// The place.
    #[inline]
    pub(crate) fn index(self) -> u16 {
        self.0 as u16
    }

    /// How often it has been used.
    pub(crate) fn generation(self) -> u64 {
        self.0 >> 16
    }
}

struct Place<T> {
    handle: Handle,
    entry: Option<T>,
}

/// A table that takes all of its memory when it is made. Everything is done in constant time.
pub(crate) struct Table<T> {
    places: Box<[Place<T>]>,
    /// Those without an entry, the longest unused first.
    free: VecDeque<u16>,
}

impl<T> Table<T> {
    /// A table with so many places. Names begin with that generation.
    pub(crate) fn new(places: u16, generation: u64) -> Self {
        let place = |index| Place { handle: Handle::new(index, generation), entry: None };
        Self { places: (0..places).map(place).collect(), free: (0..places).collect() }
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> u16 {
        self.places.len() as u16
    }

    /// Takes a place, for an entry that is [put](Self::put) there later.
    pub(crate) fn reserve(&mut self) -> Option<Handle> {
        let place = &mut self.places[usize::from(self.free.pop_front()?)];
        place.handle = Handle::new(place.handle.index(), place.handle.generation() + 1);
        Some(place.handle)
    }

    /// Puts an entry into its place.
    pub(crate) fn put(&mut self, handle: Handle, entry: T) {
        if let Some(place) = self.place(handle) {
            place.entry = Some(entry);
        }
    }

    /// Gives back a place to which nothing has been put.
    pub(crate) fn release(&mut self, handle: Handle) {
        if self.place(handle).is_some_and(|place| place.entry.is_none()) {
            self.free.push_back(handle.index());
        }
    }

    /// Appends an entry, or gives it back.
    pub(crate) fn insert(&mut self, entry: T) -> Result<Handle, T> {
        match self.reserve() {
            Some(handle) => {
                self.put(handle, entry);
                Ok(handle)
            }
            None => Err(entry),
        }
    }

    fn place(&mut self, handle: Handle) -> Option<&mut Place<T>> {
        self.places.get_mut(usize::from(handle.index())).filter(|place| place.handle == handle)
    }

    /// The entry of that name.
    #[inline]
    pub(crate) fn get(&self, handle: Handle) -> Option<&T> {
        let place = self.places.get(usize::from(handle.index()))?;
        place.entry.as_ref().filter(|_| place.handle == handle)
    }

    /// As [`get`](Self::get), to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        self.place(handle)?.entry.as_mut()
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, handle: Handle) -> Option<T> {
        let entry = self.place(handle)?.entry.take()?;
        self.free.push_back(handle.index());
        Some(entry)
    }

    /// The entry in a place, whatever its name.
    #[inline]
    pub(crate) fn at(&mut self, index: u16) -> Option<(Handle, &mut T)> {
        let place = self.places.get_mut(usize::from(index))?;
        Some((place.handle, place.entry.as_mut()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Of one place, given to one after the other more often than 16 bits can tell apart.
    #[test]
    fn a_name_does_not_come_back() {
        let mut table = Table::new(1, 0);
        let first = table.insert(0).unwrap();
        table.remove(first);
        for life in 1..=1 << 17 {
            let handle = table.insert(life).unwrap();
            assert_eq!(table.get(first), None, "after {life} lives");
            assert_eq!(table.remove(first), None, "after {life} lives");
            assert_eq!(table.remove(handle), Some(life));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(steps in prop::collection::vec((0_u8..4, 0_usize..8), 0..200)) {
            let mut table = Table::new(5, u64::from(u16::MAX) - 3);
            let (mut live, mut dead) = (Vec::new(), Vec::new());
            for (at, (kind, pick)) in steps.into_iter().enumerate() {
                match kind {
                    0 => match table.insert(at) {
                        Ok(handle) => {
                            prop_assert!(live.len() < 5);
                            prop_assert!(!live.iter().any(|(it, _)| *it == handle));
                            prop_assert!(!dead.contains(&handle));
                            live.push((handle, at));
                        }
                        Err(entry) => prop_assert_eq!((live.len(), entry), (5, at)),
                    },
                    1 if pick < live.len() => {
                        let (handle, entry) = live.swap_remove(pick);
                        prop_assert_eq!(table.remove(handle), Some(entry));
                        prop_assert_eq!(table.remove(handle), None);
                        dead.push(handle);
                    }
                    2 => match table.reserve() {
                        Some(handle) => {
                            prop_assert_eq!(table.get(handle), None);
                            table.release(handle);
                            dead.push(handle);
                        }
                        None => prop_assert_eq!(live.len(), 5),
                    },
                    _ => {}
                }
                for (handle, entry) in &live {
                    prop_assert_eq!(table.get(*handle), Some(entry));
                    prop_assert_eq!(table.at(handle.index()).map(|(handle, _)| handle), Some(*handle));
                }
                for handle in &dead {
                    prop_assert!(table.get(*handle).is_none() && table.get_mut(*handle).is_none());
                }
            }
        }
    }
}
