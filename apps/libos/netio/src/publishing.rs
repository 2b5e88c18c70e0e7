//! What is handed to subscribers, and what they ask for.

use crate::Tags;
use crate::asking::UNANSWERED;
use crate::endpoint_core::{Core, End};
use crate::error::Error;
use crate::event::{Down, Event, Role};
use crate::link::LinkId;
use crate::publisher::Slow;
use crate::record::{Kind, Malformed};
use crate::slots::Slots;
use crate::state::{Control, Phase};

/// The links that a message is to be handed to.
pub(crate) struct Audience(pub(crate) Slots);

impl Core {
    /// The links that a message goes to, of those that have asked for it: until [`handed_out`](Self::handed_out) nothing
    /// else is published there.
    #[inline]
    pub(crate) fn audience(
        &mut self,
        publisher: usize,
        tag: u64,
        unbuffered: bool,
    ) -> Result<Audience, Error> {
        let of = self.publishers.get_mut(publisher).ok_or(Error::Gone)?;
        if of.busy {
            return Err(Error::Busy);
        }
        let (all, slow) = (of.subscriptions.audience(tag), of.slow);
        let late = self.late(all, unbuffered);
        if !late.is_empty() {
            self.attend(late, slow)?;
        }
        self.publishers[publisher].busy = true;
        Ok(Audience(all.without(late)))
    }

    /// Those that have no room.
    #[inline]
    fn late(&mut self, all: Slots, unbuffered: bool) -> Slots {
        if !unbuffered {
            return all.and(self.roomless);
        }
        let mut late = Slots::default();
        for slot in all {
            let out = self.place(slot).and_then(|state| state.out.as_ref());
            late.set(slot, !out.is_some_and(|out| out.has_header()));
        }
        late
    }

    /// Does about slow subscribers what is to be done.
    fn attend(&mut self, late: Slots, slow: Slow) -> Result<(), Error> {
        for slot in late {
            let (socket, link) = (self.socket(slot), self.link(slot));
            let Some(state) = self.place(slot) else { continue };
            if let Some(out) = &mut state.out {
                out.wanted = true;
            }
            match slow {
                Slow::Wait => {}
                Slow::Drop => {
                    self.counters.dropped += 1;
                    let Some(state) = self.place(slot) else { continue };
                    let dropped = state.dropped.unwrap_or(0);
                    if state.dropped.replace(dropped + 1).is_none() {
                        self.events.push_back(Event::Slow { socket });
                    }
                }
                Slow::Disconnect => self.lost(link, End::Down(Down::Slow)),
            }
        }
        if slow == Slow::Wait {
            self.counters.again += 1;
            return Err(Error::Again);
        }
        Ok(())
    }

    /// A message has been handed out.
    #[inline]
    pub(crate) fn handed_out(&mut self, publisher: usize) {
        if let Some(publisher) = self.publishers.get_mut(publisher) {
            publisher.busy = false;
        }
    }

    /// A subscriber asks for something, or wants it no longer.
    pub(crate) fn asked(&mut self, link: LinkId, kind: Kind, tags: Tags) -> Result<(), End> {
        let (slot, socket) = (link.slot, self.socket(link.slot));
        let limit = usize::from(self.settings.subscriptions.0);
        let Some(state) = self.at(link) else { return Ok(()) };
        if state.role != Role::Subscriber || state.phase != Phase::Up {
            return Err(End::Down(Down::Malformed(Malformed::Kind)));
        }
        if state.controls.len() >= UNANSWERED {
            return Err(End::Down(Down::Flood));
        }
        let (full, publisher) = (state.granted.len() == limit, state.publisher);
        let publisher = &mut self.publishers[publisher];
        let (answer, told) = match kind {
            Kind::Unsubscribe => {
                let had = publisher.subscriptions.remove(tags, slot);
                let told = had.then_some(Event::Unsubscribed { socket, tags });
                (Kind::Unsubscribed, told)
            }
            _ if !publisher.offers(tags) => (Kind::Declined, None),
            _ => match publisher.subscriptions.add(tags, slot) {
                Ok(true) if full => {
                    publisher.subscriptions.remove(tags, slot);
                    (Kind::Declined, None)
                }
                Ok(true) => (Kind::Subscribed, Some(Event::Subscribed { socket, tags })),
                Ok(false) => (Kind::Subscribed, None),
                Err(_) => (Kind::Declined, None),
            },
        };
        let Some(state) = self.at(link) else { return Ok(()) };
        match told {
            Some(Event::Subscribed { .. }) => state.granted.push(tags),
            Some(_) => state.granted.retain(|other| *other != tags),
            None => {}
        }
        state.controls.push_back(Control::About(answer, tags));
        self.events.extend(told);
        self.speak(slot);
        Ok(())
    }
}
