//! Devices: a network interface, of which the test has the other end.

pub use crate::{InputError, NicError};

use super::disks::Connect;
use crate::Machine;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use reflex_arch::hosted::processor;
use reflex_event::{EventId, EventSystem};
use reflex_hil::{Acknowledge, Block, Frame, NicCounters, NicError as HilError, Receive, Transmit};
use reflex_memory::{Content, Granule, Pool};
use reflex_runtime::interrupt::Vector;
use reflex_runtime::{Runtime, memory};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The interface's hardware address.
pub const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x52, 0x46, 0x58];
const MTU: usize = 1500;
/// Frames that each ring takes.
const RING: usize = 256;
/// Bytes of a frame's buffer.
const BUFFER: usize = 2048;
/// A frame's Ethernet header.
const HEADER: usize = 14;

/// The devices, as what runs the machine has them. Copies are of the same.
#[derive(Clone, Default)]
pub struct Devices(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// There is no interface.
    unplugged: bool,
    /// Frames for the machine, which it has not taken.
    arrived: VecDeque<Vec<u8>>,
    /// Frames that it has not told the interface of.
    queued: Vec<Vec<u8>>,
    /// Frames that the interface is to send, and since when.
    sent: VecDeque<(u64, Vec<u8>)>,
    /// The receiving half's interrupts are suppressed.
    quiet: bool,
    /// A free transmit buffer is waited for.
    wanted: bool,
    receive: Option<Vector>,
    transmit: Option<Vector>,
    power_button: Option<Vector>,
    /// Disks that the machine has not taken.
    disks: Vec<(Box<dyn Block>, Connect)>,
}

impl State {
    fn room(&self) -> usize {
        RING.saturating_sub(self.queued.len() + self.sent.len())
    }

    fn flush(&mut self) {
        let now = processor::count();
        self.sent.extend(self.queued.drain(..).map(|frame| (now, frame)));
    }
}

impl Devices {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the network interface out: to be called before it has been started.
    pub fn unplug(&self) {
        self.lock().unplugged = true;
    }

    /// Plugs a disk in: to be called before the image asks for one. `connect` is given what raises its interrupt, when
    /// that is connected.
    pub fn plug_disk(&self, disk: Box<dyn Block>, connect: Connect) {
        self.lock().disks.push((disk, connect));
    }

    pub(super) fn take_disks(&self) -> Vec<(Box<dyn Block>, Connect)> {
        core::mem::take(&mut self.lock().disks)
    }

    /// A frame arrives at the interface; false when its ring is full, or nothing has started it.
    pub fn receive(&self, frame: &[u8]) -> bool {
        let mut state = self.lock();
        let Some(vector) = state.receive.filter(|_| state.arrived.len() < RING) else {
            return false;
        };
        state.arrived.push_back(frame.into());
        if !core::mem::replace(&mut state.quiet, true) {
            processor::raise(vector.number());
        }
        true
    }

    /// Takes the next frame that the machine has sent, and the time, in nanoseconds since the start, when it was.
    pub fn take_sent(&self) -> Option<(u64, Vec<u8>)> {
        let mut state = self.lock();
        let frame = state.sent.pop_front()?;
        if let Some(vector) = state.transmit
            && core::mem::take(&mut state.wanted)
        {
            processor::raise(vector.number());
        }
        Some(frame)
    }

    /// Presses the power button.
    pub fn press_power_button(&self) {
        if let Some(vector) = self.lock().power_button {
            processor::raise(vector.number());
        }
    }

    pub(super) fn set_power_button(&self, vector: Vector) {
        self.lock().power_button = Some(vector);
    }
}

/// The network interface.
pub struct Nic {
    /// Frame buffers beyond those that the receive ring holds.
    pub spare_frames: u32,
    devices: Devices,
    buffers: &'static Pool,
}

/// Its receiving half.
pub struct Receiver {
    devices: Devices,
    buffers: Vec<&'static Pool>,
    counters: NicCounters,
}

/// Its transmitting half.
pub struct Transmitter {
    devices: Devices,
    counters: NicCounters,
}

/// Its interrupts, not yet about anything.
pub struct Lines {
    devices: Devices,
    receive: Vector,
    transmit: Vector,
}

/// Keeps the receiving half from interrupting.
pub struct Quiet(Devices);

impl Acknowledge for Quiet {
    fn acknowledge(&mut self) -> bool {
        self.0.lock().quiet = true;
        true
    }
}

impl Nic {
    /// The halves, and the interrupts.
    pub fn split(self) -> (Receiver, Transmitter, Lines) {
        let Self { devices, buffers, .. } = self;
        let vector = || Vector::reserve().expect("a simulated machine has few devices");
        let (receive, transmit) = (vector(), vector());
        let counters = NicCounters::default();
        let receiver =
            Receiver { devices: devices.clone(), buffers: alloc::vec![buffers], counters };
        let transmitter = Transmitter { devices: devices.clone(), counters };
        (receiver, transmitter, Lines { devices, receive, transmit })
    }
}

impl Lines {
    /// From now on, `received` occurs when frames have been received, and `sent` when transmit buffers have become
    /// free. The first occurs at once, for what has arrived already.
    ///
    /// # Errors
    /// None: a machine of hardware may have some.
    pub fn connect(
        self,
        kernel: Runtime,
        quiet: Quiet,
        received: EventId,
        sent: EventId,
    ) -> Result<(), reflex_event::Error> {
        self.receive.activate(received, Some(Box::leak(Box::new(quiet))));
        self.transmit.activate(sent, None);
        let mut state = self.devices.lock();
        state.receive = Some(self.receive);
        state.transmit = Some(self.transmit);
        drop(state);
        kernel.activate(received, 1)
    }
}

impl Receiver {
    /// What keeps it from interrupting.
    pub fn quiet(&self) -> Quiet {
        Quiet(self.devices.clone())
    }
}

impl Receive for Receiver {
    fn next(&mut self) -> Option<Frame> {
        loop {
            let bytes = self.devices.lock().arrived.pop_front()?;
            let buffer = self.buffers.iter().find_map(|pool| pool.bytes(BUFFER).ok());
            let Some(mut buffer) = buffer.filter(|_| bytes.len() <= BUFFER) else {
                self.counters.no_buffer += 1;
                continue;
            };
            buffer[..bytes.len()].copy_from_slice(&bytes);
            self.counters.frames += 1;
            return Frame::new(buffer, 0..bytes.len() as u16);
        }
    }

    fn add_buffers(&mut self, more: &'static Pool) {
        self.buffers.push(more);
    }

    fn enable(&mut self) -> bool {
        let mut state = self.devices.lock();
        state.quiet = !state.arrived.is_empty();
        state.quiet
    }

    fn counters(&self) -> NicCounters {
        self.counters
    }
}

impl Transmit for Transmitter {
    fn mac(&self) -> [u8; 6] {
        MAC
    }

    fn mtu(&self) -> usize {
        MTU
    }

    fn available(&mut self) -> usize {
        self.devices.lock().room()
    }

    fn waiting(&mut self) -> usize {
        RING - self.available()
    }

    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), HilError> {
        if length > MTU + HEADER {
            return Err(HilError::TooLong);
        }
        if self.available() == 0 {
            return Err(HilError::TransmitFull);
        }
        let mut frame = alloc::vec![0; length];
        fill(&mut frame);
        self.devices.lock().queued.push(frame);
        self.counters.frames += 1;
        Ok(())
    }

    fn flush(&mut self) {
        self.devices.lock().flush();
    }

    fn notify_when_available(&mut self) -> bool {
        let mut state = self.devices.lock();
        state.flush();
        state.wanted = state.room() == 0;
        !state.wanted
    }

    fn counters(&self) -> NicCounters {
        self.counters
    }
}

/// Starts the network interface.
///
/// # Errors
/// [`NicError`].
pub fn network(machine: &Machine) -> Result<Nic, NicError> {
    let devices = machine.devices.clone();
    if devices.lock().unplugged {
        return Err(NicError::None);
    }
    let affordable = memory::available() / 32 / BUFFER;
    let spare = affordable.clamp(16, 2 * RING);
    let granule = Granule::new(BUFFER).expect("a power of two");
    // One more for the pool's table.
    let buffers = memory::pool((spare + 1) * BUFFER, granule, Content::Bytes)?;
    Ok(Nic { spare_frames: spare as u32, devices, buffers })
}

/// What is typed at the console: nothing, here.
pub enum Input {}

/// The interrupt of the console's input: there is none.
pub enum InputLine {}

impl Input {
    /// Takes the first bytes that wait.
    pub fn take(&self, _: &mut [u8]) -> usize {
        match *self {}
    }
}

impl InputLine {
    /// Has `arrived` called with the number of bytes that have come.
    ///
    /// # Errors
    /// None.
    pub fn connect(self, _: impl FnMut(u32) + Send + 'static) -> Result<(), InputError> {
        match self {}
    }
}

/// The console's input.
///
/// # Errors
/// [`InputError::NoPort`].
pub fn console_input(_: &Machine) -> Result<(Input, InputLine), InputError> {
    Err(InputError::NoPort)
}
