//! Listeners: for which service each is, and how many requests wait for it.

use super::index::Index;
use super::{Error, Listen};
use alloc::boxed::Box;
use alloc::vec;
use reflex_rdma_wire::cm::ServiceId;

/// The name of a listener.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ListenerId {
    slot: u16,
    /// How often the slot was used before.
    uses: u32,
}

#[derive(Clone, Copy, Debug)]
struct Listener {
    listen: Option<Listen>,
    uses: u32,
    waiting: u16,
}

#[derive(Debug)]
pub(super) struct Listeners {
    slots: Box<[Listener]>,
    by_service: Index<ServiceId>,
}

impl Listeners {
    pub(super) fn new(slots: u16, secret: &[u8; 16]) -> Self {
        let slots = usize::from(slots);
        let free = Listener { listen: None, uses: 0, waiting: 0 };
        Self { slots: vec![free; slots].into_boxed_slice(), by_service: Index::new(slots, secret) }
    }

    pub(super) fn open(&mut self, listen: &Listen) -> Result<ListenerId, Error> {
        if self.by_service.find(&listen.service).is_some() {
            return Err(Error::ServiceTaken);
        }
        let free = self.slots.iter().position(|it| it.listen.is_none());
        let slot = free.ok_or(Error::ListenersFull)?;
        let listener = &mut self.slots[slot];
        (listener.listen, listener.waiting) = (Some(*listen), 0);
        let uses = listener.uses;
        self.by_service.insert(slot, listen.service);
        Ok(ListenerId { slot: slot as u16, uses })
    }

    pub(super) fn close(&mut self, id: ListenerId) -> Result<(), Error> {
        let listener = self.get_mut(id).ok_or(Error::UnknownListener)?;
        listener.listen = None;
        listener.uses = listener.uses.wrapping_add(1);
        self.by_service.remove(usize::from(id.slot));
        Ok(())
    }

    /// The listener for that service.
    pub(super) fn find(&self, service: ServiceId) -> Option<(ListenerId, Listen)> {
        let slot = self.by_service.find(&service)?;
        let listener = self.slots[slot];
        Some((ListenerId { slot: slot as u16, uses: listener.uses }, listener.listen?))
    }

    /// Takes a place in the backlog. False when there is none.
    pub(super) fn join_backlog(&mut self, id: ListenerId) -> bool {
        match self.get_mut(id) {
            Some(Listener { listen: Some(listen), waiting, .. }) if *waiting < listen.backlog => {
                *waiting += 1;
                true
            }
            _ => false,
        }
    }

    /// Gives a place back. A listener that was closed meanwhile has none.
    pub(super) fn leave_backlog(&mut self, id: ListenerId) {
        if let Some(listener) = self.get_mut(id) {
            listener.waiting -= 1;
        }
    }

    /// Requests that wait.
    pub(super) fn waiting(&self, id: ListenerId) -> Option<u16> {
        let listener = self.slots.get(usize::from(id.slot))?;
        (listener.uses == id.uses && listener.listen.is_some()).then_some(listener.waiting)
    }

    fn get_mut(&mut self, id: ListenerId) -> Option<&mut Listener> {
        let listener = self.slots.get_mut(usize::from(id.slot))?;
        (listener.uses == id.uses && listener.listen.is_some()).then_some(listener)
    }
}
