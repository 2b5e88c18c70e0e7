//! The power button's registers.

use super::acpi;
use super::port::Port;

/// The button's bit in the status and in the enable port.
const PRESSED: u16 = 1 << 8;
/// The bit of the control port that says that the interrupt is the operating system's.
const SCI_ENABLED: u16 = 1;
/// How often the control port is looked at after the firmware was asked to hand the interrupt over.
const LOOKS: u32 = 1_000_000;

/// The power button.
#[derive(Debug)]
pub struct PowerButton {
    found: acpi::PowerButton,
}

impl PowerButton {
    /// The button where the firmware tells that it is.
    ///
    /// # Safety
    /// In ring 0; `found` is what the firmware tells, a register in memory is mapped, and other code uses
    /// none of these registers.
    pub unsafe fn new(found: acpi::PowerButton) -> Self {
        Self { found }
    }

    /// Has presses interrupt from now on; false when the firmware does not hand the interrupt over.
    pub fn enable(&mut self) -> bool {
        let acpi::PowerButton::Fixed { enable, control, take_over, .. } = self.found else {
            return true;
        };
        let handed_over = || {
            // SAFETY: this is the control port, and reading it changes nothing, as `new` demands.
            unsafe { Port::<u16>::new(control).read() & SCI_ENABLED != 0 }
        };
        if let Some((port, value)) = take_over.filter(|_| !handed_over()) {
            // SAFETY: the firmware says that this value, written there, hands the interrupt over.
            unsafe { Port::new(port).write(value) };
        }
        if !(0..LOOKS).any(|_| handed_over()) {
            return false;
        }
        // What came before is not meant.
        self.take_pressed();
        // SAFETY: this is the enable port; nothing but the button is to interrupt.
        unsafe { Port::new(enable).write(PRESSED) };
        true
    }

    /// Whether the button was pressed since this was last asked. Legal in interrupt code.
    pub fn take_pressed(&mut self) -> bool {
        match self.found {
            acpi::PowerButton::Fixed { status, .. } => {
                let mut port = Port::<u16>::new(status);
                // SAFETY: this is the status port, of which a bit is cleared by writing it, as `new` demands.
                unsafe {
                    let pressed = port.read() & PRESSED != 0;
                    port.write(PRESSED);
                    pressed
                }
            }
            acpi::PowerButton::Generic { register, mask, .. } => {
                // SAFETY: the register is mapped, and its own, as `new` demands.
                let events = unsafe { (register as *const u32).read_volatile() };
                events & mask != 0
            }
        }
    }
}
