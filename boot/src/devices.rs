//! Devices: found, given their interrupts, and each handed to its first caller.

pub use crate::input::{Input, InputLine, console_input};
pub use crate::{InputError, NicError};
pub use reflex_virtio_bus::Quiet;

use crate::configuration_space::{self, BAR_WINDOW};
use crate::core_lock::CoreLock;
use crate::identity::Identity;
use crate::interrupt_pin::{self, Pin, PinError};
use crate::known_keys;
use crate::machine::Machine;
use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_arch::apic;
use reflex_arch::ioapic::{Polarity, Trigger};
use reflex_event::{EventId, EventSystem};
use reflex_hil::{Acknowledge, Interrupt, MsiMessage};
use reflex_memory::{Content, Granule};
use reflex_runtime::interrupt::Vector;
use reflex_runtime::job::Job;
use reflex_runtime::section::section;
use reflex_runtime::{Runtime, memory};
use reflex_virtio_bus::{Device, DeviceTransport, mmio, pci};
use reflex_virtio_net::{Info, Receiver, Rings, Transmitter};
use virtio_drivers::transport::DeviceType;

impl From<PinError> for NicError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::OutOfMemory => Self::Kernel(reflex_event::Error::OutOfMemory),
            PinError::NoController => Self::NoController,
        }
    }
}

/// A network interface: its two halves, and its interrupts.
pub struct Nic {
    /// The receiving half.
    pub receiver: Receiver<Identity>,
    /// The transmitting half.
    pub transmitter: Transmitter<Identity, DeviceTransport>,
    /// What it is like.
    pub info: Info,
    /// Frame buffers beyond those the receive ring holds.
    pub spare_frames: u32,
    lines: Lines,
}

/// One wire for all of a device's queues, as its interrupt handler sees it; one of them is quieted.
pub(crate) struct Wire {
    pub(crate) device: mmio::MmioInterrupt,
    pub(crate) receiver: Quiet,
}

impl Acknowledge for Wire {
    fn acknowledge(&mut self) -> bool {
        self.receiver.acknowledge();
        self.device.acknowledge()
    }
}

/// The interrupts of an interface, not yet about anything.
pub struct Lines {
    receive: Vector,
    /// `None` when one wire serves both.
    transmit: Option<Vector>,
    device: Option<mmio::MmioInterrupt>,
    /// The wire's pin, masked until somebody acknowledges its interrupts: raised by its level, it
    /// would interrupt without end.
    pin: Option<Pin>,
}

impl Nic {
    /// The halves, and the interrupts.
    pub fn split(self) -> (Receiver<Identity>, Transmitter<Identity, DeviceTransport>, Lines) {
        (self.receiver, self.transmitter, self.lines)
    }
}

impl Lines {
    /// From now on, `received` occurs when frames have been received, with the device's interrupts
    /// for these suppressed by `quiet`, and `sent` when transmit buffers have become free. The first
    /// occurs at once, for what has arrived already.
    ///
    /// # Errors
    /// [`Error::TableFull`](reflex_event::Error::TableFull) when there are as many jobs as there can
    /// be.
    pub fn connect(
        self,
        kernel: Runtime,
        quiet: Quiet,
        received: EventId,
        sent: EventId,
    ) -> Result<(), reflex_event::Error> {
        match self.transmit {
            Some(vector) => {
                self.receive.activate(received, Some(Box::leak(Box::new(quiet))));
                vector.activate(sent, None);
            }
            None => {
                let quiet: Box<dyn Acknowledge> = match self.device {
                    Some(device) => Box::new(Wire { device, receiver: quiet }),
                    None => Box::new(quiet),
                };
                let both = Job::new(move || {
                    // Refused only when four billion wait.
                    let _ = kernel.activate(received, 1).and(kernel.activate(sent, 1));
                })?;
                self.receive.post(both, Some(Box::leak(quiet)));
            }
        }
        if let Some(pin) = self.pin {
            pin.route(self.receive, Trigger::Level, Polarity::High);
        }
        kernel.activate(received, 1)
    }
}

/// Finds and starts the first network interface.
///
/// # Errors
/// [`NicError`].
pub fn network(machine: &Machine) -> Result<Nic, NicError> {
    let mut device = take(machine, DeviceType::Network).ok_or(NicError::None)?;
    let lines = route(machine, &mut device)?;
    let buffer =
        reflex_virtio_net::receive_buffer(&mut device.transport).map_err(NicError::Driver)?;
    let rings = rings(buffer);
    let spare = 2 * rings.receive;
    let granule = Granule::new(buffer).expect("a power of two");
    // One more for the pool's table.
    let bytes = (usize::from(rings.receive) + usize::from(spare) + 1) * buffer;
    let frames = memory::pool(bytes, granule, Content::Bytes)?;
    let opened = reflex_virtio_net::open::<Identity, _>(device.transport, frames, rings);
    let (receiver, transmitter, info) = opened.map_err(NicError::Driver)?;
    let [a, b, c, d, e, f] = info.mac;
    log::info!(
        "network interface {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}, MTU {}, link {}",
        info.mtu,
        if info.link_up { "up" } else { "down" },
    );
    Ok(Nic { receiver, transmitter, info, spare_frames: u32::from(spare), lines })
}

/// Fills `seed` from a virtio entropy device, if there is one; false when there is none or it
/// does not answer.
pub(crate) fn entropy(machine: &Machine, seed: &mut [u8], expired: impl FnMut() -> bool) -> bool {
    take(machine, DeviceType::EntropySource).is_some_and(|device| {
        reflex_virtio_rng::fill::<Identity, _>(device.transport, seed, expired).is_ok()
    })
}

/// Ring sizes that a machine's memory allows: with the spare frames, a thirty-second of it; at most
/// 256 frames each way.
fn rings(buffer: usize) -> Rings {
    let affordable = memory::available() / 32 / (4 * buffer);
    let size = affordable.clamp(16, 256);
    let size = 1 << size.ilog2();
    Rings { receive: size, buffer, transmit: size }
}

/// Takes the first device of a kind out of those that are left. They are looked for once: another look, and what is
/// done with those that it finds, would disturb the ones that run. One core does so at a time.
pub(crate) fn take(machine: &Machine, kind: DeviceType) -> Option<Device> {
    static LOCK: CoreLock = CoreLock::new();
    section(|_| {
        let _held = LOCK.hold();
        let mut left = machine.devices.lock();
        let left = left.get_or_insert_with(|| find(machine));
        let at = left.iter().position(|device| device.kind == kind)?;
        Some(left.remove(at))
    })
}

/// What a device is to write for an interrupt on that vector.
pub(crate) fn message(machine: &Machine, vector: Vector) -> MsiMessage {
    MsiMessage {
        address: apic::DEFAULT_BASE | u64::from(machine.destination()) << 12,
        data: u32::from(vector.number()),
    }
}

/// Every virtio device of the machine. What cannot be used is logged.
fn find(machine: &Machine) -> Vec<Device> {
    let mut named = machine.arguments.all(known_keys::DEVICE).peekable();
    if named.peek().is_some() {
        return probe(mmio::command_line_slots(named));
    }
    let Some((access, buses)) = configuration_space::find(machine) else {
        return probe(mmio::microvm_slots().map(Ok));
    };
    // SAFETY: the machine's own configuration space; `Identity` maps BARs. A device of a kind is taken
    // out of what is found by one caller, once; the others are dropped.
    let found = unsafe { pci::discover::<Identity, _>(access, buses, BAR_WINDOW) };
    let usable = found.into_iter().filter_map(|found| {
        let unusable = |error: &_| log::warn!("PCI {}: {error}", found.function);
        found.device.inspect_err(unusable).ok()
    });
    let mut usable: Vec<Device> = usable.collect();
    if configuration_space::is_microvm(machine) {
        usable.extend(probe(mmio::microvm_slots().map(Ok)));
    }
    usable
}

fn probe(slots: impl Iterator<Item = Result<mmio::Slot, reflex_virtio_bus::Error>>) -> Vec<Device> {
    let devices = slots.filter_map(|slot| {
        // SAFETY: the machine or the command line names the slot as one for virtio devices.
        let device = slot.and_then(|slot| unsafe { mmio::probe::<Identity>(slot) });
        device.inspect_err(|error| log::warn!("virtio over MMIO: {error}")).ok().flatten()
    });
    devices.collect()
}

/// Gives a device's interrupts vectors.
fn route(machine: &Machine, device: &mut Device) -> Result<Lines, NicError> {
    let receive = Vector::reserve()?;
    match device.interrupt {
        Interrupt::Messages { vectors } => {
            let transmit = (vectors >= 2).then(Vector::reserve).transpose()?;
            let messages: Vec<MsiMessage> = core::iter::once(receive)
                .chain(transmit)
                .map(|vector| message(machine, vector))
                .collect();
            device.transport.route(&messages).map_err(NicError::Bus)?;
            Ok(Lines { receive, transmit, device: None, pin: None })
        }
        Interrupt::Wired { gsi } => {
            let wire = match &device.transport {
                DeviceTransport::Mmio(transport) => Some(transport.interrupt()),
                DeviceTransport::Pci(_) => None,
            };
            let pin = Some(interrupt_pin::find(machine, gsi)?);
            Ok(Lines { receive, transmit: None, device: wire, pin })
        }
    }
}
