//! Network interfaces and the wires they send on.

use crate::Clock;
use crate::flight::{Faults, Flight};
use reflex_event::Instant;
use reflex_hil::{Frame, NicCounters, NicError, Receive, Transmit};
use reflex_memory::{Lent, Pool};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

struct State {
    clock: Clock,
    pool: &'static Pool,
    /// Queued by the stack, not yet told of.
    unflushed: VecDeque<Lent<[u8]>>,
    flight: Flight<Lent<[u8]>>,
    /// Transmit buffers.
    buffers: usize,
    /// While set, nothing leaves and buffers stay in use.
    stalled: bool,
    notify: bool,
    counters: NicCounters,
}

impl State {
    fn free(&self) -> usize {
        let with_device = if self.stalled { self.flight.len() } else { 0 };
        self.buffers.saturating_sub(self.unflushed.len() + with_device)
    }

    fn flush(&mut self) {
        let (now, pool) = (self.clock.now(), self.pool);
        for frame in self.unflushed.drain(..) {
            self.flight.put(now, frame, |frame| {
                let mut copy = pool.bytes(frame.len()).ok()?;
                copy.copy_from_slice(frame);
                Some(copy)
            });
        }
    }
}

/// The transmitting half of an interface.
pub struct Nic {
    mac: [u8; 6],
    mtu: usize,
    state: Arc<Mutex<State>>,
}

/// The wire an interface sends on, from where the test takes the frames; clones are the same
/// wire.
#[derive(Clone)]
pub struct Wire(Arc<Mutex<State>>);

impl Nic {
    /// An interface with `buffers` transmit buffers, and its wire.
    pub fn new(
        mac: [u8; 6],
        buffers: usize,
        pool: &'static Pool,
        clock: Clock,
        seed: u64,
    ) -> (Self, Wire) {
        let state = Arc::new(Mutex::new(State {
            clock,
            pool,
            unflushed: VecDeque::new(),
            flight: Flight::new(seed),
            buffers,
            stalled: false,
            notify: false,
            counters: NicCounters::default(),
        }));
        (Self { mac, mtu: 1500, state: Arc::clone(&state) }, Wire(state))
    }
}

impl Transmit for Nic {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn available(&mut self) -> usize {
        self.state.lock().unwrap().free()
    }

    fn waiting(&mut self) -> usize {
        let state = self.state.lock().unwrap();
        state.buffers - state.free().min(state.buffers)
    }

    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError> {
        let mut state = self.state.lock().unwrap();
        if length > self.mtu + 14 {
            return Err(NicError::TooLong);
        }
        if state.free() == 0 {
            return Err(NicError::TransmitFull);
        }
        let mut buffer = state.pool.bytes(length).map_err(|_| NicError::TransmitFull)?;
        fill(&mut buffer);
        state.counters.frames += 1;
        state.unflushed.push_back(buffer);
        Ok(())
    }

    fn flush(&mut self) {
        let mut state = self.state.lock().unwrap();
        if !state.unflushed.is_empty() {
            state.counters.notifications += 1;
        }
        state.flush();
    }

    fn notify_when_available(&mut self) -> bool {
        let mut state = self.state.lock().unwrap();
        let free = state.free() > 0;
        state.notify = !free;
        free
    }

    fn counters(&self) -> NicCounters {
        self.state.lock().unwrap().counters
    }
}

impl Wire {
    /// Changes what the wire does from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().unwrap().flight.set_faults(faults);
    }

    /// Stops the device: frames stay in its transmit buffers. Or lets it go on.
    pub fn stall(&self, stalled: bool) {
        self.0.lock().unwrap().stalled = stalled;
    }

    /// When the next frame arrives.
    pub fn next_due(&self) -> Option<Instant> {
        let state = self.0.lock().unwrap();
        if state.stalled { None } else { state.flight.next_due() }
    }

    /// The next frame that has arrived by now.
    pub fn arrived(&self) -> Option<Frame> {
        let mut state = self.0.lock().unwrap();
        let now = state.clock.now();
        if state.stalled {
            return None;
        }
        let frame = state.flight.arrived(now)?;
        let length = frame.len() as u16;
        Frame::new(frame, 0..length)
    }

    /// Whether the interrupt for a free transmit buffer is due; asking takes it back.
    pub fn transmit_interrupt(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        let due = state.notify && state.free() > 0;
        state.notify &= !due;
        due
    }

    /// A frame of `bytes`, as if it had come from this wire.
    pub fn frame(&self, bytes: &[u8]) -> Frame {
        let mut buffer = self.0.lock().unwrap().pool.bytes(bytes.len()).expect("a free buffer");
        buffer.copy_from_slice(bytes);
        Frame::new(buffer, 0..bytes.len() as u16).expect("it fits")
    }

    /// Buffers that somebody holds, frames on their way included.
    pub fn outstanding(&self) -> usize {
        self.0.lock().unwrap().pool.stats().blocks
    }

    /// What the interface has counted.
    pub fn counters(&self) -> NicCounters {
        self.0.lock().unwrap().counters
    }
}

#[derive(Default)]
struct Ring {
    frames: VecDeque<Frame>,
    /// Where more buffers are to be taken.
    more: Vec<&'static Pool>,
    suppressed: bool,
    counters: NicCounters,
}

/// The receiving half of an interface.
pub struct Receiver(Arc<Mutex<Ring>>);

/// Where a test puts frames for a [`Receiver`]; clones lead to the same.
#[derive(Clone)]
pub struct Arrivals(Arc<Mutex<Ring>>);

impl Receiver {
    /// A receiving half, and where its frames come from. Its interrupts are suppressed until it is
    /// looked at for the first time.
    pub fn new() -> (Self, Arrivals) {
        let ring = Ring { suppressed: true, ..Ring::default() };
        let ring = Arc::new(Mutex::new(ring));
        (Self(Arc::clone(&ring)), Arrivals(ring))
    }
}

impl Receive for Receiver {
    fn next(&mut self) -> Option<Frame> {
        let mut ring = self.0.lock().unwrap();
        let frame = ring.frames.pop_front()?;
        ring.counters.frames += 1;
        Some(frame)
    }

    fn add_buffers(&mut self, more: &'static Pool) {
        self.0.lock().unwrap().more.push(more);
    }

    fn enable(&mut self) -> bool {
        let mut ring = self.0.lock().unwrap();
        ring.suppressed = !ring.frames.is_empty();
        ring.suppressed
    }

    fn counters(&self) -> NicCounters {
        self.0.lock().unwrap().counters
    }
}

impl Arrivals {
    /// A frame arrives. True when the interface interrupts, which suppresses further interrupts.
    #[must_use = "the interrupt has to be served"]
    pub fn push(&self, frame: Frame) -> bool {
        let mut ring = self.0.lock().unwrap();
        ring.frames.push_back(frame);
        !std::mem::replace(&mut ring.suppressed, true)
    }

    /// What the interface was given in the place of buffers that do not come back.
    pub fn more(&self) -> Vec<&'static Pool> {
        self.0.lock().unwrap().more.clone()
    }

    /// Frames nobody has taken yet.
    pub fn waiting(&self) -> usize {
        self.0.lock().unwrap().frames.len()
    }
}
