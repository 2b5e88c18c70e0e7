//! How a device interrupts, and what its driver needs to be told or to do about it.

/// The memory write by which a message-signalled interrupt arrives. The owner of the interrupt
/// controller makes it up; the device's table is programmed with it (PCI 3.0, 6.8.2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsiMessage {
    /// Where the device writes.
    pub address: u64,
    /// What it writes there.
    pub data: u32,
}

/// The kind of interrupt a device has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interrupt {
    /// Message-signalled: edges, nothing to acknowledge at the device.
    Messages {
        /// How many messages the device can tell apart, at least 1.
        vectors: u16,
    },
    /// A wire: level-triggered, active high, held until acknowledged at the device.
    Wired {
        /// The global system interrupt, counted over all IO-APICs as ACPI does.
        gsi: u32,
    },
}

/// What an interrupt handler does about a device, and no more: it quiets it. Apart from the queues,
/// so that the handler shares nothing with the code that serves them.
pub trait Acknowledge: Send {
    /// Takes a wire down, or keeps the device from interrupting until it has been served; to be
    /// called once an interrupt. False when this device had not raised it: another device on the
    /// wire did, or nobody.
    fn acknowledge(&mut self) -> bool;
}
