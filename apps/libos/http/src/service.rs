//! Sessions driven by a transport's events.

use crate::routes::{Routes, SiteAlone};
use crate::server::zeroed;
use crate::{Counters, Deadlines, Error, Limits, Output, Server, Session, Site, Wants};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// How many bytes of responses are gathered before they are handed to the transport: enough for
/// what one segment of pipelined requests asks of small files.
const BATCH: usize = 4096;

/// A connection of the transport, as the service sees it: a name for it that can be copied.
pub trait Stream: Clone {
    /// Shows `serve` the oldest received bytes, as far as they are contiguous, together with the
    /// first part of `buffer`, as far as the send buffer has room for it. `serve` says how many
    /// bytes it took and how many it filled: those are dropped from the receive buffer, these
    /// appended to the send buffer, all of them. Returns how many were taken, and how many received bytes
    /// there are that nobody took.
    ///
    /// Without received bytes it need not call `serve`.
    fn exchange(
        &mut self,
        buffer: &mut [u8],
        serve: impl FnOnce(&[u8], &mut [u8]) -> (usize, usize),
    ) -> (usize, usize);

    /// Appends as much of `bytes` to the send buffer as there is room for, and returns how much
    /// that was. When that is not all, the driver is to call [`Service::ready`] as soon as there
    /// is room again.
    fn send(&mut self, bytes: &[u8]) -> usize;

    /// How many bytes [`send`](Self::send) would take now.
    fn room(&mut self) -> usize;

    /// How many bytes of the send buffer the peer has not acknowledged; `None` when that cannot be
    /// told at present.
    fn untaken(&mut self) -> Option<usize>;

    /// Ends sending, once everything in the send buffer has been sent. Receiving goes on.
    fn close(&mut self);

    /// Ends the connection at once.
    fn abort(&mut self);
}

/// All connections of a listener. Each is known by its slot, a number below the table's size that
/// the transport gives it for as long as it lives.
///
/// Every event costs the work of the bytes it brings, whatever the number of connections.
pub struct Service<C, R: Routes = SiteAlone> {
    server: Server<R>,
    deadlines: Deadlines,
    table: Box<[Slot<C, R>]>,
    batch: Box<[u8; BATCH]>,
}

struct Slot<C, R: Routes> {
    stream: Option<C>,
    session: Session<R>,
    /// Whether the transport has been told to close.
    closing: bool,
}

impl<C: Stream> Service<C> {
    /// A service of a site alone; see [`with_routes`](Service::with_routes).
    ///
    /// # Errors
    /// What is wrong with the site.
    pub fn new(
        site: Site,
        limits: Limits,
        slots: usize,
        unix_seconds: Option<u64>,
    ) -> Result<Self, Error> {
        Self::with_routes(site, SiteAlone, limits, slots, unix_seconds)
    }
}

impl<C: Stream, R: Routes> Service<C, R> {
    /// A service for `slots` connections at a time, about 1.2 KB each. See [`Server::new`] for
    /// the rest.
    ///
    /// # Errors
    /// What is wrong with the site.
    pub fn with_routes(
        site: Site,
        routes: R,
        limits: Limits,
        slots: usize,
        unix_seconds: Option<u64>,
    ) -> Result<Self, Error> {
        let mut table = Vec::with_capacity(slots);
        table.resize_with(slots, || Slot {
            stream: None,
            session: Session::default(),
            closing: false,
        });
        Ok(Self {
            server: Server::with_routes(site, routes, limits, unix_seconds)?,
            deadlines: Deadlines::new(slots),
            table: table.into_boxed_slice(),
            batch: zeroed(),
        })
    }

    /// The routes, and what calls their handlers.
    pub fn routes(&mut self) -> &mut R {
        &mut self.server.routes
    }

    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.server.counters
    }

    /// A connection has been accepted. One with a slot beyond the table is aborted.
    pub fn accepted(&mut self, slot: usize, mut stream: C) {
        let Some(entry) = self.table.get_mut(slot) else {
            stream.abort();
            return;
        };
        entry.stream = Some(stream);
        entry.closing = false;
        entry.session.open(&mut self.server);
        self.deadlines.file(slot, entry.session.deadline());
    }

    /// Bytes have arrived, or room has become free.
    #[inline]
    pub fn ready(&mut self, slot: usize) {
        if slot >= self.table.len() {
            return;
        }
        self.serve(slot);
        while R::ROUTED && self.call(slot) {
            self.serve(slot);
        }
        self.obey(slot);
    }

    /// Reads and answers, as far as there is something to read and room to answer.
    #[inline]
    fn serve(&mut self, slot: usize) {
        let entry = &mut self.table[slot];
        let Some(stream) = &mut entry.stream else { return };
        loop {
            let (session, server) = (&mut entry.session, &mut self.server);
            session.output(server, &mut Direct(stream));
            let (taken, unread) = stream.exchange(&mut self.batch[..], |bytes, buffer| {
                let mut batch = Batch { buffer, filled: 0 };
                let taken = session.input(bytes, server, &mut batch);
                (taken, batch.filled)
            });
            // Nothing to be done until there is more, or until there is room; or all is done.
            if taken == 0 || (session.wants() != Wants::Room && unread == 0) {
                break;
            }
        }
    }

    /// Has the handler called for which a request is there; true when there is none, so that the connection goes on.
    fn call(&mut self, slot: usize) -> bool {
        self.tell_ended(slot);
        let Some(entry) = self.table.get_mut(slot) else { return false };
        let Some(call) = entry.session.take_call() else { return false };
        if self.server.routes.call(slot, call) {
            return false;
        }
        let Some(stream) = &mut entry.stream else { return false };
        entry.session.unavailable(&mut self.server, &mut Direct(stream));
        true
    }

    /// A handler has answered what was called on behalf of the connection in `slot`, and not been told that it is of
    /// no use since.
    pub fn answer(&mut self, slot: usize, answer: R::Answer) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        let Some(stream) = &mut entry.stream else { return };
        // All that there is room for is one submission.
        let room = stream.room().min(BATCH);
        let mut batch = Batch { buffer: &mut self.batch[..room], filled: 0 };
        entry.session.answer(answer, &mut self.server, &mut batch);
        let filled = batch.filled;
        if filled > 0 {
            stream.send(&self.batch[..filled]);
        }
        self.ready(slot);
    }

    /// Tells the handlers when what they were called with is of no use any more.
    #[inline]
    fn tell_ended(&mut self, slot: usize) {
        if R::ROUTED && self.table[slot].session.take_ended() {
            self.server.routes.gone(slot);
        }
    }

    /// The peer has sent its last byte.
    pub fn ended(&mut self, slot: usize) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.session.end();
            self.ready(slot);
        }
    }

    /// The connection is gone, in whatever way.
    pub fn closed(&mut self, slot: usize) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.stream = None;
            entry.session.reset(&mut self.server);
            self.deadlines.forget(slot);
            self.tell_ended(slot);
        }
    }

    /// Has every connection come to its end: what is in hand is answered, with word that the connection is closed
    /// then; one that is silent is closed at once, or within two seconds when its last request was answered just
    /// now, as another may be under way. Later connections are served like that, too.
    pub fn shut_down(&mut self) {
        let idle = self.server.shut_down();
        for slot in 0..self.table.len() {
            self.table[slot].session.shut_down(idle, &self.server);
            self.look_at(slot);
        }
    }

    /// A second has passed: see [`Server::tick`]. Ends what has taken too long.
    pub fn tick(&mut self, uptime: u32, unix_seconds: Option<u64>) {
        self.server.tick(uptime, unix_seconds);
        while let Some(slot) = self.deadlines.due(uptime) {
            self.look_at(slot);
        }
    }

    /// Ends what has taken too long in one connection, if there is one.
    fn look_at(&mut self, slot: usize) {
        let Slot { stream: Some(stream), session, .. } = &mut self.table[slot] else { return };
        let now = self.server.now();
        if session.deadline() <= now {
            let Some(untaken) = stream.untaken() else {
                self.deadlines.file(slot, now.saturating_add(1));
                return;
            };
            session.expire(untaken, &mut self.server, &mut Direct(stream));
        }
        self.obey(slot);
    }

    /// Does what the session wants, and files its deadline.
    #[inline]
    fn obey(&mut self, slot: usize) {
        self.tell_ended(slot);
        let Slot { stream: Some(stream), session, closing } = &mut self.table[slot] else {
            return;
        };
        match session.wants() {
            Wants::Input | Wants::Room => {}
            Wants::Close if *closing => {}
            Wants::Close => {
                *closing = true;
                stream.close();
            }
            Wants::Abort => {
                stream.abort();
                return;
            }
        }
        self.deadlines.file(slot, session.deadline());
    }
}

/// Responses go straight into the send buffer.
struct Direct<'a, C>(&'a mut C);

impl<C: Stream> Output for Direct<'_, C> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> usize {
        self.0.send(bytes)
    }
}

/// Responses are gathered while the receive buffer is being read.
struct Batch<'a> {
    buffer: &'a mut [u8],
    filled: usize,
}

impl Output for Batch<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> usize {
        let free = &mut self.buffer[self.filled..];
        let count = bytes.len().min(free.len());
        free[..count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        count
    }
}
