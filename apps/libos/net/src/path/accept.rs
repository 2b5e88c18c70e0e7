//! The accept path: opening segments become half-open connections.
//!
//! No heap is touched once a record has been made; records are made up to the owner's limit
//! and then recycled: first those that are free, then, when all have been made, the oldest in
//! TIME-WAIT. When there is none, the segment is dropped and counted, and the peer will
//! try again: a reset would tell it that nobody listens. When too many are half open, openings are answered by
//! cookies, of which nothing is kept (`ip/tcp/cookie.rs`), and the acknowledgements of these come here, too.

use crate::ip::endpoint::Endpoint;
use crate::ip::header;
use crate::ip::tcp::cookie::{Remembered, UNIT};
use crate::ip::time::time;
use crate::path::classify::{Class, classify};
use crate::path::stack::Stack;
use crate::table::connection_record::{Events, Phase, Record};
use crate::table::flow_key::FlowKey;
use crate::table::handle::Net;
use crate::table::tables::{Register, Shared};
use crate::types::counters::Counters;
use crate::types::error::Error;
use crate::types::settings::TcpSettings;
use alloc::sync::Arc;
use core::time::Duration;
use reflex_event::{Accumulation, ContextId, EventId, Instant, Kernel, Registration, Trouble};
use reflex_hil::Frame;
use reflex_memory::{Lent, Pool};

/// Most opening segments looked at in one run.
const BATCH: u32 = 4;

/// What there is already for the 4-tuple of an opening segment.
enum Present {
    None,
    /// A connection that it may replace.
    Replaceable(u32),
    Lasting(u32),
}

/// Where the connection of an opening segment goes.
enum Place {
    /// This record serves it.
    Record(u32),
    /// A record is to be made first.
    Make,
    /// A connection in TIME-WAIT is to be cut short for it.
    TimeWait,
    Refused,
}

/// Why there is no place.
#[derive(Clone, Copy)]
enum Limit {
    HalfOpen,
    Connections,
    Memory,
}

/// An opening segment, or what completes one, with its group, its connection, and the hash of that.
type Opening = (u32, (FlowKey, u32), Frame);

impl<K: Kernel> Stack<K> {
    /// Serves opening segments of a listener.
    pub(crate) fn openings(&mut self, group: u32) {
        self.serve_openings(group);
        if core::mem::take(&mut self.engine.answered) {
            self.engine.transmit.flush();
        }
        self.settle_rest();
    }

    fn serve_openings(&mut self, group: u32) {
        for _ in 0..BATCH {
            let frame = self.net.with(|shared| {
                let group = &mut shared.groups[group as usize];
                shared.frames.pop(&mut group.openings)
            });
            let Some(frame) = frame else { return };
            self.opening(group, frame);
        }
        let more = self.net.with(|shared| {
            let group = &shared.groups[group as usize];
            group.opening_event.filter(|_| !group.openings.is_empty())
        });
        if let Some(event) = more {
            self.net.activate(event);
        }
    }

    fn opening(&mut self, group: u32, frame: Frame) {
        // It was classified before; the interface may have got another address since.
        let Ok(Class::Tcp { key, flags }) = classify(&frame, &self.engine.station) else {
            return;
        };
        let hash = self.hash.of(&key);
        let opens = flags & header::SYN != 0;
        match self.net.with(|shared| shared.present(&key, hash, (&frame, opens))) {
            Present::None => {}
            Present::Replaceable(index) => {
                let replaced = self.net.with(|shared| shared.replace(index, &frame));
                // Else its owner has got in between: the peer will try again.
                if !replaced {
                    return;
                }
                self.net.drop_dead();
            }
            Present::Lasting(index) => {
                let mut frame = Some(frame);
                if self.net.with(|shared| shared.requeue(&mut frame, index)) {
                    self.segments(index);
                }
                return;
            }
        }
        let now = self.net.kernel().now();
        let place = (group, (key, hash), frame);
        if opens {
            self.serve_unknown(place, now);
        } else if self.net.with(|shared| shared.expects_cookies(group, now))
            && let Some(what) = self.engine.redeem(&place.2, now)
        {
            self.net.with(|shared| shared.counters.cookies_redeemed += 1);
            if let Some(index) = self.find_place(group) {
                self.listen(index, place, Some(what));
            }
        } else {
            self.engine.look_for_room();
            self.engine.unmatched(&place.2, now);
            self.engine.answered = true;
        }
    }

    /// Serves an opening: it has a place, or is answered by a cookie.
    fn serve_unknown(&mut self, place: Opening, now: Instant) {
        let (group, _, frame) = &place;
        let later = self.net.with(|shared| shared.later(*group, now));
        match later {
            Some(window) => {
                let answered = self.engine.answer_by_cookie(frame, window, now);
                self.engine.answered |= answered;
                self.net.with(|shared| shared.counters.cookies_sent += u64::from(answered));
                self.refuse(*group, Limit::HalfOpen);
            }
            None => {
                if let Some(index) = self.find_place(*group) {
                    self.listen(index, place, None);
                }
            }
        }
    }

    /// A record of the group's for one more connection, ready for it. `None`: there is none, which was counted.
    fn find_place(&mut self, group: u32) -> Option<u32> {
        let index = match self.net.with(|shared| shared.place(group)) {
            Place::Refused => return None,
            Place::Record(index) => index,
            Place::TimeWait => match self.net.take_oldest_time_wait(group) {
                Some(index) => index,
                None => return self.refuse(group, Limit::Connections),
            },
            Place::Make => match self.net.make(group) {
                Ok(index) => index,
                Err(_) => match self.net.take_oldest_time_wait(group) {
                    Some(index) => index,
                    None => return self.refuse(group, Limit::Memory),
                },
            },
        };
        match self.net.ready(group, index) {
            Ok(index) => {
                self.net.with(|shared| shared.groups[group as usize].refusing = false);
                Some(index)
            }
            Err(_) => self.refuse(group, Limit::Memory),
        }
    }

    /// There is no place for one more connection, which is counted, and the owner told: the peer will try again.
    fn refuse(&mut self, group: u32, limit: Limit) -> Option<u32> {
        let told = self.net.with(|shared| shared.refuse(group, limit));
        if let Some(owner) = told {
            // One that has been given up is not to be told.
            let _ = self.net.kernel().report(owner, Trouble::LimitReached);
        }
        None
    }

    /// Has the record's socket listen, and hears the opening segment, or the one that completes what is remembered.
    fn listen(
        &mut self,
        index: u32,
        (group, (key, hash), frame): Opening,
        what: Option<Remembered>,
    ) {
        let taken = self.net.with(|shared| {
            let settings = shared.groups[group as usize].settings;
            Some((shared.records[index].endpoint.take()?, settings))
        });
        let Some((mut endpoint, settings)) = taken else { return };
        self.engine.recycle(&mut endpoint, &settings, time(self.net.kernel().now()));
        // Fails on port 0 only, which no listener has.
        let _ = endpoint.socket().listen(key.local_port);
        if let Some(what) = what {
            let now = self.net.kernel().now();
            self.engine.play_opening(&mut endpoint, &frame, what, now);
        }
        let mut frame = Some(frame);
        let queued = self.net.with(|shared| {
            shared.records[index].endpoint = Some(endpoint);
            shared.open(index, key, hash, Phase::HalfOpen);
            shared.requeue(&mut frame, index)
        });
        if queued {
            self.segments(index);
        } else {
            self.net.with(|shared| shared.release(index));
        }
    }
}

impl Shared {
    /// What there is for the 4-tuple of an opening segment, or of one that completes an opening.
    fn present(&mut self, key: &FlowKey, hash: u32, (frame, opens): (&Frame, bool)) -> Present {
        match self.flows.find(&self.records, key, hash) {
            None => Present::None,
            Some(index) if opens && self.may_reopen(index, frame) => Present::Replaceable(index),
            Some(index) => Present::Lasting(index),
        }
    }

    /// Ends the connection that an opening segment replaces, if it still may. Only the stack brings
    /// one into TIME-WAIT, so that it is none that came to its place since.
    fn replace(&mut self, index: u32, frame: &Frame) -> bool {
        let may = self.may_reopen(index, frame);
        if may {
            self.release(index);
        }
        may
    }

    /// Whether an opening is to be answered by a cookie, for too many connections are half open: with which window.
    fn later(&mut self, group: u32, now: Instant) -> Option<u16> {
        let owner = &mut self.groups[group as usize];
        let all_made = owner.made >= owner.settings.connections && owner.unbuilt.is_none();
        let full = all_made && owner.free.front().is_none() && owner.time_wait.front().is_none();
        if owner.half_open < owner.half_open_limit() || full || !owner.listening {
            return None;
        }
        owner.cookies_until = Some(now + Duration::from_secs(2 * UNIT));
        Some(owner.settings.receive_buffer.min(u16::MAX.into()) as u16)
    }

    /// Counts an opening without a place. The owner's context, if it is to be told: of its memory the kernel tells.
    fn refuse(&mut self, group: u32, limit: Limit) -> Option<ContextId> {
        let group = &mut self.groups[group as usize];
        let (Counters { backlog_full, limit_reached, no_memory, .. }, refusals) =
            (&mut self.counters, &mut group.refusals);
        let (all, own) = match limit {
            Limit::HalfOpen => (backlog_full, &mut refusals.backlog),
            Limit::Connections => (limit_reached, &mut refusals.connections),
            Limit::Memory => (no_memory, &mut refusals.memory),
        };
        (*all, *own) = (*all + 1, *own + 1);
        if matches!(limit, Limit::Memory) {
            return None;
        }
        let told = core::mem::replace(&mut group.refusing, true);
        (!told).then_some(group.owner.context)
    }

    /// Whether cookies are out that are still good.
    fn expects_cookies(&mut self, group: u32, now: Instant) -> bool {
        let until = &mut self.groups[group as usize].cookies_until;
        *until = until.filter(|until| now < *until);
        until.is_some()
    }

    fn place(&mut self, group: u32) -> Place {
        let owner = &self.groups[group as usize];
        if !owner.listening {
            return Place::Refused;
        }
        let all_made = owner.made >= owner.settings.connections && owner.unbuilt.is_none();
        match self.take_free(group) {
            Some(index) => Place::Record(index),
            None if all_made => Place::TimeWait,
            None => Place::Make,
        }
    }

    /// Whether an opening segment may replace a connection in TIME-WAIT: when it cannot be an
    /// old duplicate (RFC 1122, 4.2.2.13).
    fn may_reopen(&self, index: u32, frame: &Frame) -> bool {
        let record = &self.records[index];
        let (Phase::TimeWait, true, Some(endpoint)) = (record.phase, record.told, &record.endpoint)
        else {
            return false;
        };
        let sequence = header::packet(frame).map_or(0, |(_, payload)| header::word(payload, 4));
        (sequence.wrapping_sub(endpoint.expected) as i32) >= 0
    }
}

/// A record that is to be made, and with what.
struct Unbuilt {
    group: u32,
    index: u32,
    slot: u32,
    settings: TcpSettings,
    pool: &'static Pool,
    register: Arc<Register>,
}

impl<K: Kernel> Net<K> {
    /// Makes one more record for `group`: endpoint, registrations, timer. A cold path.
    pub(crate) fn make(&self, group: u32) -> Result<u32, Error> {
        let unbuilt = self.with(|shared| shared.take_unbuilt(group))?;
        let index = unbuilt.index;
        let built = self.build(&unbuilt);
        self.with(|shared| match built {
            Ok((endpoint, events)) => {
                let record = &mut shared.records[index];
                record.endpoint = Some(endpoint);
                record.events = Some(events);
                record.life = shared.groups[group as usize].life;
                record.phase = Phase::Free;
                Ok(index)
            }
            Err(error) => {
                shared.groups[group as usize].unbuilt = Some(index);
                Err(error)
            }
        })
    }

    /// The parts of a record. Those there are when one cannot be made are given back.
    fn build(&self, unbuilt: &Unbuilt) -> Result<(Lent<Endpoint>, Events), Error> {
        let Unbuilt { index, settings, pool, .. } = *unbuilt;
        let (stack, kernel) = (self.stack()?, self.kernel());
        let endpoint = Endpoint::new(pool, settings.receive_buffer, settings.send_buffer)
            .map_err(|_| Error::OutOfMemory)?;
        let registration =
            Registration { priority: settings.priority, accumulation: Accumulation::Count };
        let run = move |stack: &mut Stack<K>, _| stack.segments(index);
        let segment = kernel.register(stack, registration, run)?;
        let rest = kernel.timer(segment).and_then(|timer| {
            let application = self.register_built(unbuilt).inspect_err(|_| {
                let _ = kernel.release(timer);
            })?;
            Ok(Events { segment, application, timer })
        });
        let events = rest.inspect_err(|_| {
            let _ = kernel.unregister(segment);
        })?;
        Ok((endpoint, events))
    }

    /// Registers a record with the context that serves it.
    fn register_built(&self, unbuilt: &Unbuilt) -> Result<EventId, reflex_event::Error> {
        let Unbuilt { group, index, slot, settings, .. } = *unbuilt;
        let registered = (unbuilt.register)(settings.priority, index, slot);
        if registered != Err(reflex_event::Error::WrongState) {
            return registered;
        }
        // The context has just been replaced: by now the group knows the new one.
        let register = self.with(|shared| Arc::clone(&shared.groups[group as usize].register));
        register(settings.priority, index, slot)
    }
}

impl Shared {
    /// Takes the next record of a group that is to be made.
    fn take_unbuilt(&mut self, group: u32) -> Result<Unbuilt, Error> {
        let owner = &mut self.groups[group as usize];
        let settings = owner.settings;
        let (pool, register) = (owner.pool, Arc::clone(&owner.register));
        let index = match owner.unbuilt.take() {
            Some(index) => index,
            None if owner.made >= settings.connections => return Err(Error::LimitReached),
            None => {
                let frames = queue_limit(settings.receive_buffer);
                let record = Record::new(group, owner.made, settings.priority, frames);
                owner.made += 1;
                // There is capacity: it was reserved with the group.
                self.records.push(record)
            }
        };
        let slot = self.records[index].slot;
        Ok(Unbuilt { group, index, slot, settings, pool, register })
    }
}

/// Frames a connection may have queued: as many as fill its window, and some without data.
fn queue_limit(receive_buffer: usize) -> u16 {
    (receive_buffer / 1024 + 8).min(256) as u16
}
