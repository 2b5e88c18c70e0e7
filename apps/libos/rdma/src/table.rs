//! Tables of fixed size with entries that have names which are not used again.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

/// What an entry is known by: its place, and how often that has been used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Name(pub(crate) u64);

impl Name {
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
    name: Name,
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
        let place = |index| Place { name: Name::new(index, generation), entry: None };
        Self { places: (0..places).map(place).collect(), free: (0..places).collect() }
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> u16 {
        self.places.len() as u16
    }

    /// Takes a place, for an entry that is [put](Self::put) there later.
    pub(crate) fn reserve(&mut self) -> Option<Name> {
        let place = &mut self.places[usize::from(self.free.pop_front()?)];
        place.name = Name::new(place.name.index(), place.name.generation() + 1);
        Some(place.name)
    }

    /// Puts an entry into its place.
    pub(crate) fn put(&mut self, name: Name, entry: T) {
        if let Some(place) = self.place(name) {
            place.entry = Some(entry);
        }
    }

    /// Gives back a place to which nothing has been put.
    pub(crate) fn release(&mut self, name: Name) {
        if self.place(name).is_some_and(|place| place.entry.is_none()) {
            self.free.push_back(name.index());
        }
    }

    /// Appends an entry, or gives it back.
    pub(crate) fn insert(&mut self, entry: T) -> Result<Name, T> {
        match self.reserve() {
            Some(name) => {
                self.put(name, entry);
                Ok(name)
            }
            None => Err(entry),
        }
    }

    fn place(&mut self, name: Name) -> Option<&mut Place<T>> {
        self.places.get_mut(usize::from(name.index())).filter(|place| place.name == name)
    }

    /// The entry of that name.
    #[inline]
    pub(crate) fn get(&self, name: Name) -> Option<&T> {
        let place = self.places.get(usize::from(name.index()))?;
        place.entry.as_ref().filter(|_| place.name == name)
    }

    /// As [`get`](Self::get), to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, name: Name) -> Option<&mut T> {
        self.place(name)?.entry.as_mut()
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, name: Name) -> Option<T> {
        let entry = self.place(name)?.entry.take()?;
        self.free.push_back(name.index());
        Some(entry)
    }

    /// The entry in a place, whatever its name.
    #[inline]
    pub(crate) fn at(&mut self, index: u16) -> Option<(Name, &mut T)> {
        let place = self.places.get_mut(usize::from(index))?;
        Some((place.name, place.entry.as_mut()?))
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
            let name = table.insert(life).unwrap();
            assert_eq!(table.get(first), None, "after {life} lives");
            assert_eq!(table.remove(first), None, "after {life} lives");
            assert_eq!(table.remove(name), Some(life));
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
                        Ok(name) => {
                            prop_assert!(live.len() < 5);
                            prop_assert!(!live.iter().any(|(it, _)| *it == name));
                            prop_assert!(!dead.contains(&name));
                            live.push((name, at));
                        }
                        Err(entry) => prop_assert_eq!((live.len(), entry), (5, at)),
                    },
                    1 if pick < live.len() => {
                        let (name, entry) = live.swap_remove(pick);
                        prop_assert_eq!(table.remove(name), Some(entry));
                        prop_assert_eq!(table.remove(name), None);
                        dead.push(name);
                    }
                    2 => match table.reserve() {
                        Some(name) => {
                            prop_assert_eq!(table.get(name), None);
                            table.release(name);
                            dead.push(name);
                        }
                        None => prop_assert_eq!(live.len(), 5),
                    },
                    _ => {}
                }
                for (name, entry) in &live {
                    prop_assert_eq!(table.get(*name), Some(entry));
                    prop_assert_eq!(table.at(name.index()).map(|(name, _)| name), Some(*name));
                }
                for name in &dead {
                    prop_assert!(table.get(*name).is_none() && table.get_mut(*name).is_none());
                }
            }
        }
    }
}
