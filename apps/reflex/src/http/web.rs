//! The context that serves a port: its connections, and the answers of handlers.

use crate::http::calls::{Block, Calls};
use crate::http::port::Port;
use crate::http::{Call, Counters, Handlers, Routed, Routes, Service, Unavailable};
use crate::net::{Connection, ConnectionError, TcpService};
use crate::{System, Tick};
use alloc::sync::Arc;
use reflex_event::{Ceiling, EventId, EventSystem as _};

/// Answers that are taken in one run: others of the same priority run in between.
const BATCH: usize = 16;

/// One context, all connections.
pub(super) struct Web<R: Routes> {
    system: System,
    service: Service<Port, R>,
    counters: Arc<Ceiling<Counters>>,
}

impl<R: Routes> Web<R> {
    pub(super) fn new(
        system: System,
        service: Service<Port, R>,
        counters: Arc<Ceiling<Counters>>,
    ) -> Self {
        Self { system, service, counters }
    }

    pub(super) fn tick(&mut self, _: Tick) {
        let uptime = self.system.now().as_nanos() / 1_000_000_000;
        self.service.tick(uptime as u32, unix_time(self.system));
        let counted = *self.service.counters();
        self.counters.with(&self.system.kernel(), |counters| *counters = counted);
    }

    pub(super) fn shut_down(&mut self) {
        self.service.shut_down();
    }
}

impl Web<Routed<Dispatcher>> {
    /// Takes what handlers have answered.
    pub(super) fn take_answers(&mut self, calls: &'static Calls, event: EventId) {
        for _ in 0..BATCH {
            let Some((slot, answer)) = calls.next_answer() else { return };
            self.service.answer(slot, answer);
        }
        // Registered for good; a full counter says enough.
        let _ = calls.kernel.activate(event, 1);
    }
}

impl<R: Routes + 'static> TcpService for Web<R> {
    fn accepted(&mut self, connection: &Connection) {
        self.service.accepted(connection.slot(), Port(connection.clone()));
    }

    #[inline]
    fn received(&mut self, connection: &Connection) {
        self.service.ready(connection.slot());
    }

    fn sent(&mut self, connection: &Connection) {
        self.service.ready(connection.slot());
    }

    fn closed(&mut self, connection: &Connection) {
        self.service.ended(connection.slot());
    }

    fn failed(&mut self, connection: &Connection, error: ConnectionError) {
        log::debug!("a connection failed: {error}");
        self.service.closed(connection.slot());
    }

    fn ended(&mut self, connection: &Connection) {
        self.service.closed(connection.slot());
    }
}

/// Calls handlers in their contexts.
pub(super) struct Dispatcher(pub(super) &'static Calls);

impl Handlers for Dispatcher {
    type Block = Block;

    fn block(&mut self, bytes: usize) -> Option<Block> {
        self.0.pool.get()?.bytes(bytes).ok()
    }

    fn call(&mut self, slot: usize, call: Call<Block>) -> Result<(), Unavailable> {
        self.0.call(slot, call)
    }

    fn gone(&mut self, slot: usize) {
        self.0.gone(slot);
    }
}

/// The time of day, unless the machine has no clock that tells it.
pub(super) fn unix_time(system: System) -> Option<u64> {
    (system.machine().started_unix_seconds > 0).then(|| system.unix_time())
}
