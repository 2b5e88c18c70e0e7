//! What a context had in an earlier life is its own again when it opens the same port with buffers of the same
//! sizes: connections' records and sockets are never freed, and lie in its event memory.

use crate::ip::tcp::limits::Patience;
use crate::table::handle::Net;
use crate::table::port::Page;
use crate::table::tables::{Group, Register, Shared};
use crate::types::error::Error;
use crate::types::settings::{BufferMemory, TcpSettings, UdpSettings};
use alloc::boxed::Box;
use alloc::sync::Arc;
use reflex_event::{EventId, Kernel, Owner};
use reflex_memory::Pool;

impl<K: Kernel> Net<K> {
    /// Gives a context a group that it had in an earlier life, if one fits. A cold path.
    ///
    /// # Errors
    /// [`Error::PortInUse`], [`Error::Event`].
    pub(crate) fn reclaim(
        &self,
        owner: Owner,
        port: Option<u16>,
        settings: &TcpSettings,
        (register, pool): (&Arc<Register>, &'static Pool),
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
}

/// The events of a group that was reclaimed, and what is to be dropped outside of sections.
type Reclaimed = ([Option<EventId>; 2], Arc<Register>);

impl Group {
    /// Its own registrations with the stack.
    pub(crate) fn events(&self) -> [Option<EventId>; 2] {
        [self.opening_event, self.run_event]
    }
}

impl Shared {
    /// Gives a context `group`, if it had it in an earlier life and it fits: the group's events, and
    /// how its connections were registered then.
    fn reclaim(
        &mut self,
        group: u32,
        owner: Owner,
        (port, page): (Option<u16>, &mut Option<Box<Page>>),
        settings: &TcpSettings,
        (register, pool): (Arc<Register>, &'static Pool),
    ) -> Result<Option<Reclaimed>, Error> {
        let room = self.records.room(group);
        let Some(orphan) = self.groups.get_mut(group as usize) else { return Ok(None) };
        let buffers = |of: &TcpSettings| (of.receive_buffer, of.send_buffer, of.queue, of.memory);
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
        self.priorities.add(settings.priority);
        (orphan.owner, orphan.orphaned, orphan.listening) = (owner, false, port.is_some());
        orphan.settings = *settings;
        if settings.memory == BufferMemory::OnDemand {
            orphan.pool = pool;
        }
        orphan.patience = Patience::of(settings);
        let before = core::mem::replace(&mut orphan.register, register);
        Ok(Some((orphan.events(), before)))
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
        self.priorities.add(settings.priority);
        (orphan.owner, orphan.orphaned, orphan.priority) = (owner, false, settings.priority);
        orphan.queue.set_limit(limit);
        Ok(true)
    }

    /// Frames that a socket may have waiting.
    pub(crate) fn socket_queue(&self, settings: UdpSettings) -> u16 {
        let share = u16::try_from(self.share).unwrap_or(u16::MAX);
        settings.receive_queue.min(share.max(1))
    }
}
