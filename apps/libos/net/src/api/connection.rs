//! The application's handle of a TCP connection.

use crate::api::held_endpoint::HeldEndpoint;
use crate::ip::endpoint::Endpoint;
use crate::table::connection_record::{Ending, Phase, Record, notice, request};
use crate::table::handle::Net;
use crate::types::error::{ConnectionError, Error};
use crate::types::tcp_state::{TcpState, TcpStates};
use core::cell::Cell;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicU64, Ordering};
use reflex_event::{EventId, Kernel, Priority};
use reflex_memory::Lent;

/// A TCP connection, or what used to be one: a handle may be kept and copied freely, and
/// answers [`Error::Closed`] once the connection is over.
///
/// All calls are legal from any handler. They take constant time, but for the bytes copied.
pub struct Connection<K: Kernel> {
    pub(crate) net: Net<K>,
    pub(crate) index: u32,
    slot: u32,
    /// Relaxed throughout: it belongs to the handle, and a handle's own handler sets it.
    generation: AtomicU64,
    /// It is the handle of whatever connection its place has: a registration's own.
    follows: bool,
}

/// What has become of an [`exchange`](Connection::exchange).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exchanged {
    /// Bytes that were consumed.
    pub consumed: usize,
    /// Bytes that are still unread.
    pub unread: usize,
}

impl Exchanged {
    /// Whether another exchange may get further at once: some bytes were consumed, and there are more.
    pub fn goes_on(self) -> bool {
        self.consumed > 0 && self.unread > 0
    }
}

/// What a call finds of the endpoint.
enum Taken {
    Endpoint(Lent<Endpoint>),
    /// Somebody is at work on it.
    Busy,
}

/// What there is to tell of a connection.
pub(crate) struct Told {
    /// In the order in which it is told.
    pub(crate) notices: u8,
    pub(crate) error: Option<ConnectionError>,
    /// An end waits for its being told.
    pub(crate) ending: bool,
}

impl<K: Kernel> Connection<K> {
    pub(crate) fn new(net: Net<K>, index: u32, slot: u32, generation: u64) -> Self {
        Self { net, index, slot, generation: AtomicU64::new(generation), follows: false }
    }

    /// The handle that a registration has, and its handler is told of: that of the connection which
    /// there is something to tell of, one after the other. Copies stay what they are.
    #[inline]
    pub(crate) fn of_place(net: Net<K>, index: u32, slot: u32) -> Self {
        Self { follows: true, ..Self::new(net, index, slot, 0) }
    }

    /// The connection's place: below its owner's limit, and no other live connection's of that
    /// owner. Made for indexing a table of the application's own.
    pub fn slot(&self) -> usize {
        self.slot as usize
    }

    /// Whether the connection still is one.
    pub fn is_open(&self) -> bool {
        self.with(|record| !record.told).unwrap_or(false)
    }

    /// The other side.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn peer(&self) -> Result<SocketAddrV4, Error> {
        self.with(|record| {
            SocketAddrV4::new(Ipv4Addr::from(record.key.remote), record.key.remote_port)
        })
    }

    /// This side.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn local(&self) -> Result<SocketAddrV4, Error> {
        self.with(|record| {
            SocketAddrV4::new(Ipv4Addr::from(record.key.local), record.key.local_port)
        })
    }

    /// Hands the oldest unread bytes to `read`, which returns how many it has consumed; these
    /// are forgotten. Returns that number too. Should `read` be given up, the connection is reset, unless
    /// the memory of its context is [used again at once](Borrowed::Reusable).
    ///
    /// The bytes are those in the receive buffer's first contiguous part: call again to see
    /// whether there are more. Without unread bytes `read` is not called and the answer is 0;
    /// also when a higher-priority handler came upon the stack at work on this connection, and when
    /// what was [written](Self::write) fills more than half of the queue of one that was accepted: then
    /// [`TcpService::received`](crate::TcpService::received) is called again.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn receive(&self, read: impl FnOnce(&[u8]) -> usize) -> Result<usize, Error> {
        let finish = |mut held: HeldEndpoint<K>, consumed: usize| {
            let (consumed, _, reopened) = held.endpoint.consume(consumed);
            self.put(held.endpoint, reopened, false);
            Ok(consumed)
        };
        let take = || self.take_unread(0).map_err(|nothing| nothing.map(|()| 0));
        self.net.kernel().keep(take, HeldEndpoint::unread, HeldEndpoint::give_up, read, finish)
    }

    /// Queues as many of `bytes` as fit into the send buffer, and returns how many; none while the connection is
    /// not established. For bytes that stay where they are until they have been sent; others are
    /// [written](Self::write). When that is not all,
    /// [`TcpService::sent`](crate::TcpService::sent) is called as soon as there is room again.
    ///
    /// # Errors
    /// [`Error::Closed`], also after [`finish`](Self::finish).
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Error> {
        self.net.kernel().guarded(|| {
            let mut endpoint = match self.take(request::CLOSE | request::ABORT)? {
                Taken::Endpoint(endpoint) => endpoint,
                Taken::Busy => {
                    self.with(|record| record.send_blocked = true)?;
                    return Ok(0);
                }
            };
            let queued = endpoint.write(bytes).ok_or(Error::Closed);
            endpoint.queued |= queued.is_ok_and(|queued| queued > 0);
            let short = queued.is_ok_and(|queued| queued < bytes.len());
            self.put(endpoint, queued.is_ok_and(|queued| queued > 0), short);
            queued
        })
    }

    /// Answers received bytes: hands the oldest unread ones and `answer`, cut to the room there is
    /// to send, to `serve`, which returns how many it has consumed and how many it has written.
    /// These are queued. Returns how many were consumed. The same as [`receive`](Self::receive)
    /// and [`send`](Self::send), in one piece. Says how many bytes stay unread, too, which spares asking for them.
    ///
    /// When bytes stay unread and the room was used up,
    /// [`TcpService::sent`](crate::TcpService::sent) is called as soon as there is room again.
    ///
    /// # Errors
    /// [`Error::Closed`], also after [`finish`](Self::finish).
    pub fn exchange(
        &self,
        answer: &mut [u8],
        serve: impl FnOnce(&[u8], &mut [u8]) -> (usize, usize),
    ) -> Result<Exchanged, Error> {
        let room = Cell::new(0);
        let answer = Cell::new(answer);
        let take = || {
            let held = self.take_unread(request::CLOSE | request::ABORT);
            let mut held = held.map_err(|nothing| nothing.map(|()| Exchanged::default()))?;
            room.set(held.endpoint.room());
            Ok(held)
        };
        let work = |bytes: &[u8]| {
            let whole = answer.take();
            room.set(room.get().min(whole.len()));
            let done = serve(bytes, &mut whole[..room.get()]);
            answer.set(whole);
            done
        };
        let finish = |mut held: HeldEndpoint<K>, (consumed, written): (usize, usize)| {
            let (consumed, unread, reopened) = held.endpoint.consume(consumed);
            let written = written.min(room.get());
            let queued = held.endpoint.write(&answer.take()[..written]).unwrap_or(0);
            held.endpoint.queued |= queued > 0;
            let short = unread > 0 && written == room.get();
            self.put(held.endpoint, reopened || queued > 0, short);
            Ok(Exchanged { consumed, unread })
        };
        self.net.kernel().keep(take, HeldEndpoint::unread, HeldEndpoint::give_up, work, finish)
    }

    /// Bytes that have been received and not been read: those that [`receive`](Self::receive) would find, in one or
    /// two parts.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn receivable(&self) -> Result<usize, Error> {
        self.with(|record| match &mut record.endpoint {
            Some(endpoint) if record.phase != Phase::Connecting => endpoint.unread(),
            _ => 0,
        })
    }

    /// Bytes that [`send`](Self::send) would take.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn sendable(&self) -> Result<usize, Error> {
        self.with(Record::room)
    }

    /// Bytes that were queued to be sent and that the peer has not acknowledged, also after
    /// [`finish`](Self::finish). `None` while the stack is at work on the connection.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn unacknowledged(&self) -> Result<Option<usize>, Error> {
        self.with(|record| {
            let queued = record.queued();
            match &mut record.endpoint {
                Some(endpoint) if record.phase != Phase::Connecting => {
                    Some(endpoint.unsent() + queued)
                }
                _ => None,
            }
        })
    }

    /// Resets the connection; what is queued is lost.
    /// [`TcpService::ended`](crate::TcpService::ended) is called.
    pub fn abort(&self) {
        self.request(request::ABORT);
    }

    /// The priority of this connection's protocol work and of its handlers.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn priority(&self) -> Result<Priority, Error> {
        self.with(|record| record.priority)
    }

    /// Gives this connection, until it ends, a priority of its own.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn set_priority(&self, priority: Priority) -> Result<(), Error> {
        let generation = self.generation.load(Ordering::Relaxed);
        let events = self.net.with(|shared| {
            shared.live(self.index, generation)?;
            Some(shared.prioritise(self.index, priority))
        });
        let events = events.ok_or(Error::Closed)?;
        self.net.follow_priorities();
        if let Some(events) = events {
            self.net.kernel().set_priority(events.segment, priority)?;
            self.net.kernel().set_priority(events.application, priority)?;
            // In case it is in its group's list already, where it runs at the group's priority.
            self.net.activate(events.segment);
            // In case it stands for others that have something to tell.
            if let Some(event) = self.net.with(|shared| shared.second_telling(self.index)) {
                self.net.activate(event);
            }
        }
        Ok(())
    }

    /// Has [`TcpService::state`](crate::TcpService::state) called with the connection's state, and
    /// with each that it goes to from now on.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn watch_states(&self) -> Result<(), Error> {
        let event = self.with(|record| {
            if record.told {
                return Err(Error::Closed);
            }
            let watch = record.watch.insert(Default::default());
            let state = match (&mut record.endpoint, record.phase) {
                // The socket still is what the last connection left of it.
                (_, Phase::Connecting) => TcpState::SynSent,
                (Some(endpoint), _) => endpoint.socket().state().into(),
                // The context that is at work on it has the stack look when that is done.
                (None, _) => {
                    record.stack_wanted = true;
                    return Ok(None);
                }
            };
            let mut states = TcpStates::default();
            states.insert(state);
            watch.note(states);
            let told = record.notices;
            record.notices |= notice::STATE;
            Ok(record.events.filter(|_| told == 0).map(|events| events.application))
        })??;
        if let Some(event) = event {
            self.net.activate(event);
        }
        Ok(())
    }

    /// Has the stack's next run at once.
    pub(super) fn run(&self) {
        self.request(0);
    }

    /// Which connection this is the handle of, of all that its place has had.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn request(&self, request: u8) {
        let generation = self.generation.load(Ordering::Relaxed);
        let event = self.net.with(|shared| {
            shared.live(self.index, generation)?.requests |= request;
            shared.make_ready(self.index)
        });
        if let Some(event) = event {
            self.net.activate(event);
        }
    }

    #[inline]
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Record) -> R) -> Result<R, Error> {
        let generation = self.generation.load(Ordering::Relaxed);
        self.net.with(|shared| shared.live(self.index, generation).map(work)).ok_or(Error::Closed)
    }

    /// Takes the endpoint, unless one of `requests` has been made.
    #[inline]
    fn take(&self, requests: u8) -> Result<Taken, Error> {
        self.with(|record| {
            if record.told || record.requests & requests != 0 {
                return Err(Error::Closed);
            }
            // The socket still is what the last connection left of it.
            if record.phase == Phase::Connecting {
                return Ok(Taken::Busy);
            }
            // What is sent now would overtake what was written before.
            if requests != 0 && record.queued() > 0 {
                record.send_blocked = true;
                return Ok(Taken::Busy);
            }
            // What is received now would be answered by more than the queue has room for.
            if record.held {
                record.withheld |= notice::RECEIVED;
                return Ok(Taken::Busy);
            }
            Ok(match record.endpoint.take() {
                Some(endpoint) => Taken::Endpoint(endpoint),
                None => {
                    record.application_wanted = true;
                    Taken::Busy
                }
            })
        })?
    }

    /// Takes the endpoint if it has unread bytes, and none of `requests` has been made; otherwise
    /// says why there is nothing to read: the connection is over, or there just is nothing.
    #[inline]
    fn take_unread(&self, requests: u8) -> Result<HeldEndpoint<K>, Result<(), Error>> {
        let mut endpoint = match self.take(requests).map_err(Err)? {
            Taken::Endpoint(endpoint) => endpoint,
            Taken::Busy => return Err(Ok(())),
        };
        if endpoint.retired || endpoint.unread() == 0 {
            self.put(endpoint, false, false);
            return Err(Ok(()));
        }
        Ok(HeldEndpoint { net: self.net.clone(), index: self.index, endpoint })
    }

    #[inline]
    pub(super) fn put(&self, endpoint: Lent<Endpoint>, run: bool, short: bool) {
        let event: Option<EventId> = self.net.with(|shared| {
            // The generation cannot have changed: a connection ends only with its endpoint in.
            let record = &mut shared.records[self.index];
            record.endpoint = Some(endpoint);
            shared.held.count(&mut record.endpoint);
            record.send_blocked |= short;
            let wanted = core::mem::take(&mut record.stack_wanted);
            // Two handlers that met leave a mark too; a run of the stack answers it.
            let run = run || wanted || record.application_wanted;
            if run { shared.make_ready(self.index) } else { None }
        });
        if let Some(event) = event {
            self.net.activate(event);
        }
    }

    /// What there is to tell of its connection; makes this the handle of the record's present one if
    /// it is a registration's.
    #[inline]
    pub(crate) fn take_notices(&self) -> Option<Told> {
        self.net.with(|shared| {
            let record = &mut shared.records[self.index];
            if self.follows {
                self.generation.store(record.generation, Ordering::Relaxed);
            } else if record.generation != self.generation.load(Ordering::Relaxed) {
                return None;
            }
            let mut notices = core::mem::take(&mut record.notices);
            if notices == 0 {
                return None;
            }
            if record.held {
                record.withheld |= notices & (notice::RECEIVED | notice::CLOSED);
                notices &= !(notice::RECEIVED | notice::CLOSED);
            }
            let ending = record.ending == Ending::Wanted;
            let told = Told { notices, error: record.error, ending };
            shared.untold = shared.untold.saturating_sub(1);
            Some(told)
        })
    }

    /// The next state to tell of.
    pub(crate) fn take_state(&self) -> Option<TcpState> {
        self.with(|record| record.watch.as_mut()?.untold.take_first()).ok()?
    }

    /// The application knows that the connection is over.
    pub(crate) fn told(&self) {
        let index = self.index;
        let generation = self.generation.load(Ordering::Relaxed);
        let reset = self.net.with(|shared| {
            let record = shared.live(index, generation)?;
            debug_assert!(matches!(record.phase, Phase::Over | Phase::TimeWait));
            record.told = true;
            let (group, own) = (record.group as usize, record.priority);
            let usual = shared.groups[group].settings.priority;
            let events = if own == usual { None } else { shared.prioritise(index, usual) };
            Some(events.map(|events| (events, usual)))
        });
        let Some(reset) = reset else { return };
        self.net.with(|shared| {
            // Unless the stack has just done so.
            if shared.live(index, generation).is_some() {
                shared.settle(index);
            }
        });
        self.net.drop_dead();
        if let Some((events, usual)) = reset {
            self.net.follow_priorities();
            let _ = self.net.kernel().set_priority(events.segment, usual);
            let _ = self.net.kernel().set_priority(events.application, usual);
        }
    }
}

impl<K: Kernel> Clone for Connection<K> {
    fn clone(&self) -> Self {
        let generation = self.generation.load(Ordering::Relaxed);
        Self::new(self.net.clone(), self.index, self.slot, generation)
    }
}

impl<K: Kernel> PartialEq for Connection<K> {
    fn eq(&self, other: &Self) -> bool {
        let generation = |handle: &Self| handle.generation.load(Ordering::Relaxed);
        self.index == other.index && generation(self) == generation(other)
    }
}

impl<K: Kernel> Eq for Connection<K> {}

impl<K: Kernel> fmt::Debug for Connection<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.generation.load(Ordering::Relaxed);
        write!(f, "Connection({}.{generation})", self.index)
    }
}
