//! What goes to a peer: messages into pages, and parcels one after the other to the connection.

use crate::endpoint_core::{Core, Remains, Timer, Work};
use crate::error::Error;
use crate::event::{Event, Role, Socket};
use crate::link::{Link, LinkId, Parcel, Posted, Source};
use crate::outgoing::{UnderWay, Waiting};
use crate::page::Page;
use crate::record::{Header, Kind};
use crate::state::{Phase, State};
use alloc::boxed::Box;
use reflex_memory::Lent;

/// A page that a message is to be appended to.
pub(crate) struct Begun {
    pub(crate) link: LinkId,
    pub(crate) page: Page,
}

impl Core {
    /// Takes the page that a message of a socket's goes to. It is to be given to [`finish`](Self::finish).
    #[inline]
    pub(crate) fn begin(&mut self, socket: Socket, length: usize) -> Result<Begun, Error> {
        let link = self.link_of(socket)?;
        let state = self.open(socket)?;
        if state.phase != Phase::Up {
            return Err(Error::NotConnected);
        }
        let Some(out) = &mut state.out else { return Err(Error::NotConnected) };
        let begun = out.begin(length);
        let has_room = out.has_room();
        if state.role == Role::Subscriber && !has_room {
            self.roomless.set(socket.slot, true);
        }
        match begun {
            Ok(page) => Ok(Begun { link, page }),
            Err(Error::Again) => {
                self.counters.again += 1;
                // A page that it did not fit in is sent.
                self.work.push_back(Work::Pump(socket.slot));
                Err(Error::Again)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a page back that a message has been appended to. True if there is something to be done now.
    ///
    /// # Errors
    /// [`Error::NotConnected`]: the connection has gone meanwhile.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        Begun { link, page }: Begun,
        was_empty: bool,
    ) -> Result<bool, Error> {
        let patience = self.settings.patience;
        let Some(out) = self.at(link).and_then(|state| state.out.as_mut()) else {
            let parcel = Parcel::Page { bytes: page.bytes, used: 0 };
            self.discard(Remains { parcel: Some(parcel), ..Remains::default() });
            return Err(Error::NotConnected);
        };
        let first = out.finish(page, was_empty);
        let ready = out.has_ready();
        self.counters.sent += 1;
        if first {
            self.work.push_back(Work::Arm(Timer::Flush(link.slot), patience));
        }
        let speaks = self.place(link.slot).is_some_and(|state| !state.controls.is_empty());
        if speaks {
            self.speak(link.slot);
        }
        self.close_if_done(link.slot);
        Ok(first || ready || speaks)
    }

    /// Has what was taken be sent now.
    pub(crate) fn flush(&mut self, socket: Socket) -> Result<(), Error> {
        if let Some(out) = &mut self.open(socket)?.out {
            out.flush();
            self.work.push_back(Work::Pump(socket.slot));
        }
        Ok(())
    }

    /// As [`flush`](Self::flush), of what that publisher has for a subscriber in that place.
    pub(crate) fn flush_subscriber(&mut self, publisher: usize, slot: u16) {
        let of =
            |state: &&mut State| state.role == Role::Subscriber && state.publisher == publisher;
        if let Some(out) = self.place(slot).filter(of).and_then(|state| state.out.as_mut()) {
            out.flush();
            self.work.push_back(Work::Pump(slot));
        }
    }

    /// Puts an unbuffered message behind all that was taken.
    pub(crate) fn add_unbuffered(
        &mut self,
        socket: Socket,
        (place, tag, length): (u16, u64, usize),
        source: Source,
    ) -> Result<(), Error> {
        let state = self.open(socket)?;
        if state.phase != Phase::Up {
            return Err(Error::NotConnected);
        }
        let Some(out) = &mut state.out else { return Err(Error::NotConnected) };
        let mut header = match out.begin_unbuffered(length) {
            Ok(header) => header,
            Err(error) => {
                self.counters.again += u64::from(error == Error::Again);
                return Err(error);
            }
        };
        Header { kind: Kind::Message, tag, length }.emit(&mut header);
        let parcel = Parcel::Unbuffered { header, source };
        out.push(Waiting { parcel, note: UnderWay::Unbuffered(place) });
        self.counters.sent += 1;
        self.fanouts.add(place);
        self.work.push_back(Work::Pump(socket.slot));
        Ok(())
    }

    /// The next parcel of a connection, and the connection to post it to, which is to be given to
    /// [`posted`](Self::posted).
    #[inline]
    pub(crate) fn next_parcel(&mut self, slot: u16) -> Option<(LinkId, Box<dyn Link>, Parcel)> {
        let at = self.link(slot);
        let state = self.place(slot)?;
        if state.in_hand {
            state.again = true;
            return None;
        }
        let connected = !matches!(state.phase, Phase::Idle | Phase::Connecting);
        let out = state.out.as_mut().filter(|_| connected && !state.over)?;
        let parcel = out.next()?;
        let Some(link) = state.link.take() else {
            out.undo(parcel);
            return None;
        };
        (state.in_hand, state.again, state.spoke) = (true, false, true);
        Some((at, link, parcel))
    }

    /// Puts a connection back, with what has become of the parcel. True if there is more to be done.
    #[inline]
    pub(crate) fn posted(&mut self, at: LinkId, link: Box<dyn Link>, posted: Posted) -> bool {
        let Some(state) = self.at(at) else {
            let parcel = match posted {
                Posted::UnderWay => None,
                Posted::Done(bytes) => Some(Parcel::Page { bytes, used: 0 }),
                Posted::Later(parcel) | Posted::Over(parcel) => Some(parcel),
            };
            self.discard(Remains { link: Some(link), parcel, ..Remains::default() });
            return true;
        };
        (state.link, state.in_hand) = (Some(link), false);
        match posted {
            Posted::UnderWay => {
                self.close_if_done(at.slot);
                true
            }
            Posted::Done(bytes) => {
                self.returned(at, bytes);
                true
            }
            Posted::Later(parcel) => {
                let again = state.again;
                if let Some(out) = &mut state.out {
                    out.undo(parcel);
                }
                again
            }
            Posted::Over(parcel) => {
                state.over = true;
                self.discard(Remains { parcel: Some(parcel), ..Remains::default() });
                true
            }
        }
    }

    /// Puts a connection back that something else was done with.
    pub(crate) fn put_back(&mut self, at: LinkId, link: Box<dyn Link>) {
        match self.at(at) {
            Some(state) => {
                (state.link, state.in_hand) = (Some(link), false);
                if core::mem::take(&mut state.again) {
                    self.work.push_back(Work::Pump(at.slot));
                }
            }
            None => self.discard(Remains { link: Some(link), ..Remains::default() }),
        }
    }

    /// Takes a connection, for something else than to post to it.
    pub(crate) fn take_link(&mut self, at: LinkId) -> Option<Box<dyn Link>> {
        let state = self.at(at).filter(|state| !state.in_hand)?;
        let link = state.link.take()?;
        state.in_hand = true;
        Some(link)
    }

    /// The oldest parcel under way has been sent, and its memory is back. What is not wanted is returned.
    #[inline]
    pub(crate) fn returned(&mut self, at: LinkId, bytes: Lent<[u8]>) {
        let socket = self.socket(at.slot);
        let Some(state) = self.at(at) else {
            let parcel = Parcel::Page { bytes, used: 0 };
            return self.discard(Remains { parcel: Some(parcel), ..Remains::default() });
        };
        let Some(out) = &mut state.out else { return };
        let note = out.returned(bytes);
        let wanted = core::mem::take(&mut out.wanted);
        let full = !out.has_room();
        let dropped = if full { None } else { state.dropped.take() };
        let State { role, phase, .. } = *state;
        let speaks = !state.controls.is_empty();
        if role == Role::Subscriber {
            self.roomless.set(at.slot, full);
        }
        match note {
            Some(UnderWay::Unbuffered(place)) => {
                self.fanouts.done(place, true, &mut self.events);
            }
            Some(UnderWay::Page(_)) => self.counters.pages += 1,
            None => {}
        }
        if let Some(dropped) = dropped {
            self.events.push_back(Event::CaughtUp { socket, dropped });
        }
        if wanted && phase == Phase::Up {
            self.events.push_back(Event::Room { socket });
        }
        if speaks {
            self.speak(at.slot);
        }
        self.close_if_done(at.slot);
    }
}
