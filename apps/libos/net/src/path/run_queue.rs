//! Which connection is next: a list a group of connections, so that one activation stands for all
//! of them.
//!
//! A connection is listed when frames have come for it or its application has asked for something,
//! unless it has a priority of its own. It is listed once, whatever comes meanwhile. A connection
//! with a priority of its own, and one with a timer that has gone off or that has waited, has its
//! run by an activation for it alone.

use crate::path::connection_run::RunEnd;
use crate::path::run::Run;
use crate::path::stack::Stack;
use crate::table::ready_list::Listed;
use crate::table::tables::Shared;
use crate::table::waiter::Waiter;
use reflex_event::{EventId, Kernel};

/// Most connections that run in one run of the handler: then others of the same priority go on.
const RUNS: u32 = 8;

/// What several runs, one after the other, have in common.
#[derive(Default)]
pub(crate) struct Runs {
    /// How many there were.
    given: u32,
    /// Runs the group of the last of them.
    event: Option<EventId>,
    /// An application has something to hear yet, which it may answer.
    told: bool,
    /// Others of the group are to run.
    more: bool,
}

impl<K: Kernel> Stack<K> {
    /// Runs the connections of a group that are to run.
    pub(crate) fn run_listed(&mut self, group: u32) {
        self.run_more(group, Runs::default());
    }

    /// As [`run_listed`](Self::run_listed), behind the runs that there were.
    pub(crate) fn run_more(&mut self, group: u32, mut runs: Runs) {
        let mut run = Run::default();
        loop {
            if runs.given >= RUNS {
                // When others of the same priority have run.
                runs.event = self.net.with(|shared| shared.groups[group as usize].run_event);
                runs.more = true;
                break;
            }
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
            let last = ended.last;
            self.note_run(&run, &ended, &mut runs);
            if last {
                break;
            }
        }
        self.end_runs(&runs);
    }

    /// Notes that a run has ended.
    #[inline]
    pub(crate) fn note_run(&mut self, run: &Run, ended: &RunEnd, runs: &mut Runs) {
        if ended.sent {
            self.engine.unflushed = self.engine.unflushed.max(Some(run.priority));
        }
        if let Some(again) = ended.again {
            self.net.activate(again);
        }
        runs.given += 1;
        (runs.event, runs.told) = (run.flush, !ended.quiet);
    }

    /// Tells the device what was sent, unless an application may be about to answer more: one notification, which
    /// leaves the machine, for as many frames as there are. Runs that were none wait no longer for what
    /// applications may have to say.
    pub(crate) fn end_runs(&mut self, runs: &Runs) {
        let later = runs.more || runs.told && self.engine.unflushed.is_some();
        match runs.event.filter(|_| later) {
            // When others of the same priority have run.
            Some(event) => self.net.activate(event),
            None => self.flush(),
        }
        self.settle_rest();
    }
}

impl Shared {
    /// Lets a connection run soon: what is to be activated for that. Nothing where others of its group are to run
    /// already: with the first that was listed, what runs them all was activated.
    #[inline]
    pub(crate) fn make_ready(&mut self, index: u32) -> Option<EventId> {
        let Self { records, groups, .. } = self;
        let record = records.get_mut(index)?;
        let events = record.events?;
        let group = &mut *groups[record.group as usize];
        if record.priority != group.settings.priority {
            return Some(events.segment);
        }
        match group.ready.append(&mut record.ready, index) {
            Listed::First => return group.run_event,
            Listed::Behind(last) => records[last].ready.lead_to(index),
            Listed::Before => {}
        }
        None
    }

    /// Takes the first off its group's list.
    #[inline]
    fn next_ready(&mut self, group: u32) -> Option<u32> {
        let list = &mut self.groups[group as usize].ready;
        let index = list.first;
        let record = self.records.get_mut(index)?;
        list.remove_first(&mut record.ready);
        Some(index)
    }
}
