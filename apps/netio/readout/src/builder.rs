//! Events that are being built.

use alloc::vec;
use alloc::vec::Vec;
use reflex::metrics::{Counter, Gauge, Histogram};
use reflex::netio::Event;
use reflex::{Instant, System, log, machine_line, status};

#[reflex::metric]
static FRAGMENTS: Counter = Counter::new("readout_fragments_total", "Fragments that came.");

#[reflex::metric]
static BYTES: Counter = Counter::new("readout_bytes_total", "Their bytes.");

#[reflex::metric]
static BUILT: Counter = Counter::new("readout_built_total", "Events of which all fragments came.");

#[reflex::metric]
static GIVEN_UP: Counter =
    Counter::new("readout_given_up_total", "Events of which a fragment did not come in time.");

#[reflex::metric]
static LATE: Counter =
    Counter::new("readout_late_total", "Fragments of events that had been given up.");

#[reflex::metric]
static LINKS: Gauge = Gauge::new("readout_links", "Publishers that are connected.");

#[reflex::metric]
static LOST_LINKS: Counter = Counter::new("readout_links_lost_total", "Connections that ended.");

#[reflex::metric]
static BUILDING: Histogram =
    Histogram::new("readout_building_microseconds", "From an event's first fragment to its last.");

/// An event.
#[derive(Clone, Copy, Default)]
struct Building {
    number: u64,
    /// The publishers that have sent their fragments, a bit each; none if there is no event in the place.
    have: u64,
    first: Instant,
}

/// Puts events together.
pub(crate) struct Builder {
    system: System,
    /// All publishers, a bit each.
    all: u64,
    /// The place of an event follows from its number.
    window: Vec<Building>,
    count: u64,
    built: u64,
    /// What was built when rates were last told.
    told: u64,
}

impl Builder {
    pub(crate) fn new(system: System, publishers: usize, window: usize, count: u64) -> Self {
        let all = u64::MAX >> (u64::BITS as usize - publishers);
        Self { system, all, window: vec![Building::default(); window], count, built: 0, told: 0 }
    }

    pub(crate) fn happened(&mut self, event: Event<'_>) {
        match event {
            Event::Message { socket, bytes, .. } => self.fragment(1 << socket.place(), bytes),
            Event::Up { .. } => LINKS.inc(),
            Event::Down { why, .. } => {
                log::warn!("a publisher is down: {why}");
                LINKS.dec();
                LOST_LINKS.inc();
            }
            Event::Refused { why, .. } => log::debug!("a publisher is not connected: {why}"),
            Event::Declined { tags, .. } => log::warn!("a publisher declines {tags}"),
            _ => {}
        }
    }

    /// A fragment has come from the publisher with that bit.
    fn fragment(&mut self, from: u64, bytes: &[u8]) {
        let Some(number) = bytes.first_chunk().map(|number| u64::from_le_bytes(*number)) else {
            log::warn!("a fragment has no number");
            return;
        };
        FRAGMENTS.inc();
        BYTES.add(bytes.len() as u64);
        let places = self.window.len() as u64;
        let event = &mut self.window[(number % places) as usize];
        if number < event.number {
            return LATE.inc();
        }
        if number > event.number && event.have != 0 {
            GIVEN_UP.inc();
            event.have = 0;
        }
        if event.have == 0 {
            *event = Building { number, have: 0, first: self.system.now() };
        }
        event.have |= from;
        if event.have == self.all {
            event.have = 0;
            let time = self.system.now().since(event.first);
            BUILDING.observe(time.as_micros() as u64);
            self.built();
        }
    }

    fn built(&mut self) {
        BUILT.inc();
        self.built += 1;
        if self.built == self.count {
            let given_up = GIVEN_UP.get();
            machine_line!(
                "figure readout built given_up={given_up} value={} unit=events",
                self.built
            );
            self.system.exit(status::SUCCESS);
        }
    }

    /// A second has passed.
    pub(crate) fn tell(&mut self) {
        let rate = self.built - self.told;
        self.told = self.built;
        let (given_up, links) = (GIVEN_UP.get(), LINKS.get());
        log::info!(
            "{rate} events/s, {} in all, {given_up} given up, {links} publishers",
            self.built
        );
    }
}
