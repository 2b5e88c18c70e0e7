//! Which connection is next: a list a group of connections, so that one activation stands for all
//! of them.
//!
//! A connection is listed when frames have come for it or its application has asked for something,
//! unless it has a priority of its own. It is listed once, whatever comes meanwhile. A connection
//! with a priority of its own, and one with a timer that has gone off or that has waited, has its
//! run by an activation for it alone.

use crate::path::run_state::Run;
use crate::path::stack::Stack;
use crate::table::index::NONE;
use crate::table::tables::Shared;
use crate::table::waiter::Waiter;
use reflex_event::{EventId, Kernel};

/// Most connections that run in one run of the handler: then others of the same priority go on.
const RUNS: u32 = 8;

impl<K: Kernel> Stack<K> {
    /// Runs the connections of a group that are to run. Then it tells the device what
    /// was sent, unless an application may be about to answer more: one notification, which leaves
    /// the machine, for as many frames as there are.
    pub(crate) fn run_listed(&mut self, group: u32) {
        let mut run = Run::default();
        let (mut given, mut event, mut quiet) = (0, None, true);
        while given < RUNS {
            if !self.engine.look_for_room() {
                match self.net.with(|shared| shared.next_ready(group)) {
                    Some(index) => self.starve(Waiter::Connection(index)),
                    None => break,
                }
                continue;
            }
            let begun = self
                .net
                .with(|shared| shared.next_ready(group).map(|index| shared.begin(index, &mut run)));
            match begun {
                Some(true) => {}
                // There is nothing to be done for it any more.
                Some(false) => continue,
                None => break,
            }
            let ended = self.run_connection(&mut run);
            if ended.sent {
                self.engine.unflushed = self.engine.unflushed.max(Some(run.priority));
            }
            // One without a priority of its own is in the list again.
            if let Some(again) = ended.again.filter(|again| Some(*again) != run.flush) {
                self.net.activate(again);
            }
            given += 1;
            (event, quiet) = (run.flush, ended.quiet);
            if ended.last {
                break;
            }
        }
        // A run that has found nobody waits no longer for what applications may have to say.
        let later = given == RUNS || given > 0 && !quiet && self.engine.unflushed.is_some();
        match event.filter(|_| later) {
            // When others of the same priority have run.
            Some(event) => self.net.activate(event),
            None => self.flush(),
        }
        self.settle_rest();
    }
}

impl Shared {
    /// Lets a connection run soon: what is to be activated for that.
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
        group.run_event
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
