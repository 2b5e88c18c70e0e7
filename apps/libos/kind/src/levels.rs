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
    next: Option<Delivery<K, T>>,
    previous: Option<Delivery<K, T>>,
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

impl<K: Kernel, T: Send + 'static> Links<K, T> {
    /// Whether no other is in its list.
    pub(crate) fn is_alone(&self) -> bool {
        self.next.is_none() && self.previous.is_none()
    }
}

struct List<K: Kernel, T: Send + 'static> {
    head: Option<Delivery<K, T>>,
    tail: Option<Delivery<K, T>>,
}

/// Which end of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

/// The registrations that have room, by priority.
pub(crate) struct Levels<K: Kernel, T: Send + 'static> {
    lists: Box<[List<K, T>]>,
    /// Lists that are not empty.
    occupied: u64,
    /// Lists that may begin with one that is behind.
    pub(crate) behind: u64,
}

/// The highest of some levels.
pub(crate) fn highest(levels: u64) -> Option<Priority> {
    let level = u64::BITS.checked_sub(levels.leading_zeros() + 1)?;
    Priority::new(level as u8)
}

fn bit(priority: Priority) -> u64 {
    1 << priority.level()
}

impl<K: Kernel, T: Send + 'static> Levels<K, T> {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut lists = Vec::new();
        lists.try_reserve_exact(Priority::LEVELS).map_err(|_| Error::HeapExhausted)?;
        lists.extend((0..Priority::LEVELS).map(|_| List { head: None, tail: None }));
        Ok(Self { lists: lists.into_boxed_slice(), occupied: 0, behind: 0 })
    }

    /// All of them may be behind.
    pub(crate) fn fall_behind(&mut self) {
        self.behind = self.occupied;
    }

    /// The list of highest priority that may begin with one that is behind.
    pub(crate) fn next(&self) -> Option<Priority> {
        highest(self.behind)
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
        self.lists[usize::from(priority.level())].head.as_ref()
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
        let list = &mut self.lists[usize::from(priority.level())];
        match end {
            End::Front => {
                self.behind |= bit(priority);
                let second = list.head.replace(delivery.clone());
                match &second {
                    Some(second) => {
                        second.with_links(|links| links.previous = Some(delivery.clone()))
                    }
                    None => list.tail = Some(delivery.clone()),
                }
                delivery.with_links(|links| links.next = second);
            }
            End::Back => {
                let last = list.tail.replace(delivery.clone());
                match &last {
                    Some(last) => last.with_links(|links| links.next = Some(delivery.clone())),
                    None => list.head = Some(delivery.clone()),
                }
                delivery.with_links(|links| links.previous = last);
            }
        }
    }

    /// Puts the first of a list that has others behind it, and has been given all, behind them.
    pub(crate) fn rotate(&mut self, priority: Priority) {
        let list = &mut self.lists[usize::from(priority.level())];
        let Some(first) = list.head.take() else { return };
        let Some(second) = first.with_links(|links| links.next.take()) else {
            list.head = Some(first);
            return;
        };
        // Shares change hands: none is made and none is dropped.
        let itself = second.with_links(|links| links.previous.take());
        list.head = Some(second);
        let last = core::mem::replace(&mut list.tail, itself);
        if let Some(last) = last {
            let own = last.with_links(|links| links.next.replace(first));
            debug_assert!(own.is_none());
            if let Some(itself) = &list.tail {
                itself.with_links(|links| links.previous = Some(last));
            }
        }
    }

    /// Takes one out of its list.
    pub(crate) fn remove(&mut self, delivery: &Delivery<K, T>) {
        let (priority, previous, next) = delivery.with_links(|links| {
            links.listed = false;
            (links.priority, links.previous.take(), links.next.take())
        });
        let list = &mut self.lists[usize::from(priority.level())];
        match &previous {
            Some(previous) => previous.with_links(|links| links.next = next.clone()),
            None => list.head = next.clone(),
        }
        match next {
            Some(next) => next.with_links(|links| links.previous = previous),
            None => list.tail = previous,
        }
        if list.head.is_none() {
            self.occupied &= !bit(priority);
            self.behind &= !bit(priority);
        }
    }
}
