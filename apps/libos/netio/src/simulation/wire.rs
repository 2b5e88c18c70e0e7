//! What lies between endpoints.

use crate::driver::Driver;
use crate::endpoint_core::{End, Work};
use crate::error::Error;
use crate::event::{Down, Event, Refusal};
use crate::link::{Link, LinkId, Parcel, Posted, Registered, Source, Transport};
use crate::ports::Ports;
use crate::record::HEADER;
use crate::stream::Stream;
use core::net::SocketAddr;
use core::ops::Range;
use reflex_event::{Accumulation, Context, EventId, EventSystem, Registration};
use reflex_memory::{Exposed, Lent};
use reflex_testkit::{Random, SimKernel};
use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

/// Bytes on their way of a stream.
const ROOM: usize = 300;

/// How a connection carries what it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    /// Page by page, each of which comes back when it has arrived.
    Pages,
    /// As bytes, which arrive in pieces.
    Stream,
}

/// What arrives at a side.
enum Item {
    /// At the port.
    Request(usize, u16),
    Established(usize),
    Bytes(usize, Vec<u8>),
    /// A page has arrived at the other side.
    Returned(usize),
    /// There is room again.
    Room(usize),
    Closed(usize),
    Broken(usize),
}

/// One side of a connection.
#[derive(Default)]
struct Half {
    side: usize,
    link: Option<LinkId>,
    stream: Option<Stream>,
    under_way: VecDeque<Lent<[u8]>>,
    /// On the way to the other side.
    sent: usize,
    short: bool,
}

struct Conn {
    halves: [Half; 2],
    alive: bool,
}

#[derive(Default)]
struct Inside {
    connections: Vec<Conn>,
    inboxes: Vec<VecDeque<Item>>,
    held: Vec<bool>,
    arrived: Vec<EventId>,
}

#[derive(Clone)]
pub(super) struct Wire {
    inside: Arc<Mutex<Inside>>,
    random: Arc<Mutex<Random>>,
    manner: Manner,
}

impl Wire {
    pub(super) fn new(seed: u64, manner: Manner) -> Self {
        let random = Arc::new(Mutex::new(Random::new(seed ^ 0x5eed)));
        Self { inside: Arc::default(), random, manner }
    }

    /// The transport of the next side.
    pub(super) fn attach<S: 'static, H>(
        &self,
        kernel: &SimKernel,
        side: usize,
        context: Context<S>,
        driver: &Driver<SimKernel, S, H>,
        ports: Arc<Ports<SimKernel>>,
    ) -> Box<dyn Transport>
    where
        H: Fn(&mut S, Event<'_>) + Send + Sync + 'static,
    {
        let registration = Registration { accumulation: Accumulation::Count, ..Default::default() };
        let (wire, driver) = (self.clone(), driver.clone());
        let take = move |state: &mut S, _| wire.take(side, &driver, state, &ports);
        let arrived = kernel.register(context, registration, take).unwrap();
        let mut inside = self.inside.lock().unwrap();
        inside.inboxes.push(VecDeque::new());
        inside.held.push(false);
        inside.arrived.push(arrived);
        Box::new(Attached { wire: self.clone(), side })
    }

    /// Something arrives. False if nothing is on its way.
    pub(super) fn proceed(&self, kernel: &SimKernel) -> bool {
        let event = {
            let inside = self.inside.lock().unwrap();
            let waiting = |side: &usize| !inside.inboxes[*side].is_empty() && !inside.held[*side];
            let sides: Vec<usize> = (0..inside.inboxes.len()).filter(waiting).collect();
            if sides.is_empty() {
                return false;
            }
            inside.arrived[sides[self.below(sides.len())]]
        };
        kernel.activate(event, 1).unwrap();
        kernel.run_until_idle();
        true
    }

    fn below(&self, limit: usize) -> usize {
        self.random.lock().unwrap().below(limit.max(1) as u64) as usize
    }

    /// Nothing arrives at a side, until it is to again.
    pub(super) fn hold(&self, side: usize, held: bool) {
        self.inside.lock().unwrap().held[side] = held;
    }

    /// A connection breaks: what is on its way is lost.
    pub(super) fn cut(&self, kernel: &SimKernel) {
        let mut inside = self.inside.lock().unwrap();
        let living = |at: &usize| inside.connections[*at].alive;
        let alive: Vec<usize> = (0..inside.connections.len()).filter(living).collect();
        if !alive.is_empty() {
            let number = alive[self.below(alive.len())];
            inside.end(number, None);
        }
        drop(inside);
        kernel.run_until_idle();
    }

    /// The oldest that has arrived at a side.
    fn take<S: 'static, H: Fn(&mut S, Event<'_>)>(
        &self,
        side: usize,
        driver: &Driver<SimKernel, S, H>,
        state: &mut S,
        ports: &Ports<SimKernel>,
    ) {
        let Some(item) = self.inside.lock().unwrap().inboxes[side].pop_front() else { return };
        match item {
            Item::Request(number, port) => self.request(number, port, driver, state, ports),
            Item::Established(number) => {
                let link = self.link(number, 0);
                driver.handle(state, |core| link.into_iter().for_each(|it| core.established(it)));
            }
            Item::Bytes(half, bytes) => self.arrive(half, &bytes, driver, state),
            Item::Returned(half) => {
                let (number, at) = (half / 2, half % 2);
                let page = {
                    let mut inside = self.inside.lock().unwrap();
                    let half = &mut inside.connections[number].halves[at];
                    half.under_way.pop_front().zip(half.link)
                };
                if let Some((page, link)) = page {
                    driver.handle(state, |core| core.returned(link, page));
                }
            }
            Item::Room(half) => {
                if let Some(link) = self.link(half / 2, half % 2) {
                    driver.handle(state, |core| core.work.push_back(Work::Pump(link.slot)));
                }
            }
            Item::Closed(half) => {
                self.inside.lock().unwrap().end(half / 2, Some(half % 2));
                self.over(half, End::Down(Down::Closed), driver, state);
            }
            Item::Broken(half) => {
                self.over(half, End::Refused(Refusal::Refused), driver, state);
            }
        }
    }

    fn link(&self, number: usize, at: usize) -> Option<LinkId> {
        self.inside.lock().unwrap().connections[number].halves[at].link
    }

    fn over<S: 'static, H: Fn(&mut S, Event<'_>)>(
        &self,
        half: usize,
        end: End,
        driver: &Driver<SimKernel, S, H>,
        state: &mut S,
    ) {
        let mut inside = self.inside.lock().unwrap();
        let half = &mut inside.connections[half / 2].halves[half % 2];
        let (link, remains) =
            (half.link.take(), (half.stream.take(), std::mem::take(&mut half.under_way)));
        drop(inside);
        drop(remains);
        driver.handle(state, |core| link.into_iter().for_each(|it| core.lost(it, end)));
    }

    fn request<S: 'static, H: Fn(&mut S, Event<'_>)>(
        &self,
        number: usize,
        port: u16,
        driver: &Driver<SimKernel, S, H>,
        state: &mut S,
        ports: &Ports<SimKernel>,
    ) {
        let half = 2 * number + 1;
        let accepted = ports.purpose(port).and_then(|purpose| {
            let make =
                |_| Ok(Box::new(WireLink { wire: self.clone(), half, offset: 0 }) as Box<dyn Link>);
            driver.accept(state, purpose, make)
        });
        let mut inside = self.inside.lock().unwrap();
        if accepted.is_none() {
            inside.end(number, None);
        } else if inside.connections[number].alive {
            let page = driver.shared.pool.bytes(driver.shared.settings.page as usize).unwrap();
            let own = &mut inside.connections[number].halves[1];
            (own.link, own.stream) = (accepted, Some(Stream::new(page)));
            let from = inside.connections[number].halves[0].side;
            inside.inboxes[from].push_back(Item::Established(number));
        } else {
            drop(inside);
            let end = End::Refused(Refusal::Refused);
            driver.handle(state, |core| accepted.into_iter().for_each(|it| core.lost(it, end)));
        }
    }

    fn arrive<S: 'static, H: Fn(&mut S, Event<'_>)>(
        &self,
        half: usize,
        bytes: &[u8],
        driver: &Driver<SimKernel, S, H>,
        state: &mut S,
    ) {
        let (number, at) = (half / 2, half % 2);
        let (link, stream) = {
            let mut inside = self.inside.lock().unwrap();
            let half = &mut inside.connections[number].halves[at];
            (half.link, half.stream.take())
        };
        let Some(link) = link else { return };
        let page = || driver.shared.pool.bytes(driver.shared.settings.page as usize).unwrap();
        let mut stream = stream.unwrap_or_else(|| Stream::new(page()));
        match self.manner {
            Manner::Pages => driver.page(state, link, bytes),
            Manner::Stream => driver.bytes(state, link, &mut stream, bytes),
        }
        let mut inside = self.inside.lock().unwrap();
        let conn = &mut inside.connections[number];
        if conn.halves[at].link.is_some() && conn.alive {
            conn.halves[at].stream = Some(stream);
        }
        let other = &mut conn.halves[1 - at];
        other.sent -= if self.manner == Manner::Pages { 1 } else { bytes.len() };
        let short = std::mem::take(&mut other.short);
        let side = other.side;
        if !conn.alive {
            return;
        }
        let half = 2 * number + 1 - at;
        if self.manner == Manner::Pages {
            inside.inboxes[side].push_back(Item::Returned(half));
        }
        if short {
            inside.inboxes[side].push_back(Item::Room(half));
        }
    }
}

impl Inside {
    /// Ends a connection, of which the halves are told: all but what `by` says.
    fn end(&mut self, number: usize, by: Option<usize>) {
        let conn = &mut self.connections[number];
        if !std::mem::take(&mut conn.alive) {
            return;
        }
        let sides = [conn.halves[0].side, conn.halves[1].side];
        for at in [0, 1] {
            if by == Some(at) {
                continue;
            }
            let half = 2 * number + at;
            let lost = |item: &Item| match item {
                Item::Bytes(of, _) | Item::Returned(of) | Item::Room(of) | Item::Closed(of) => {
                    *of == half
                }
                Item::Request(of, _) | Item::Established(of) => *of == number && at == 0,
                Item::Broken(_) => false,
            };
            self.inboxes[sides[at]].retain(|item| !lost(item));
            let last = if by.is_some() && self.connections[number].halves[at].link.is_some() {
                Item::Closed(half)
            } else {
                Item::Broken(half)
            };
            self.inboxes[sides[at]].push_back(last);
        }
    }
}

struct Attached {
    wire: Wire,
    side: usize,
}

impl Transport for Attached {
    fn dial(&self, link: LinkId, to: SocketAddr) -> Result<Box<dyn Link>, Error> {
        let SocketAddr::V4(to) = to else { return Err(Error::Unsupported) };
        let other = usize::from(to.ip().octets()[3]);
        let mut inside = self.wire.inside.lock().unwrap();
        let number = inside.connections.len();
        let half = |side, link| Half { side, link, ..Half::default() };
        let halves = [half(self.side, Some(link)), half(other, None)];
        inside.connections.push(Conn { halves, alive: true });
        inside.inboxes[other].push_back(Item::Request(number, to.port()));
        Ok(Box::new(WireLink { wire: self.wire.clone(), half: 2 * number, offset: 0 }))
    }

    fn ready(&self) -> Result<(), Error> {
        Ok(())
    }

    fn listen(&self, _: u16) -> Result<(), Error> {
        Ok(())
    }

    fn close(&self, _: u16) {}

    fn register(&self, bytes: Lent<[u8]>) -> Result<Arc<dyn Registered>, Error> {
        Ok(Arc::new(Shared(Arc::new(Exposed::new(bytes)))))
    }
}

struct Shared(Arc<Exposed>);

impl Registered for Shared {
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Error> {
        self.0.read(offset, into).map_err(|_| Error::OutOfBounds)
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(offset, bytes).map_err(|_| Error::OutOfBounds)
    }

    fn source(self: Arc<Self>, range: Range<usize>) -> Result<Source, Error> {
        Ok(Source::Shared(self.0.clone(), range))
    }
}

struct WireLink {
    wire: Wire,
    half: usize,
    offset: usize,
}

impl WireLink {
    /// What a parcel says.
    fn content(parcel: &Parcel) -> Vec<u8> {
        match parcel {
            Parcel::Page { bytes, used } => bytes[..*used].to_vec(),
            Parcel::Unbuffered { header, source: Source::Shared(memory, range) } => {
                let mut content = header[..HEADER].to_vec();
                content.resize(HEADER + range.len(), 0);
                memory.read(range.start, &mut content[HEADER..]).unwrap();
                content
            }
            Parcel::Unbuffered { .. } => unreachable!("memory of another transport"),
        }
    }
}

impl Link for WireLink {
    fn post(&mut self, parcel: Parcel) -> Posted {
        let content = Self::content(&parcel);
        let mut inside = self.wire.inside.lock().unwrap();
        let (number, at) = (self.half / 2, self.half % 2);
        let conn = &mut inside.connections[number];
        if !conn.alive {
            return Posted::Over(parcel);
        }
        let other = 2 * number + 1 - at;
        let side = conn.halves[1 - at].side;
        let own = &mut conn.halves[at];
        let (Parcel::Page { .. } | Parcel::Unbuffered { .. }) = &parcel;
        if self.wire.manner == Manner::Pages {
            let (Parcel::Page { bytes, .. } | Parcel::Unbuffered { header: bytes, .. }) = parcel;
            own.under_way.push_back(bytes);
            own.sent += 1;
            inside.inboxes[side].push_back(Item::Bytes(other, content));
            return Posted::UnderWay;
        }
        let room = ROOM.saturating_sub(own.sent).min(content.len() - self.offset);
        let piece = if room == 0 { 0 } else { 1 + self.wire.below(room) };
        // Whatever there is room for goes, in pieces.
        let whole = content[self.offset..self.offset + room].to_vec();
        own.sent += room;
        self.offset += room;
        let done = self.offset == content.len();
        own.short |= !done;
        let (first, rest) = whole.split_at(piece.min(room));
        for part in [first, rest] {
            if !part.is_empty() {
                inside.inboxes[side].push_back(Item::Bytes(other, part.to_vec()));
            }
        }
        if !done {
            return Posted::Later(parcel);
        }
        self.offset = 0;
        let (Parcel::Page { bytes, .. } | Parcel::Unbuffered { header: bytes, .. }) = parcel;
        Posted::Done(bytes)
    }

    fn close(&mut self) {
        let mut inside = self.wire.inside.lock().unwrap();
        let (number, at) = (self.half / 2, self.half % 2);
        if inside.connections[number].alive {
            let side = inside.connections[number].halves[1 - at].side;
            // Behind all that is on its way.
            inside.inboxes[side].push_back(Item::Closed(2 * number + 1 - at));
        }
    }

    fn abort(&mut self) {
        let mut inside = self.wire.inside.lock().unwrap();
        let (number, at) = (self.half / 2, self.half % 2);
        let half = &mut inside.connections[number].halves[at];
        let remains = (half.stream.take(), std::mem::take(&mut half.under_way));
        half.link = None;
        inside.end(number, Some(at));
        drop(inside);
        drop(remains);
    }
}
