//! Unbuffered messages under way, each to one link or to several.

use crate::event::{Event, Socket};
use crate::link::Registered;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

struct Fanout {
    id: u64,
    /// Links that it is on its way to, and one while it is still being handed out.
    left: u16,
    delivered: u16,
    lost: u16,
    /// Its memory, which stays until then.
    memory: Arc<dyn Registered>,
}

/// Unbuffered messages under way.
pub(crate) struct Fanouts {
    places: Vec<Option<Fanout>>,
    /// The socket that was refused for the want of a place.
    pub(crate) wanted: Option<Socket>,
    /// Memory that is needed no longer, to be dropped outside of sections.
    pub(crate) released: VecDeque<Arc<dyn Registered>>,
}

impl Fanouts {
    pub(crate) fn new(most: u16) -> Self {
        let mut places = Vec::with_capacity(usize::from(most));
        places.resize_with(usize::from(most), || None);
        let released = VecDeque::with_capacity(usize::from(most));
        Self { places, wanted: None, released }
    }

    /// A place for a message, which is to be [settled](Self::settle) when it has been handed out.
    pub(crate) fn begin(&mut self, id: u64, memory: Arc<dyn Registered>) -> Option<u16> {
        let at = self.places.iter().position(Option::is_none)?;
        self.places[at] = Some(Fanout { id, left: 1, delivered: 0, lost: 0, memory });
        Some(at as u16)
    }

    /// It is on its way to one link more.
    pub(crate) fn add(&mut self, place: u16) {
        if let Some(Some(fanout)) = self.places.get_mut(usize::from(place)) {
            fanout.left += 1;
        }
    }

    /// It has been sent by a link, or has been lost with it.
    pub(crate) fn done(&mut self, place: u16, sent: bool, events: &mut VecDeque<Event<'static>>) {
        if let Some(Some(fanout)) = self.places.get_mut(usize::from(place)) {
            if sent {
                fanout.delivered += 1;
            } else {
                fanout.lost += 1;
            }
        }
        self.settle(place, events);
    }

    /// One less has it in hand; when nobody has, that is told.
    pub(crate) fn settle(&mut self, place: u16, events: &mut VecDeque<Event<'static>>) {
        let Some(slot) = self.places.get_mut(usize::from(place)) else { return };
        let Some(fanout) = slot else { return };
        fanout.left -= 1;
        if fanout.left > 0 {
            return;
        }
        if let Some(Fanout { id, delivered, lost, memory, .. }) = slot.take() {
            events.push_back(Event::Sent { id, delivered, lost });
            self.released.push_back(memory);
        }
        if let Some(socket) = self.wanted.take() {
            events.push_back(Event::Room { socket });
        }
    }

    /// It was refused: nothing is told.
    pub(crate) fn cancel(&mut self, place: u16) {
        let fanout = self.places.get_mut(usize::from(place)).and_then(Option::take);
        fanout.into_iter().for_each(|fanout| self.released.push_back(fanout.memory));
    }
}
