//! When a context is given up that owned connections, ports or sockets: its connections are reset,
//! its ports closed, its datagrams dropped, in bounded steps of the stack's.
//!
//! What lies in the context's event memory stays there, since it belongs to records that are never
//! freed: it is taken over when the context, in its next life, opens the same port again with
//! buffers of the same sizes.

use crate::ip::endpoint::Endpoint;
use crate::path::owner_visit::Visit;
use crate::path::stack::Stack;
use crate::table::connection_record::{Phase, Records, request};
use crate::table::port::Page;
use crate::table::tables::{Group, Net, Register, Shared};
use crate::types::error::Error;
use crate::types::settings::{Settings, UdpSettings};
use alloc::boxed::Box;
use alloc::sync::Arc;
use reflex_event::{ContextId, EventId, Kernel, Owner};
use reflex_hil::Frame;
use reflex_memory::{Content, Pool};

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

    /// Gives a context a group that it had in an earlier life, if one fits. A cold path.
    ///
    /// # Errors
    /// [`Error::PortInUse`], [`Error::Event`].
    pub(crate) fn reclaim(
        &self,
        owner: Owner,
        port: Option<u16>,
        settings: &Settings,
        (register, pool): (&Arc<Register<K>>, &'static Pool),
    ) -> Result<Option<u32>, Error> {
        let mut page = port.and_then(|port| self.page(|shared| &shared.ports, port));
        for group in 0..self.with(|shared| shared.groups.len()) as u32 {
            // A section each. What the group had before is dropped outside of it.
            let takes = (Arc::clone(register), pool);
            let reclaimed = self
                .with(|shared| shared.reclaim(group, owner, (port, &mut page), settings, takes));
            let Some((events, _)) = reclaimed? else { continue };
            self.follow_priorities();
            for event in events.into_iter().flatten() {
                self.kernel().set_priority(event, settings.priority)?;
            }
            return Ok(Some(group));
        }
        Ok(None)
    }

    /// Readies a free record of a group's for its next connection, or the oldest in TIME-WAIT when that
    /// cannot be done: which it is.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], and those of registering.
    pub(crate) fn ready(&self, group: u32, index: u32) -> Result<u32, Error> {
        let Err(error) = self.mend(index) else { return Ok(index) };
        let other = self.take_oldest_time_wait(group).ok_or(error)?;
        self.mend(other).map(|()| other)
    }

    /// Gives a free record what it lacks: mostly that is nothing. One that lacks it still is given back.
    fn mend(&self, index: u32) -> Result<(), Error> {
        let (stale, retired) = self.with(|shared| shared.lacks(index));
        if !stale && !retired {
            return Ok(());
        }
        let renewed = if retired { self.renew(index) } else { Ok(()) };
        let ready = renewed.and_then(|()| if stale { self.serve_again(index) } else { Ok(()) });
        ready.inspect_err(|_| self.with(|shared| shared.give_back(index)))
    }

    /// Gives a record another endpoint in the place of one that stays as it is for ever: of the machine's
    /// memory, so that its owner has as much as before, or else of the owner's. A cold path.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    fn renew(&self, index: u32) -> Result<(), Error> {
        let (settings, own) = self.with(|shared| {
            let group = &shared.groups[shared.records[index].group as usize];
            (group.settings, group.pool)
        });
        let (receive, send) = (settings.receive_buffer, settings.send_buffer);
        // With room for what a pool needs itself: 5 bytes a granule.
        let bytes = Endpoint::footprint(receive, send) * 5 / 4;
        let fresh = self.kernel().replacement(own, bytes, Content::Objects).ok();
        let fresh = fresh.and_then(|pool| Endpoint::new(pool, receive, send).ok());
        let endpoint = match fresh {
            Some(endpoint) => endpoint,
            None => Endpoint::new(own, receive, send).map_err(|_| Error::OutOfMemory)?,
        };
        // Of the one before only its own block comes back, of which nobody was lent anything.
        drop(self.with(|shared| shared.records[index].endpoint.replace(endpoint)));
        Ok(())
    }

    /// Registers a record of an earlier life of its owner's anew. A cold path.
    ///
    /// # Errors
    /// Those of registering.
    fn serve_again(&self, index: u32) -> Result<(), Error> {
        let (register, life, priority, slot, events) = self.with(|shared| {
            let record = &shared.records[index];
            let group = &shared.groups[record.group as usize];
            let priority = group.settings.priority;
            (Arc::clone(&group.register), group.life, priority, record.slot, record.events)
        });
        let application = register(self, priority, index, slot)?;
        if let Some(events) = events {
            self.kernel().set_priority(events.segment, priority)?;
        }
        self.with(|shared| {
            let record = &mut shared.records[index];
            (record.life, record.priority) = (life, priority);
            if let Some(events) = &mut record.events {
                events.application = application;
            }
        });
        Ok(())
    }
}

/// The events of a group that was reclaimed, and what is to be dropped outside of sections.
type Reclaimed<K> = ([Option<EventId>; 2], Arc<Register<K>>);

impl<K: Kernel> Group<K> {
    /// Its own registrations with the stack.
    pub(crate) fn events(&self) -> [Option<EventId>; 2] {
        [self.opening_event, self.run_event]
    }
}

impl<K: Kernel> Shared<K> {
    /// Closes a group of an owner that has been given up.
    fn mark_orphaned(&mut self, group: u32, owner: Owner) {
        let orphan = &mut self.groups[group as usize];
        if orphan.orphaned || orphan.owner != owner {
            return;
        }
        (orphan.orphaned, orphan.listening) = (true, false);
        orphan.life += 1;
        self.levels.remove(orphan.settings.priority);
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
        // Nobody is left to be told.
        record.told = true;
        let untold = core::mem::take(&mut record.notices) != 0;
        let usual = self.groups[record.group as usize].settings.priority;
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

    /// Gives a context `group`, if it had it in an earlier life and it fits: the group's events, and
    /// how its connections were registered then.
    fn reclaim(
        &mut self,
        group: u32,
        owner: Owner,
        (port, page): (Option<u16>, &mut Option<Box<Page>>),
        settings: &Settings,
        (register, pool): (Arc<Register<K>>, &'static Pool),
    ) -> Result<Option<Reclaimed<K>>, Error> {
        let room = self.records.room(group);
        let Some(orphan) = self.groups.get_mut(group as usize) else { return Ok(None) };
        let buffers = |of: &Settings| (of.receive_buffer, of.send_buffer);
        let fits = orphan.orphaned
            && orphan.owner.context == owner.context
            && orphan.port == port
            && (orphan.made..=room).contains(&settings.connections)
            && buffers(&orphan.settings) == buffers(settings);
        if !fits {
            return Ok(None);
        }
        if let Some(port) = port
            && !self.ports.open(port, group, page)
        {
            return Err(Error::PortInUse);
        }
        self.levels.add(settings.priority);
        (orphan.owner, orphan.orphaned, orphan.listening) = (owner, false, port.is_some());
        (orphan.settings, orphan.pool) = (*settings, pool);
        let before = core::mem::replace(&mut orphan.register, register);
        Ok(Some((orphan.events(), before)))
    }

    /// What a free record lacks: a registration with its owner's present life, and an endpoint
    /// with memory that may be written to.
    fn lacks(&self, index: u32) -> (bool, bool) {
        let record = &self.records[index];
        let stale = record.life != self.groups[record.group as usize].life;
        (stale, record.endpoint.as_ref().is_some_and(|endpoint| endpoint.retired))
    }
}

impl<K: Kernel> Shared<K> {
    pub(crate) fn socket_queue(&self, settings: UdpSettings) -> u16 {
        let share = u16::try_from(self.share).unwrap_or(u16::MAX);
        settings.receive_queue.min(share.max(1))
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
        self.levels.remove(orphan.priority);
        self.udp_ports.close(orphan.port, index);
    }

    /// A frame that waits for an owner that has been given up.
    pub(crate) fn take_orphaned(&mut self, index: u32) -> Option<Frame> {
        let socket = &mut self.sockets[index as usize];
        if socket.orphaned { self.frames.pop(&mut socket.queue) } else { None }
    }

    /// Gives a context a socket, if it had it in an earlier life and it fits.
    pub(crate) fn reclaim_socket(
        &mut self,
        index: u32,
        owner: Owner,
        (port, page): (u16, &mut Option<Box<Page>>),
        settings: UdpSettings,
    ) -> Result<bool, Error> {
        let limit = self.socket_queue(settings);
        let Some(orphan) = self.sockets.get_mut(index as usize) else { return Ok(false) };
        let fits = orphan.orphaned
            && orphan.owner.context == owner.context
            && orphan.port == port
            && orphan.unsent.size() == settings.send_buffer;
        if !fits {
            return Ok(false);
        }
        if !self.udp_ports.open(port, index, page) {
            return Err(Error::PortInUse);
        }
        self.levels.add(settings.priority);
        (orphan.owner, orphan.orphaned, orphan.priority) = (owner, false, settings.priority);
        orphan.queue.set_limit(limit);
        Ok(true)
    }
}
