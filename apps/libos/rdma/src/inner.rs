//! What the applications' half of the port and the half beside the IP stack have in common.

use crate::Error;
use crate::command::Command;
use crate::limits::Limits;
use crate::shared::Shared;
use crate::table::{Handle, Table};
use alloc::boxed::Box;
use core::net::IpAddr;
use reflex_event::{Ceiling, EventId, Kernel, Owner, Priority, TimerId};
use reflex_rdma_device::{Lookup, Regions};
use reflex_rdma_wire::{Gid, PathMtu};
use spin::Once;

/// Where the port works: beside the IP stack, which has the events that it registers run in its
/// context.
pub trait Place<K: Kernel>: Send + Sync {
    /// Registers an event that has the [`Port`](crate::Port) run under `number` when it occurs.
    ///
    /// # Errors
    /// Those of registering.
    fn event(&self, priority: Priority, number: u32) -> Result<EventId, reflex_event::Error>;

    /// Ends such an event, of that priority.
    fn end(&self, event: EventId, priority: Priority);
}

pub(crate) struct Inner<K: Kernel> {
    pub(crate) kernel: K,
    pub(crate) limits: Limits,
    /// Largest payload of a packet.
    pub(crate) mtu: PathMtu,
    pub(crate) shared: Ceiling<Shared>,
    pub(crate) place: Once<Started<K>>,
}

pub(crate) struct Started<K: Kernel> {
    pub(crate) place: Box<dyn Place<K>>,
    pub(crate) events: Events,
}

/// The port's own events.
#[derive(Clone, Copy)]
pub(crate) struct Events {
    pub(crate) control: EventId,
    pub(crate) connections: TimerId,
    pub(crate) owner_gone: EventId,
}

/// Under what the port's own events run; lower numbers are queue pairs.
pub(crate) const CONTROL: u32 = 1 << 16;
pub(crate) const CONNECTIONS: u32 = CONTROL + 1;
pub(crate) const OWNER_GONE: u32 = CONTROL + 2;

/// Commands that may wait.
pub(crate) const COMMANDS: usize = 1 << 11;

impl<K: Kernel> Inner<K> {
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Shared) -> R) -> R {
        self.shared.with(&self.kernel, work)
    }

    pub(crate) fn place(&self) -> Result<&dyn Place<K>, Error> {
        self.place.get().map(|started| &*started.place).ok_or(Error::NotStarted)
    }

    pub(crate) fn events(&self) -> Result<Events, Error> {
        self.place.get().map(|started| started.events).ok_or(Error::NotStarted)
    }

    /// Activates an event of ours. It can only be refused when its registration has ended, and then
    /// there is nobody to tell.
    #[inline]
    pub(crate) fn activate(&self, event: EventId) {
        let _ = self.kernel.activate(event, 1);
    }

    /// Ends a registration of an application's. It may have ended with its context.
    pub(crate) fn unregister(&self, event: EventId) {
        let _ = self.kernel.unregister(event);
    }

    /// Puts what a context owns into a table.
    pub(crate) fn insert<T>(
        &self,
        owner: Owner,
        table: impl FnOnce(&mut Shared) -> &mut Table<T>,
        entry: T,
    ) -> Result<Handle, Error> {
        let handle = self.with(|shared| table(shared).insert(entry));
        let handle = handle.map_err(|_| Error::LimitReached)?;
        if !owner.is_alive(&self.kernel) {
            // It has been given up meanwhile, and the search for what it owned may be over.
            self.activate(self.events()?.owner_gone);
        }
        Ok(handle)
    }

    /// Has the port carry out the command that `make` makes in a section, after those before it. When
    /// that refuses, it is to have changed nothing.
    pub(crate) fn command(
        &self,
        make: impl FnOnce(&mut Shared) -> Result<Command, Error>,
    ) -> Result<(), Error> {
        let control = self.events()?.control;
        self.kernel.guarded(|| {
            self.with(|shared| {
                if shared.commands.len() == COMMANDS {
                    return Err(Error::QueueFull);
                }
                let command = make(shared)?;
                shared.commands.push_back(command);
                Ok(())
            })?;
            self.activate(control);
            Ok(())
        })
    }

    /// Our address on the network of `remote`: of its family, and of the same reach.
    pub(crate) fn local(&self, remote: IpAddr) -> Option<Gid> {
        let near = |address: &IpAddr| match address {
            IpAddr::V6(address) => address.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        };
        self.with(|shared| {
            let own = shared
                .addresses
                .iter()
                .find(|own| own.is_ipv4() == remote.is_ipv4() && near(own) == near(&remote));
            own.map(|own| Gid::from(*own))
        })
    }
}

impl<K: Kernel> Lookup for Inner<K> {
    #[inline]
    fn regions<R>(&self, work: impl FnOnce(&mut Regions) -> R) -> R {
        self.with(|shared| work(&mut shared.regions))
    }
}
