//! A free record on its way to its next connection: it may lack a registration with its owner's present life,
//! or an endpoint, if its own stays as it is for ever.

use crate::ip::endpoint::Endpoint;
use crate::table::handle::Net;
use crate::table::ready_list::Link;
use crate::table::tables::Shared;
use crate::types::error::Error;
use alloc::sync::Arc;
use reflex_event::Kernel;
use reflex_memory::Content;

impl<K: Kernel> Net<K> {
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
        let application = register(priority, index, slot)?;
        if let Some(events) = events {
            self.kernel().set_priority(events.segment, priority)?;
        }
        self.with(|shared| {
            let record = &mut shared.records[index];
            (record.life, record.priority) = (life, priority);
            record.telling = Link::NONE;
            if let Some(events) = &mut record.events {
                events.application = application;
            }
        });
        Ok(())
    }
}

impl Shared {
    /// What a free record lacks: a registration with its owner's present life, and an endpoint
    /// with memory that may be written to.
    fn lacks(&self, index: u32) -> (bool, bool) {
        let record = &self.records[index];
        let stale = record.life != self.groups[record.group as usize].life;
        (stale, record.endpoint.as_ref().is_some_and(|endpoint| endpoint.retired))
    }
}
