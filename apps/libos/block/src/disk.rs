//! Disks, as applications have them.

use crate::name::Name;
use crate::state::{State, disk};
use crate::{Device, Error, Failure, Refused, Request};
use reflex_event::Kernel;
use reflex_hil::BlockInfo;

/// A disk, or a partition of one: a context's right to its sectors. Dropping it closes it: what waits is given up,
/// what the device has is done, and the handler is told of nothing any more.
pub struct Disk<K: Kernel> {
    device: Device<K>,
    /// Its place, and which of all disks there have been it is.
    at: u16,
    number: u64,
}

/// The name of a request that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    slot: u16,
    generation: u32,
}

impl<K: Kernel> Disk<K> {
    pub(crate) fn new(device: Device<K>, at: u16, number: u64) -> Self {
        Self { device, at, number }
    }

    /// What it is like: the device, with the size and the rights of this disk.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn info(&self) -> Result<BlockInfo, Error> {
        self.with(|state, this| Ok(disk(&mut state.disks, this.at, this.number)?.info))
    }

    /// Requests that may be submitted now.
    pub fn room(&self) -> usize {
        self.with(|state, this| {
            let disk = disk(&mut state.disks, this.at, this.number);
            disk.map_or(0, |disk| usize::from(disk.depth - disk.used))
        })
    }

    /// Takes a request, which is given to the device at once if that has room. It completes by the disk's handler.
    ///
    /// # Errors
    /// The request, with [`Error::QueueFull`], [`Error::Closed`], or [`Error::Disk`] when the disk cannot do that.
    #[expect(clippy::result_large_err, reason = "what was refused goes back as it came")]
    pub fn submit(&self, request: Request) -> Result<Ticket, Refused> {
        let inner = &self.device.0;
        inner.kernel.guarded(|| {
            let (ticket, more) = self.take(request, true)?;
            if more {
                inner.feed();
            }
            Ok(ticket)
        })
    }

    /// [`submit`](Self::submit)s several, of which the device is told by one notification: how many were taken, and
    /// the first that was refused. Those behind it are not looked at.
    #[expect(clippy::result_large_err, reason = "what was refused goes back as it came")]
    pub fn submit_all(
        &self,
        requests: impl IntoIterator<Item = Request>,
    ) -> (usize, Option<Refused>) {
        let inner = &self.device.0;
        let (mut taken, mut refused) = (0, None);
        for request in requests {
            match inner.kernel.guarded(|| self.take(request, false)) {
                Ok(_) => taken += 1,
                Err(request) => {
                    refused = Some(request);
                    break;
                }
            }
        }
        inner.kernel.guarded(|| inner.feed());
        (taken, refused)
    }

    /// Takes a request, and gives the device one that waits; it is told of that if `notify` says so. True when it may
    /// be given more. To be called guarded.
    #[inline]
    #[expect(clippy::result_large_err, reason = "what was refused goes back as it came")]
    fn take(&self, request: Request, notify: bool) -> Result<(Ticket, bool), Refused> {
        let inner = &self.device.0;
        let now = inner.kernel.now();
        let mut request = Some(request);
        let taken = inner.with(|state| {
            let (name, alarm) = state.take(self.at, self.number, &mut request, now)?;
            let generation = state.slots.at(name).generation;
            let (more, after) = state.feed();
            if notify {
                state.device.notify();
            }
            Ok((Ticket { slot: name.slot, generation }, alarm, more, after))
        });
        match (taken, request) {
            (Ok((ticket, alarm, more, after)), _) => {
                inner.set_alarm(alarm);
                inner.follow(after);
                Ok((ticket, more))
            }
            (Err(error), Some(request)) => Err(Refused { error, request }),
            // What is refused has not been touched.
            (Err(error), None) => Err(Refused { error, request: Request::flush() }),
        }
    }

    /// Ends a request: it completes as [`Failure::Cancelled`], with its memory if the device has not got it yet.
    ///
    /// # Errors
    /// [`Error::Gone`] when it is complete, [`Error::Closed`].
    pub fn cancel(&self, ticket: Ticket) -> Result<(), Error> {
        let inner = &self.device.0;
        inner.kernel.guarded(|| {
            let after = self.with(|state, this| {
                disk(&mut state.disks, this.at, this.number)?;
                let name = Name { disk: this.at, slot: ticket.slot };
                let slot = state.slots.get_mut(name);
                slot.filter(|slot| slot.generation == ticket.generation).ok_or(Error::Gone)?;
                state.give_up(name, Failure::Cancelled)
            })?;
            inner.follow(after);
            Ok(())
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut State, &Self) -> R) -> R {
        self.device.0.with(|state| work(state, self))
    }
}

impl<K: Kernel> Drop for Disk<K> {
    fn drop(&mut self) {
        let closed = self.with(|state, this| {
            let disk = disk(&mut state.disks, this.at, this.number);
            disk.map(|disk| disk.closed = true).is_ok()
        });
        if closed {
            self.device.0.sweep_soon();
        }
    }
}
