//! When a context is given up that owned connections, ports or sockets: its connections are reset, its ports
//! closed, its datagrams dropped, in bounded steps of the stack's.

use crate::path::owner_visit::Visit;
use crate::path::stack::Stack;
use crate::table::connection_record::{Phase, request};
use crate::table::handle::Net;
use crate::table::ready_list::ReadyList;
use crate::table::records::Records;
use crate::table::tables::Shared;
use crate::types::error::Error;
use reflex_event::{ContextId, EventId, Kernel, Owner};
use reflex_hil::Frame;

impl<K: Kernel> Stack<K> {
    /// Contexts have been given up, or there is more to look at: so often.
    pub(crate) fn owners_gone(&mut self, count: u32) {
        self.sweep.activated(count);
        let net = &self.net;
        if self.sweep.go_on(|place| net.look(place))
            && let Ok(event) = self.net.owner_gone()
        {
            self.net.activate(event);
        }
    }
}

impl<K: Kernel> Net<K> {
    /// Looks at one place: the next one.
    fn look(&self, place: Visit) -> Option<Visit> {
        match place {
            Visit::Group(group) => {
                if group as usize >= self.with(|shared| shared.groups.len()) {
                    return Some(Visit::Record { group: 0, place: 0 });
                }
                self.check_owner(group);
                Some(Visit::Group(group + 1))
            }
            Visit::Record { group, place } => Some(self.look_at_record(group, place)),
            Visit::Socket(index) => {
                if index as usize >= self.with(|shared| shared.sockets.len()) {
                    return None;
                }
                self.check_socket_owner(index);
                // The frames go back to the device one by one.
                let frame = self.with(|shared| shared.take_orphaned(index));
                Some(Visit::Socket(index + u32::from(frame.is_none())))
            }
        }
    }

    /// Resets the connection of a record if its owner has been given up.
    fn look_at_record(&self, group: u32, place: u32) -> Visit {
        let (groups, records) =
            self.with(|shared| (shared.groups.len(), shared.records.count(group)));
        if group as usize >= groups {
            return Visit::Socket(0);
        }
        if place >= records {
            return Visit::Record { group: group + 1, place: 0 };
        }
        let index = Records::index(group, place);
        let (event, died) = self.with(|shared| {
            let event = shared.reset_orphan(index);
            (event, !shared.dead.is_empty())
        });
        if died {
            self.drop_dead();
        }
        if let Some(event) = event {
            self.activate(event);
        }
        Visit::Record { group, place: place + 1 }
    }
}

impl<K: Kernel> Net<K> {
    /// The present life of a context.
    pub(crate) fn owner(&self, context: ContextId) -> Result<Owner, Error> {
        Ok(Owner::of(self.kernel(), context)?)
    }

    /// What the kernel activates when a context has been given up.
    pub(crate) fn owner_gone(&self) -> Result<EventId, Error> {
        self.events().map(|events| events.owner_gone).ok_or(Error::NotStarted)
    }

    /// Closes a group if its owner has been given up.
    pub(crate) fn check_owner(&self, group: u32) {
        let owner = self.with(|shared| shared.groups[group as usize].owner);
        if !owner.is_alive(self.kernel()) {
            self.with(|shared| shared.mark_orphaned(group, owner));
            self.follow_priorities();
        }
    }

    /// Closes a socket if its owner has been given up.
    pub(crate) fn check_socket_owner(&self, index: u32) {
        let owner = self.with(|shared| shared.sockets[index as usize].owner);
        if !owner.is_alive(self.kernel()) {
            self.with(|shared| shared.mark_socket_orphaned(index, owner));
            self.follow_priorities();
        }
    }
}

impl Shared {
    /// Closes a group of an owner that has been given up.
    fn mark_orphaned(&mut self, group: u32, owner: Owner) {
        let orphan = &mut self.groups[group as usize];
        if orphan.orphaned || orphan.owner != owner {
            return;
        }
        (orphan.orphaned, orphan.listening) = (true, false);
        orphan.life += 1;
        // Their links are as they were until they are served again.
        orphan.telling = ReadyList::EMPTY;
        self.priorities.remove(orphan.settings.priority);
        if let Some(port) = orphan.port {
            self.ports.close(port, group);
        }
    }

    /// Resets a record's connection if its owner has been given up: the event to activate.
    fn reset_orphan(&mut self, index: u32) -> Option<EventId> {
        let record = &mut self.records[index];
        if record.life == self.groups[record.group as usize].life || !record.in_table() {
            return None;
        }
        // Nobody is left to be told, but how many there were.
        let cut_off = record.phase == Phase::Open && !record.told;
        record.told = true;
        let untold = core::mem::take(&mut record.notices) != 0;
        let group = &mut self.groups[record.group as usize];
        group.cut_off += u32::from(cut_off);
        let usual = group.settings.priority;
        self.untold = self.untold.saturating_sub(u32::from(untold));
        self.prioritise(index, usual);
        let record = &mut self.records[index];
        match record.phase {
            Phase::TimeWait | Phase::Over => {
                self.settle(index);
                None
            }
            _ => {
                record.requests |= request::ABORT;
                record.events.map(|events| events.segment)
            }
        }
    }

    /// Closes a socket of an owner that has been given up.
    pub(crate) fn mark_socket_orphaned(&mut self, index: u32, owner: Owner) {
        let orphan = &mut self.sockets[index as usize];
        if orphan.orphaned || orphan.owner != owner {
            return;
        }
        orphan.orphaned = true;
        orphan.receive_event = None;
        orphan.unsent.clear();
        self.priorities.remove(orphan.priority);
        self.udp_ports.close(orphan.port, index);
    }

    /// A frame that waits for an owner that has been given up.
    pub(crate) fn take_orphaned(&mut self, index: u32) -> Option<Frame> {
        let socket = &mut self.sockets[index as usize];
        if socket.orphaned { self.frames.pop(&mut socket.queue) } else { None }
    }
}
