//! When a context is given up that owned connections, ports or sockets: its connections are reset,
//! its ports closed, its datagrams dropped, in bounded steps of the stack's.
//!
//! What lies in the context's event memory stays there, since it belongs to records that are never
//! freed: it is taken over when the context, in its next life, opens the same port again with
//! buffers of the same sizes.

use crate::record::{Phase, request};
use crate::settings::Settings;
use crate::shared::{Group, Owner, Register, Shared};
use crate::{Error, Net, Stack};
use alloc::sync::Arc;
use reflex_event::{ContextId, EventId, Kernel};

/// Groups, records and sockets looked at in one run.
const BATCH: u32 = 16;

/// How far the stack has come in looking for what dead contexts left behind.
#[derive(Clone, Copy, Default)]
pub(crate) struct Search {
    at: At,
    /// It has activated itself to go on.
    goes_on: bool,
}

#[derive(Clone, Copy)]
enum At {
    Group(u32),
    Record(u32),
    Socket(u32),
}

impl Default for At {
    fn default() -> Self {
        Self::Group(0)
    }
}

impl<K: Kernel> Stack<K> {
    /// Contexts have been given up, `count` of them, or one less when the search activated itself.
    pub(crate) fn mourn(&mut self, count: u32) {
        if count > u32::from(core::mem::take(&mut self.search.goes_on)) {
            self.search.at = At::default();
        }
        for _ in 0..BATCH {
            match self.search() {
                Some(next) => self.search.at = next,
                None => return,
            }
        }
        if let Ok(event) = self.net.bereaved() {
            self.search.goes_on = true;
            self.net.activate(event);
        }
    }

    fn search(&mut self) -> Option<At> {
        let net = &self.net;
        Some(match self.search.at {
            At::Group(group) => {
                if group as usize >= net.with(|shared| shared.groups.len()) {
                    return Some(At::Record(0));
                }
                net.look_after(group);
                At::Group(group + 1)
            }
            At::Record(index) => {
                if index as usize >= net.with(|shared| shared.records.len()) {
                    return Some(At::Socket(0));
                }
                if let Some(event) = net.with(|shared| shared.reset_orphan(index)) {
                    net.activate(event);
                }
                At::Record(index + 1)
            }
            At::Socket(index) => {
                if index as usize >= net.with(|shared| shared.sockets.len()) {
                    return None;
                }
                net.look_after_socket(index);
                // The frames go back to the device one by one.
                match net.with(|shared| shared.take_orphaned(index)) {
                    Some(frame) => drop(frame),
                    None => return Some(At::Socket(index + 1)),
                }
                At::Socket(index)
            }
        })
    }
}

impl<K: Kernel> Net<K> {
    /// The present life of a context.
    pub(crate) fn owner(&self, context: ContextId) -> Result<Owner, Error> {
        Ok(Owner { context, failures: self.kernel().failures(context)? })
    }

    /// What the kernel activates when a context has been given up.
    pub(crate) fn bereaved(&self) -> Result<EventId, Error> {
        self.events().map(|events| events.bereaved).ok_or(Error::NotStarted)
    }

    fn is_alive(&self, owner: Owner) -> bool {
        self.owner(owner.context) == Ok(owner)
    }

    /// Closes a group if its owner has been given up.
    pub(crate) fn look_after(&self, group: u32) {
        let owner = self.with(|shared| shared.groups[group as usize].owner);
        if !self.is_alive(owner) {
            self.with(|shared| shared.orphan(group, owner));
        }
    }

    /// Closes a socket if its owner has been given up.
    pub(crate) fn look_after_socket(&self, index: u32) {
        let owner = self.with(|shared| shared.sockets[index as usize].owner);
        if !self.is_alive(owner) {
            self.with(|shared| shared.orphan_socket(index, owner));
        }
    }

    /// Registers a record of an earlier life of its owner's anew. A cold path.
    ///
    /// # Errors
    /// Those of registering.
    pub(crate) fn serve_again(&self, index: u32) -> Result<(), Error> {
        let (register, life, priority, slot, events) = self.with(|shared| {
            let record = &shared.records[index as usize];
            let group = &shared.groups[record.group as usize];
            let priority = group.settings.priority;
            (Arc::clone(&group.register), group.life, priority, record.slot, record.events)
        });
        let application = register(self, priority, index, slot)?;
        if let Some(events) = events {
            self.kernel().set_priority(events.segment, priority)?;
        }
        self.with(|shared| {
            let record = &mut shared.records[index as usize];
            (record.life, record.priority) = (life, priority);
            if let Some(events) = &mut record.events {
                events.application = application;
            }
        });
        Ok(())
    }
}

impl<K: Kernel> Group<K> {
    /// Its own registrations with the stack.
    pub(crate) fn events(&self) -> [Option<EventId>; 2] {
        [self.opening_event, self.flush_event]
    }
}

impl<K: Kernel> Shared<K> {
    /// Closes a group of an owner who has been given up.
    fn orphan(&mut self, group: u32, owner: Owner) {
        let orphan = &mut self.groups[group as usize];
        if orphan.orphaned || orphan.owner != owner {
            return;
        }
        (orphan.orphaned, orphan.listening) = (true, false);
        orphan.life = orphan.life.wrapping_add(1);
        self.ports.retain(|(_, listener)| *listener != group);
    }

    /// Resets a record's connection if its owner has been given up: the event to activate.
    fn reset_orphan(&mut self, index: u32) -> Option<EventId> {
        let record = &mut self.records[index as usize];
        if record.life == self.groups[record.group as usize].life || !record.in_table() {
            return None;
        }
        // Nobody is left to be told.
        record.told = true;
        record.notices = 0;
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

    /// Opens a port for a group.
    pub(crate) fn open_port(&mut self, port: Option<u16>, group: u32) {
        if let Some(port) = port
            && let Err(at) = self.ports.binary_search_by_key(&port, |(port, _)| *port)
        {
            self.ports.insert(at, (port, group));
        }
    }

    /// Gives a context the group that it had in an earlier life.
    pub(crate) fn adopt(
        &mut self,
        owner: Owner,
        port: Option<u16>,
        settings: &Settings,
        register: &Arc<Register<K>>,
    ) -> Option<u32> {
        let fits = |group: &Group<K>| {
            let buffers = |of: &Settings| (of.receive_buffer, of.send_buffer);
            group.orphaned
                && group.owner.context == owner.context
                && group.port == port
                && group.made <= settings.connections
                && buffers(&group.settings) == buffers(settings)
        };
        let index = self.groups.iter().position(fits)?;
        let group = &mut self.groups[index];
        (group.owner, group.orphaned, group.listening) = (owner, false, port.is_some());
        (group.settings, group.register) = (*settings, Arc::clone(register));
        let missing = settings.connections.saturating_sub(group.made);
        self.reserve(missing as usize, 0);
        Some(index as u32)
    }

    /// Whether a record is of an earlier life of its owner's.
    pub(crate) fn is_stale(&self, index: u32) -> bool {
        let record = &self.records[index as usize];
        record.life != self.groups[record.group as usize].life
    }
}
