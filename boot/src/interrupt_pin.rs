//! Pins of the I/O APICs, where the wires of devices end.

use crate::address_space::map_device;
use crate::core_lock::CoreLock;
use crate::machine::Machine;
use reflex_arch::acpi::Controller;
use reflex_arch::ioapic::{self, IoApic, Polarity, Trigger};
use reflex_runtime::interrupt::Vector;
use reflex_runtime::section::section;

/// The I/O APIC where the firmware does not tell.
const USUAL_CONTROLLER: Controller = Controller { address: 0xfec0_0000, first: 0 };

/// Why a wire leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PinError {
    /// The controller cannot be mapped.
    OutOfMemory,
    /// No controller has the pin.
    NoController,
}

/// A pin of an I/O APIC.
pub(crate) struct Pin {
    io_apic: IoApic,
    pin: u32,
    processor: u8,
}

impl Pin {
    /// Sends the pin's interrupts to `vector` from now on.
    pub(crate) fn route(mut self, vector: Vector, trigger: Trigger, polarity: Polarity) {
        let (number, processor) = (vector.number(), self.processor);
        alone(|| self.io_apic.route(self.pin, number, processor, trigger, polarity));
    }
}

/// Masks every pin of the machine's interrupt controllers: what the firmware has left. Once, at
/// start-up: later it would silence what has been routed.
pub(crate) fn mask_all(machine: &Machine) {
    for controller in controllers(machine) {
        // One that cannot be mapped now leads nobody anywhere later.
        if let Ok(mut io_apic) = open_controller(controller) {
            alone(|| io_apic.mask_all());
        }
    }
}

/// The pin of a wire, masked unless somebody has routed it.
pub(crate) fn find(machine: &Machine, gsi: u32) -> Result<Pin, PinError> {
    for controller in controllers(machine) {
        let io_apic = open_controller(controller)?;
        if let Some(pin) = io_apic.pin(gsi) {
            return Ok(Pin { io_apic, pin, processor: machine.destination() });
        }
    }
    Err(PinError::NoController)
}

fn controllers(machine: &Machine) -> &[Controller] {
    let told = machine.firmware.as_ref().map(|firmware| firmware.madt.controllers());
    told.filter(|told| !told.is_empty()).unwrap_or(&[USUAL_CONTROLLER])
}

fn open_controller(controller: &Controller) -> Result<IoApic, PinError> {
    let mapped = map_device(controller.address, ioapic::REGISTERS);
    mapped.map_err(|_| PinError::OutOfMemory)?;
    // SAFETY: the firmware's or the usual address, mapped; all that is done with controllers is
    // done alone, one after the other.
    Ok(alone(|| unsafe { IoApic::new(controller.address, controller.first) }))
}

/// Runs `work`, which is done with a controller, where no other core and no other context does anything with one.
fn alone<R>(work: impl FnOnce() -> R) -> R {
    static LOCK: CoreLock = CoreLock::new();
    section(|_| {
        let _held = LOCK.hold().expect("what is done with a controller does not begin more of it");
        work()
    })
}
