//! Lists of requests, through their places: each request is in one at most, and comes and goes in constant time.

use crate::name::{Links, Name};
use crate::slot::Slot;
use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_event::Priority;

/// A list.
#[derive(Clone, Copy, Default)]
pub(crate) struct List {
    first: Option<Name>,
    last: Option<Name>,
}

impl List {
    pub(crate) fn first(&self) -> Option<Name> {
        self.first
    }
}

/// The places of all disks.
pub(crate) struct Slots {
    disks: Vec<Box<[Slot]>>,
}

impl Slots {
    /// None, of so many disks.
    pub(crate) fn new(disks: usize) -> Self {
        Self { disks: (0..disks).map(|_| Box::default()).collect() }
    }

    /// Sets the places of a disk; those that it had before.
    pub(crate) fn replace(&mut self, disk: u16, slots: Box<[Slot]>) -> Box<[Slot]> {
        core::mem::replace(&mut self.disks[usize::from(disk)], slots)
    }

    /// A place, if the disk has it.
    #[inline]
    pub(crate) fn get_mut(&mut self, name: Name) -> Option<&mut Slot> {
        self.disks.get_mut(usize::from(name.disk))?.get_mut(usize::from(name.slot))
    }

    /// A place that is known to be there.
    #[inline]
    pub(crate) fn at(&mut self, name: Name) -> &mut Slot {
        &mut self.disks[usize::from(name.disk)][usize::from(name.slot)]
    }

    /// Appends a request to a list.
    #[inline]
    pub(crate) fn push(&mut self, list: &mut List, name: Name) {
        let before = list.last.replace(name);
        self.at(name).links = Links { before, behind: None };
        match before {
            Some(before) => self.at(before).links.behind = Some(name),
            None => list.first = Some(name),
        }
    }

    /// Takes a request out of the list that it is in.
    #[inline]
    pub(crate) fn remove(&mut self, list: &mut List, name: Name) {
        let Links { before, behind } = core::mem::replace(&mut self.at(name).links, Links::NONE);
        match before {
            Some(before) => self.at(before).links.behind = behind,
            None => list.first = behind,
        }
        match behind {
            Some(behind) => self.at(behind).links.before = before,
            None => list.last = before,
        }
    }

    /// Takes the first of a list.
    #[inline]
    pub(crate) fn pop(&mut self, list: &mut List) -> Option<Name> {
        let first = list.first?;
        self.remove(list, first);
        Some(first)
    }
}

/// The requests that wait for the device, by priority.
pub(crate) struct Ready {
    levels: Box<[List]>,
    /// Which of the lists have something.
    bits: u64,
}

impl Ready {
    pub(crate) fn new() -> Self {
        const { assert!(Priority::LEVELS <= u64::BITS as usize) };
        Self { levels: (0..Priority::LEVELS).map(|_| List::default()).collect(), bits: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bits == 0
    }

    #[inline]
    pub(crate) fn push(&mut self, slots: &mut Slots, name: Name) {
        let level = slots.at(name).priority.level();
        slots.push(&mut self.levels[usize::from(level)], name);
        self.bits |= 1 << level;
    }

    pub(crate) fn remove(&mut self, slots: &mut Slots, name: Name) {
        let level = slots.at(name).priority.level();
        self.take(slots, name, level);
    }

    /// Takes the most urgent, the one of these that has waited longest.
    pub(crate) fn pop(&mut self, slots: &mut Slots) -> Option<Name> {
        let level = self.bits.checked_ilog2()? as u8;
        let first = self.levels[usize::from(level)].first()?;
        self.take(slots, first, level);
        Some(first)
    }

    fn take(&mut self, slots: &mut Slots, name: Name, level: u8) {
        let list = &mut self.levels[usize::from(level)];
        slots.remove(list, name);
        if list.first().is_none() {
            self.bits &= !(1 << level);
        }
    }
}
