//! All that an endpoint knows: its sockets, its publishers, what is to be told and what is to be done. It touches no
//! connection and no clock; each call is a short section, and leaves [`Work`] behind.

use crate::error::Error;
use crate::event::{Down, Event, Refusal, Role, Socket};
use crate::fanout::Fanouts;
use crate::link::{Link, LinkId, Parcel};
use crate::outgoing::Outgoing;
use crate::publisher::Publisher;
use crate::record::Kind;
use crate::settings::Settings;
use crate::slots::Slots;
use crate::state::{Control, Phase, State};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// A deadline's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// The page that is being filled is sent.
    Flush(u16),
    /// Whatever the connection's phase waits for.
    Phase(u16),
    /// Signs of life.
    Beat,
}

impl Timer {
    pub(crate) fn into_key(self) -> u64 {
        match self {
            Self::Beat => 0,
            Self::Flush(slot) => 2 * u64::from(slot) + 2,
            Self::Phase(slot) => 2 * u64::from(slot) + 3,
        }
    }

    pub(crate) fn from_key(key: u64) -> Self {
        match key.checked_sub(2) {
            None => Self::Beat,
            Some(rest) if rest % 2 == 0 => Self::Flush((rest / 2) as u16),
            Some(rest) => Self::Phase((rest / 2) as u16),
        }
    }
}

/// What is to be done outside of sections.
pub(crate) enum Work {
    /// A deadline is to be set.
    Arm(Timer, Duration),
    /// As above, with up to a quarter more by chance.
    ArmLoosely(Timer, Duration),
    /// A connection is to be begun.
    Dial(LinkId, SocketAddr),
    /// There are parcels to be posted.
    Pump(u16),
    /// There is more to be said.
    Speak(u16),
    /// The connection is to be closed, as all has been sent.
    Close(u16),
    /// The signs of life of that link and the next ones.
    Beat(u16),
    /// Something is to be dropped.
    Drop(Remains),
}

/// What is left of a connection, to be dropped outside of sections.
#[derive(Default)]
pub(crate) struct Remains {
    /// It is to be ended before, unless that has happened.
    pub(crate) link: Option<Box<dyn Link>>,
    /// The peer has closed it: what is on its way to it may still arrive.
    pub(crate) gently: bool,
    pub(crate) out: Option<Box<Outgoing>>,
    pub(crate) state: Option<Box<State>>,
    pub(crate) parcel: Option<Parcel>,
}

impl Remains {
    /// Ends the connection, and drops all.
    pub(crate) fn end(self) {
        let Self { link, gently, out, state, parcel } = self;
        if let Some(mut link) = link {
            if gently { link.close() } else { link.abort() }
        }
        drop((out, state, parcel));
    }
}

/// How a connection has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Down(Down),
    Refused(Refusal),
}

/// A place for a socket.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) generation: u16,
    pub(crate) epoch: u32,
    pub(crate) state: Option<Box<State>>,
}

/// What has been counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Messages that were taken to be sent, one for each link.
    pub sent: u64,
    /// Messages that were handed to the handler.
    pub received: u64,
    /// Pages that were sent.
    pub pages: u64,
    /// Calls that were refused with [`Error::Again`].
    pub again: u64,
    /// Messages that slow subscribers were not sent.
    pub dropped: u64,
    /// Messages that were taken, and lost with their connection.
    pub lost: u64,
    /// Connections that stood.
    pub connections: u64,
    /// Of which were ended for what the peer sent.
    pub malformed: u64,
    /// Connections that were not accepted.
    pub refused: u64,
}

pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) places: Vec<Place>,
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) fanouts: Fanouts,
    /// Subscribers without a free page.
    pub(crate) roomless: Slots,
    pub(crate) events: VecDeque<Event<'static>>,
    pub(crate) work: VecDeque<Work>,
    pub(crate) counters: Counters,
    /// The deadline of the signs of life is set.
    beating: bool,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Self {
        let links = usize::from(settings.links);
        let mut places = Vec::with_capacity(links);
        places.resize_with(links, Place::default);
        Self {
            settings,
            places,
            publishers: Vec::new(),
            fanouts: Fanouts::new(settings.unbuffered),
            roomless: Slots::default(),
            events: VecDeque::with_capacity(4 * links + usize::from(settings.unbuffered)),
            work: VecDeque::with_capacity(4 * links),
            counters: Counters::default(),
            beating: false,
        }
    }

    /// The socket that has this connection now.
    #[inline]
    pub(crate) fn at(&mut self, link: LinkId) -> Option<&mut State> {
        let place = self.places.get_mut(usize::from(link.slot))?;
        if place.epoch != link.epoch { None } else { place.state.as_deref_mut() }
    }

    /// The socket of that name.
    #[inline]
    pub(crate) fn open(&mut self, socket: Socket) -> Result<&mut State, Error> {
        let place = self.places.get_mut(usize::from(socket.slot)).ok_or(Error::Gone)?;
        if place.generation != socket.generation {
            return Err(Error::Gone);
        }
        place.state.as_deref_mut().ok_or(Error::Gone)
    }

    /// The socket in that place.
    #[inline]
    pub(crate) fn place(&mut self, slot: u16) -> Option<&mut State> {
        self.places.get_mut(usize::from(slot))?.state.as_deref_mut()
    }

    pub(crate) fn socket(&self, slot: u16) -> Socket {
        Socket { slot, generation: self.places[usize::from(slot)].generation }
    }

    pub(crate) fn link(&self, slot: u16) -> LinkId {
        LinkId { slot, epoch: self.places[usize::from(slot)].epoch }
    }

    /// Gives a socket a place; one that is to be connected from here is, at once.
    pub(crate) fn reserve(&mut self, state: Box<State>) -> Result<LinkId, Box<State>> {
        let Some(slot) = self.places.iter().position(|place| place.state.is_none()) else {
            self.counters.refused += u64::from(state.dial.is_none());
            return Err(state);
        };
        let slot = slot as u16;
        let dials = state.dial.is_some();
        self.places[usize::from(slot)].state = Some(state);
        if dials {
            self.dial(slot);
        } else {
            self.await_greeting(slot);
        }
        Ok(self.link(slot))
    }

    fn dial(&mut self, slot: u16) {
        let link = self.link(slot);
        let Some(state) = self.place(slot) else { return };
        let Some(to) = state.dial else { return };
        state.phase = Phase::Connecting;
        self.work.push_back(Work::Dial(link, to));
    }

    fn await_greeting(&mut self, slot: u16) {
        self.work.push_back(Work::Arm(Timer::Phase(slot), 4 * self.settings.beat));
    }

    /// What was begun for a place is there, or could not be.
    pub(crate) fn installed(
        &mut self,
        at: LinkId,
        made: Result<(Box<dyn Link>, Box<Outgoing>), Refusal>,
    ) {
        match (self.at(at), made) {
            (Some(state), Ok((link, out))) => {
                (state.link, state.out, state.in_hand) = (Some(link), Some(out), false);
                self.speak(at.slot);
            }
            (Some(_), Err(why)) => self.lost(at, End::Refused(why)),
            (None, Ok((link, out))) => {
                let (link, out) = (Some(link), Some(out));
                self.discard(Remains { link, out, ..Remains::default() });
            }
            (None, Err(_)) => {}
        }
    }

    /// A connection that was begun here stands: now the greetings.
    pub(crate) fn established(&mut self, link: LinkId) {
        let Some(state) = self.at(link).filter(|state| state.phase == Phase::Connecting) else {
            return;
        };
        state.phase = Phase::Greeting;
        state.controls.push_back(Control::Hello);
        self.await_greeting(link.slot);
        self.speak(link.slot);
    }

    /// Both sides have greeted.
    pub(crate) fn up(&mut self, slot: u16) {
        let socket = self.socket(slot);
        let Some(state) = self.place(slot) else { return };
        let role = state.role;
        let full =
            role == Role::Subscriber && !state.out.as_ref().is_some_and(|out| out.has_room());
        self.roomless.set(slot, full);
        self.counters.connections += 1;
        self.events.push_back(Event::Up { socket, role });
        if !core::mem::replace(&mut self.beating, true) {
            self.work.push_back(Work::Arm(Timer::Beat, self.settings.beat));
        }
        self.ask(slot);
        self.speak(slot);
    }

    /// Says what there is to be said, as far as there is room.
    pub(crate) fn speak(&mut self, slot: u16) {
        let settings = self.settings;
        let Some(state) = self.place(slot) else { return };
        let more = state.speak(&settings);
        let full = state.out.as_ref().is_some_and(|out| !out.has_room());
        if state.role == Role::Subscriber && full {
            self.roomless.set(slot, true);
        }
        if more {
            self.work.push_back(Work::Speak(slot));
        }
        self.work.push_back(Work::Pump(slot));
    }

    /// A connection is over, or did not come about.
    pub(crate) fn lost(&mut self, at: LinkId, end: End) {
        let socket = self.socket(at.slot);
        let Some(state) = self.at(at) else { return };
        let (phase, role, publisher) = (state.phase, state.role, state.publisher);
        let was_up = matches!(phase, Phase::Up | Phase::Closing { was_up: true });
        let dials = state.dial.is_some();
        if dials {
            state.attempts = state.attempts.saturating_add(1);
        }
        let attempts = state.attempts;
        let granted = core::mem::take(&mut state.granted);
        let (link, out) = state.reset();
        let mut lost = 0;
        if let Some(out) = &out {
            lost = out.unsent(|place| self.fanouts.done(place, false, &mut self.events));
        }
        if role == Role::Subscriber {
            self.roomless.set(at.slot, false);
            granted.iter().for_each(|tags| self.publishers[publisher].drop(*tags, at.slot));
        }
        let place = &mut self.places[usize::from(at.slot)];
        place.epoch = place.epoch.wrapping_add(1);
        let mut state = None;
        if !dials {
            state = place.state.take();
            place.generation = place.generation.wrapping_add(1);
        }
        self.counters.lost += u64::from(lost);
        let gently = was_up && end == End::Down(Down::Closed);
        self.discard(Remains { link, gently, out, state, parcel: None });
        self.tell_end(socket, end, was_up.then_some(lost), role);
        if dials {
            self.work.push_back(Work::ArmLoosely(Timer::Phase(at.slot), self.backoff(attempts)));
        }
    }

    /// Tells how a connection has ended, if anybody has heard of it.
    fn tell_end(&mut self, socket: Socket, end: End, lost: Option<u32>, role: Role) {
        let malformed = matches!(
            end,
            End::Down(Down::Malformed(_) | Down::Flood) | End::Refused(Refusal::Malformed(_))
        );
        self.counters.malformed += u64::from(malformed);
        let ours = matches!(role, Role::Sends | Role::Subscribes);
        self.counters.refused += u64::from(lost.is_none() && !ours);
        let event = match (lost, end) {
            (Some(lost), End::Down(why)) => Event::Down { socket, why, lost },
            (Some(lost), End::Refused(_)) => Event::Down { socket, why: Down::Failed, lost },
            (None, End::Down(why @ Down::Closed)) if ours => Event::Down { socket, why, lost: 0 },
            (None, End::Refused(why)) if ours => Event::Refused { socket, why },
            (None, End::Down(Down::Malformed(what))) if ours => {
                Event::Refused { socket, why: Refusal::Malformed(what) }
            }
            (None, End::Down(_)) if ours => Event::Refused { socket, why: Refusal::Unanswered },
            _ => return,
        };
        self.events.push_back(event);
    }

    fn backoff(&self, attempts: u32) -> Duration {
        let (first, most) = self.settings.backoff;
        let doublings = attempts.saturating_sub(1).min(20);
        first.saturating_mul(1 << doublings).min(most)
    }

    /// A deadline has passed.
    pub(crate) fn expired(&mut self, timer: Timer) {
        match timer {
            Timer::Flush(slot) => {
                if let Some(out) = self.place(slot).and_then(|state| state.out.as_mut()) {
                    out.flush();
                    self.work.push_back(Work::Pump(slot));
                }
            }
            Timer::Phase(slot) => {
                let link = self.link(slot);
                match self.place(slot).map(|state| state.phase) {
                    Some(Phase::Idle) => self.dial(slot),
                    Some(Phase::Greeting) => self.lost(link, End::Refused(Refusal::Unanswered)),
                    Some(Phase::Closing { .. }) => self.lost(link, End::Down(Down::Failed)),
                    Some(Phase::Up) if self.is_over(slot) => {
                        self.lost(link, End::Down(Down::Closed))
                    }
                    Some(Phase::Connecting | Phase::Up) | None => {}
                }
            }
            Timer::Beat => self.work.push_back(Work::Beat(0)),
        }
    }

    /// The connection takes nothing more. What has come is still to be handed over; then its end is told, and in the
    /// time of a beat at the latest.
    pub(crate) fn disconnected(&mut self, link: LinkId) {
        let Some(state) = self.at(link) else { return };
        state.over = true;
        match state.phase {
            Phase::Up => {
                self.work.push_back(Work::Arm(Timer::Phase(link.slot), self.settings.beat));
            }
            Phase::Closing { .. } => self.lost(link, End::Down(Down::Closed)),
            _ => self.lost(link, End::Refused(Refusal::Refused)),
        }
    }

    fn is_over(&mut self, slot: u16) -> bool {
        self.place(slot).is_some_and(|state| state.over)
    }

    pub(crate) fn discard(&mut self, remains: Remains) {
        self.work.push_back(Work::Drop(remains));
    }

    /// Gives a sign of life where nothing else was said, and looks for the peer's.
    pub(crate) fn beat(&mut self, slot: u16) {
        if usize::from(slot) == self.places.len() {
            self.beating = self.places.iter().any(|place| place.state.is_some());
            if self.beating {
                self.work.push_back(Work::Arm(Timer::Beat, self.settings.beat));
            }
            return;
        }
        self.work.push_back(Work::Beat(slot + 1));
        let link = self.link(slot);
        let Some(state) = self.place(slot).filter(|state| state.phase == Phase::Up) else { return };
        state.silent = if core::mem::take(&mut state.heard) { 0 } else { state.silent + 1 };
        if state.silent >= state.most_silent {
            return self.lost(link, End::Down(Down::Silent));
        }
        if !core::mem::take(&mut state.spoke) && state.controls.is_empty() {
            state.controls.push_back(Control::Beat);
            self.speak(slot);
        }
    }

    /// Ends a socket, once all that was taken has been sent.
    pub(crate) fn close(&mut self, socket: Socket) -> Result<(), Error> {
        let link = self.link_of(socket)?;
        let limit = 30 * self.settings.beat;
        let state = self.open(socket)?;
        state.dial = None;
        match state.phase {
            Phase::Up => {
                state.phase = Phase::Closing { was_up: true };
                if let Some(out) = &mut state.out {
                    out.flush();
                }
                self.work.push_back(Work::Arm(Timer::Phase(socket.slot), limit));
                self.work.push_back(Work::Pump(socket.slot));
                self.close_if_done(socket.slot);
            }
            Phase::Closing { .. } => {}
            Phase::Idle | Phase::Connecting | Phase::Greeting => {
                self.lost(link, End::Down(Down::Closed));
            }
        }
        Ok(())
    }

    /// Has a connection that is closing be closed, if all has been sent.
    pub(crate) fn close_if_done(&mut self, slot: u16) {
        let Some(state) = self.place(slot) else { return };
        let done = state.controls.is_empty() && state.out.as_ref().is_some_and(|out| out.is_done());
        if matches!(state.phase, Phase::Closing { .. }) && done {
            self.work.push_back(Work::Close(slot));
        }
    }

    pub(crate) fn link_of(&mut self, socket: Socket) -> Result<LinkId, Error> {
        self.open(socket)?;
        Ok(self.link(socket.slot))
    }

    /// Makes a subscription's next requests.
    pub(crate) fn ask(&mut self, slot: u16) {
        let Some(state) = self.place(slot) else { return };
        if state.phase != Phase::Up {
            return;
        }
        while let Some((kind, tags)) = state.asking.ask() {
            debug_assert!(matches!(kind, Kind::Subscribe | Kind::Unsubscribe));
            state.controls.push_back(Control::About(kind, tags));
        }
    }
}
