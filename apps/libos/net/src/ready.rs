//! Which connection is next: a list a group of connections, so that one activation stands for all
//! of them.
//!
//! A connection is listed when frames have come for it or its application has asked for something,
//! unless it has a priority of its own. It is listed once, whatever comes meanwhile. A connection
//! with a priority of its own, and one with a timer that has gone off or that has waited, has its
//! turn by an activation for it alone.

use crate::Stack;
use crate::flow::NONE;
use crate::record::Record;
use crate::shared::Shared;
use crate::turn::Turn;
use crate::wait::Waiter;
use reflex_event::{EventId, Kernel};

/// Most turns given in one run: then others of the same priority go on.
const TURNS: u32 = 8;

/// Records of a group, in the order in which they were listed, linked through themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyList {
    first: u32,
    last: u32,
}

impl ReadyList {
    pub(crate) const EMPTY: Self = Self { first: NONE, last: NONE };

    pub(crate) const fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Appends a record, unless it is listed already: the one before it, to be linked to it.
    #[inline(always)]
    pub(crate) fn append(&mut self, record: &mut Record, index: u32) -> Option<u32> {
        if core::mem::replace(&mut record.ready, true) {
            return None;
        }
        record.next_ready = NONE;
        match core::mem::replace(&mut self.last, index) {
            NONE => {
                self.first = index;
                None
            }
            last => Some(last),
        }
    }
}

impl<K: Kernel> Stack<K> {
    /// Gives turns to the connections of a group that are to have one. Then it tells the device what
    /// was sent, unless an application may be about to answer more: one notification, which leaves
    /// the machine, for as many frames as there are.
    pub(crate) fn turns(&mut self, group: u32) {
        let mut turn = Turn::default();
        let (mut given, mut event, mut quiet) = (0, None, true);
        while given < TURNS {
            if !self.engine.look_for_room() {
                match self.net.with(|shared| shared.next_ready(group)) {
                    Some(index) => self.starve(Waiter::Connection(index)),
                    None => break,
                }
                continue;
            }
            let begun = self.net.with(|shared| {
                shared.next_ready(group).map(|index| shared.begin(index, &mut turn))
            });
            match begun {
                Some(true) => {}
                // There is nothing to be done for it any more.
                Some(false) => continue,
                None => break,
            }
            let ended = self.give_turn(&mut turn);
            if ended.sent {
                self.engine.unflushed = self.engine.unflushed.max(Some(turn.priority));
            }
            // One without a priority of its own is in the list again.
            if let Some(again) = ended.again.filter(|again| Some(*again) != turn.flush) {
                self.net.activate(again);
            }
            given += 1;
            (event, quiet) = (turn.flush, ended.quiet);
            if ended.last {
                break;
            }
        }
        // A run that has found nobody waits no longer for what applications may have to say.
        let later = given == TURNS || given > 0 && !quiet && self.engine.unflushed.is_some();
        match event.filter(|_| later) {
            // When others of the same priority have had their turn.
            Some(event) => self.net.activate(event),
            None => self.flush(),
        }
        self.settle_rest();
    }
}

impl<K: Kernel> Shared<K> {
    /// Lets a connection have a turn soon: what is to be activated for that.
    #[inline]
    pub(crate) fn make_ready(&mut self, index: u32) -> Option<EventId> {
        let Self { records, groups, .. } = self;
        let record = records.get_mut(index)?;
        let events = record.events?;
        let group = &mut *groups[record.group as usize];
        if record.priority != group.settings.priority {
            return Some(events.segment);
        }
        if let Some(last) = group.ready.append(record, index) {
            records[last].next_ready = index;
        }
        group.turns_event
    }

    /// Takes the first off its group's list.
    #[inline]
    fn next_ready(&mut self, group: u32) -> Option<u32> {
        let list = &mut self.groups[group as usize].ready;
        let index = list.first;
        let record = self.records.get_mut(index)?;
        record.ready = false;
        list.first = record.next_ready;
        if list.first == NONE {
            list.last = NONE;
        }
        Some(index)
    }
}
