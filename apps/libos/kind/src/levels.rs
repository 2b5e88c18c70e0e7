//! A source's registrations: a list a priority, those that are behind before those that are not.

use crate::{Delivery, Source};
use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_event::{Error, Kernel, Priority};

/// What a source keeps with a registration of its own.
pub(crate) struct Links<K: Kernel, T: Send + 'static> {
    /// The source, from attaching to detaching.
    pub(crate) home: Option<Source<K, T>>,
    /// It has been detached ahead of its end.
    pub(crate) left: bool,
    /// Where in the backlog it is.
    pub(crate) seen: u64,
    pub(crate) priority: Priority,
    /// In its list; it is not while it has no room.
    pub(crate) listed: bool,
    /// Its neighbours in the circle, of which the only one there is its own.
    next: Option<Delivery<K, T>>,
    previous: Option<Delivery<K, T>>,
}

impl<K: Kernel, T: Send + 'static> Links<K, T> {
    /// What comes next in the circle.
    #[inline]
    pub(crate) fn after(&self) -> Option<Delivery<K, T>> {
        self.next.clone()
    }
}

impl<K: Kernel, T: Send + 'static> Default for Links<K, T> {
    fn default() -> Self {
        Self {
            home: None,
            left: false,
            seen: 0,
            priority: Priority::DEFAULT,
            listed: false,
            next: None,
            previous: None,
        }
    }
}

/// Which end of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

/// The registrations that have room, by priority: of each one a circle, which is gone round by moving
/// its head on.
pub(crate) struct Levels<K: Kernel, T: Send + 'static> {
    heads: Box<[Option<Delivery<K, T>>; Priority::LEVELS]>,
    /// Lists that are not empty.
    occupied: u64,
    /// Lists that may begin with one that is behind.
    behind: u64,
}

/// The highest of some levels.
#[inline]
fn highest(levels: u64) -> Option<Priority> {
    let level = u64::BITS.checked_sub(levels.leading_zeros() + 1)?;
    Priority::new(level as u8)
}

fn bit(priority: Priority) -> u64 {
    1 << priority.level()
}

impl<K: Kernel, T: Send + 'static> Levels<K, T> {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut heads = Vec::new();
        heads.try_reserve_exact(Priority::LEVELS).map_err(|_| Error::HeapExhausted)?;
        heads.extend((0..Priority::LEVELS).map(|_| None));
        let heads = heads.into_boxed_slice().try_into().map_err(|_| Error::HeapExhausted)?;
        Ok(Self { heads, occupied: 0, behind: 0 })
    }

    /// All of them may be behind.
    pub(crate) fn fall_behind(&mut self) {
        self.behind = self.occupied;
    }

    /// The list of highest priority that may begin with one that is behind.
    pub(crate) fn next(&self) -> Option<Priority> {
        highest(self.behind)
    }

    /// The level of the [next](Self::next) list as a bit; 0 without one.
    #[inline]
    pub(crate) fn next_bit(&self) -> u64 {
        self.next().map_or(0, bit)
    }

    /// The priority of a level, if its list is [next](Self::next).
    #[inline]
    pub(crate) fn next_of(&self, level: u64) -> Option<Priority> {
        if self.behind ^ level < level { highest(level) } else { None }
    }

    /// The highest priority of one.
    pub(crate) fn top(&self) -> Option<Priority> {
        highest(self.occupied)
    }

    /// The first of the highest priority.
    pub(crate) fn first(&self) -> Option<&Delivery<K, T>> {
        self.head(self.top()?)
    }

    pub(crate) fn head(&self, priority: Priority) -> Option<&Delivery<K, T>> {
        self.heads[priority.index()].as_ref()
    }

    /// Nobody is behind.
    #[inline]
    pub(crate) fn all_caught_up(&mut self) {
        self.behind = 0;
    }

    /// Nobody on this list is behind.
    pub(crate) fn caught_up(&mut self, priority: Priority) {
        self.behind &= !bit(priority);
    }

    /// Adds one to the list of its priority. Those behind belong to the front, the others to the
    /// back.
    pub(crate) fn add(&mut self, delivery: &Delivery<K, T>, end: End) {
        let priority = delivery.with_links(|links| {
            links.listed = true;
            links.priority
        });
        self.occupied |= bit(priority);
        let head = &mut self.heads[priority.index()];
        // The last is the one before the first, which in an empty circle is this one.
        let first = head.as_ref().unwrap_or(delivery).clone();
        let last = first.with_links(|links| links.previous.replace(delivery.clone()));
        let last = last.unwrap_or_else(|| delivery.clone());
        last.with_links(|links| links.next = Some(delivery.clone()));
        delivery.with_links(|links| {
            links.next = Some(first);
            links.previous = Some(last);
        });
        if end == End::Front {
            self.behind |= bit(priority);
            *head = Some(delivery.clone());
        } else {
            head.get_or_insert_with(|| delivery.clone());
        }
    }

    /// The first of a list, which has been given all, goes behind the others: the one [after](Links::after) it
    /// is the first from now on.
    #[inline]
    pub(crate) fn go_on(&mut self, priority: Priority, next: Option<Delivery<K, T>>) {
        self.heads[priority.index()] = next;
    }

    /// Takes one out of its list.
    pub(crate) fn remove(&mut self, delivery: &Delivery<K, T>) {
        let (priority, previous, next) = delivery.with_links(|links| {
            links.listed = false;
            (links.priority, links.previous.take(), links.next.take())
        });
        let (Some(previous), Some(next)) = (previous, next) else { return };
        let head = &mut self.heads[priority.index()];
        if next.is(delivery) {
            *head = None;
            self.occupied &= !bit(priority);
            self.behind &= !bit(priority);
            return;
        }
        if head.as_ref().is_some_and(|head| head.is(delivery)) {
            *head = Some(next.clone());
        }
        previous.with_links(|links| links.next = Some(next.clone()));
        next.with_links(|links| links.previous = Some(previous));
    }
}
