//! I/O APICs: which vector a device's interrupt pin becomes.

/// Bytes of an I/O APIC's registers.
pub const REGISTERS: u64 = 4096;

/// When a pin is taken to ask for an interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// When it changes to active.
    Edge,
    /// As long as it is active and not acknowledged.
    Level,
}

/// Which level of a pin is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Polarity {
    /// The high one.
    High,
    /// The low one.
    Low,
}

const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const LOW_ACTIVE: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

/// An I/O APIC.
#[derive(Debug)]
pub struct IoApic {
    base: u64,
    first: u32,
    pins: u32,
}

impl IoApic {
    /// The I/O APIC with registers at `base`. Its pin 0 is global interrupt `first`, and its pins
    /// stay as they are.
    ///
    /// # Safety
    /// `base` is an I/O APIC's address, mapped as a device. Several values may stand for one
    /// controller; what they do is then done one after the other.
    pub unsafe fn new(base: u64, first: u32) -> Self {
        let mut ioapic = Self { base, first, pins: 0 };
        ioapic.pins = (ioapic.read(VERSION) >> 16 & 0xff) + 1;
        ioapic
    }

    /// Masks all pins: what the firmware has left.
    pub fn mask_all(&mut self) {
        for pin in 0..self.pins {
            self.write(REDIRECTION + 2 * pin, MASKED);
        }
    }

    /// The pin of global interrupt `interrupt`, if it is one of this controller's.
    pub fn pin(&self, interrupt: u32) -> Option<u32> {
        interrupt.checked_sub(self.first).filter(|pin| *pin < self.pins)
    }

    /// Sends `pin`'s interrupts to vector `vector` of the processor `destination`, and unmasks
    /// it.
    pub fn route(
        &mut self,
        pin: u32,
        vector: u8,
        destination: u8,
        trigger: Trigger,
        polarity: Polarity,
    ) {
        debug_assert!(pin < self.pins);
        let trigger = if trigger == Trigger::Level { LEVEL } else { 0 };
        let polarity = if polarity == Polarity::Low { LOW_ACTIVE } else { 0 };
        self.write(REDIRECTION + 2 * pin + 1, u32::from(destination) << 24);
        self.write(REDIRECTION + 2 * pin, u32::from(vector) | trigger | polarity);
    }

    /// Masks `pin`.
    pub fn mask(&mut self, pin: u32) {
        debug_assert!(pin < self.pins);
        let low = self.read(REDIRECTION + 2 * pin);
        self.write(REDIRECTION + 2 * pin, low | MASKED);
    }

    fn read(&mut self, register: u32) -> u32 {
        // SAFETY: `new`'s caller vouched for the address: a select register, and 16 bytes on,
        // the window to the selected one.
        unsafe {
            (self.base as *mut u32).write_volatile(register);
            ((self.base + 0x10) as *const u32).read_volatile()
        }
    }

    fn write(&mut self, register: u32, value: u32) {
        // SAFETY: `new`'s caller vouched for the address: a select register, and 16 bytes on, the
        // window to the selected one. What values of one controller do is done one after the other,
        // says the caller, so that nobody selects in between.
        unsafe {
            (self.base as *mut u32).write_volatile(register);
            ((self.base + 0x10) as *mut u32).write_volatile(value);
        }
    }
}
