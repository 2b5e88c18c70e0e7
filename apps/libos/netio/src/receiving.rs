//! What comes from a peer.

use crate::Tags;
use crate::asking::Answer;
use crate::endpoint_core::{Core, End};
use crate::error::Error;
use crate::event::{Down, Event, Refusal, Role, Socket};
use crate::greeting::{Greeting, VERSION, reason};
use crate::link::LinkId;
use crate::record::{Kind, Malformed, Record};
use crate::state::{Control, Phase, refusal};

impl Core {
    /// A message has come: its socket, if messages may come there.
    #[inline]
    pub(crate) fn message(&mut self, link: LinkId) -> Option<Socket> {
        let state = self.at(link)?;
        let receives = matches!(state.role, Role::Receives | Role::Subscribes);
        let closing = matches!(state.phase, Phase::Closing { .. });
        if receives && state.phase == Phase::Up {
            state.heard = true;
            self.counters.received += 1;
            return Some(self.socket(link.slot));
        }
        // One that is closing has said that it wants no more.
        if !closing {
            self.lost(link, End::Down(Down::Malformed(Malformed::Kind)));
        }
        None
    }

    /// Something else has come. False if nothing more is wanted.
    pub(crate) fn control(&mut self, link: LinkId, record: &Record<'_>) -> bool {
        let Some(state) = self.at(link) else { return false };
        if matches!(state.phase, Phase::Closing { .. }) {
            return true;
        }
        state.heard = true;
        let judged = match record.kind {
            Kind::Hello => self.hello(link, record),
            Kind::Welcome | Kind::Refused => self.answered(link, record),
            Kind::Subscribe | Kind::Unsubscribe => {
                tags(record).and_then(|tags| self.asked(link, record.kind, tags))
            }
            Kind::Subscribed | Kind::Declined | Kind::Unsubscribed => {
                tags(record).and_then(|tags| self.granted(link, record.kind, tags))
            }
            Kind::Beat if state.phase == Phase::Up && record.payload.is_empty() => Ok(()),
            Kind::Beat | Kind::Message => Err(End::Down(Down::Malformed(Malformed::Kind))),
        };
        match judged {
            Ok(()) => true,
            Err(end) => {
                self.lost(link, end);
                false
            }
        }
    }

    /// The first record of a side that has connected.
    fn hello(&mut self, link: LinkId, record: &Record<'_>) -> Result<(), End> {
        let settings = self.settings;
        let Some(state) = self.at(link) else { return Ok(()) };
        if state.phase != Phase::Greeting || state.is_ours() {
            return Err(malformed(Malformed::Kind));
        }
        let peer = Greeting::parse(record.tag, record.payload).map_err(malformed)?;
        let refused = if peer.version != VERSION {
            Some(reason::VERSION)
        } else if peer.service != Ok(state.service()) {
            Some(reason::SERVICE)
        } else {
            None
        };
        if let Some(why) = refused {
            state.phase = Phase::Closing { was_up: false };
            state.controls.push_back(Control::Refused(why));
            self.speak(link.slot);
            return Ok(());
        }
        state.greeted(&peer, &settings);
        state.controls.push_back(Control::Welcome);
        self.up(link.slot);
        Ok(())
    }

    /// What it is answered.
    fn answered(&mut self, link: LinkId, record: &Record<'_>) -> Result<(), End> {
        let settings = self.settings;
        let Some(state) = self.at(link) else { return Ok(()) };
        if state.phase != Phase::Greeting || !state.is_ours() {
            return Err(malformed(Malformed::Kind));
        }
        if record.kind == Kind::Refused {
            return Err(End::Refused(refusal(record.tag)));
        }
        let peer = Greeting::parse(record.tag, record.payload).map_err(malformed)?;
        if peer.version != VERSION {
            return Err(End::Refused(Refusal::Version));
        }
        if peer.service != Ok(state.service()) {
            return Err(End::Refused(Refusal::Kind));
        }
        state.greeted(&peer, &settings);
        self.up(link.slot);
        Ok(())
    }

    /// A subscription asks for these no longer.
    pub(crate) fn unsubscribe(&mut self, socket: Socket, tags: Tags) -> Result<(), Error> {
        let state = self.open(socket)?;
        let is_up = state.phase == Phase::Up;
        if state.asking.remove(tags, is_up)? {
            self.events.push_back(Event::Unsubscribed { socket, tags });
        }
        self.ask(socket.slot);
        self.speak(socket.slot);
        Ok(())
    }

    /// A publisher has answered a request.
    fn granted(&mut self, link: LinkId, kind: Kind, tags: Tags) -> Result<(), End> {
        let socket = self.socket(link.slot);
        let Some(state) = self.at(link) else { return Ok(()) };
        if state.role != Role::Subscribes || state.phase != Phase::Up {
            return Err(malformed(Malformed::Kind));
        }
        let answer = state.asking.answered(kind, tags);
        let told = answer.ok_or(malformed(Malformed::Content))?;
        self.events.extend(told.map(|told| match told {
            Answer::Subscribed(tags) => Event::Subscribed { socket, tags },
            Answer::Declined(tags) => Event::Declined { socket, tags },
            Answer::Unsubscribed(tags) => Event::Unsubscribed { socket, tags },
        }));
        self.ask(link.slot);
        self.speak(link.slot);
        Ok(())
    }
}

fn malformed(what: Malformed) -> End {
    End::Down(Down::Malformed(what))
}

/// The tags that a record is about.
fn tags(record: &Record<'_>) -> Result<Tags, End> {
    let mask = record.payload.try_into().map_err(|_| malformed(Malformed::Length))?;
    let tags = Tags::masked(record.tag, u64::from_le_bytes(mask));
    if tags.value() == record.tag { Ok(tags) } else { Err(malformed(Malformed::Content)) }
}
