//! The table of a device's message-signalled interrupts (PCI 3.0, 6.8.2).

use crate::Error;
use reflex_hil::MsiMessage;
use reflex_pci::Registers;

/// Bytes of an entry: address low, address high, data, control.
const ENTRY: usize = 16;
/// The bit of an entry's control that keeps it quiet.
const MASKED: u32 = 1;

/// A mapped table, its length a multiple of an entry's.
pub(crate) struct MsixTable {
    registers: Registers,
}

impl MsixTable {
    /// The table at `registers`, all entries masked.
    pub(crate) fn new(registers: Registers) -> Self {
        let table = Self { registers };
        for vector in 0..table.vectors() {
            table.registers.write32(vector * ENTRY + 12, MASKED);
        }
        table
    }

    /// Number of entries.
    pub(crate) fn vectors(&self) -> usize {
        self.registers.length() / ENTRY
    }

    /// Makes vector *n* send `messages[n]`, and masks the others.
    pub(crate) fn route(&mut self, messages: &[MsiMessage]) -> Result<(), Error> {
        if messages.is_empty() || messages.len() > self.vectors() {
            return Err(Error::MessageCount);
        }
        for vector in 0..self.vectors() {
            let at = vector * ENTRY;
            // Never is a half-written message live.
            self.registers.write32(at + 12, MASKED);
            if let Some(message) = messages.get(vector) {
                self.registers.write32(at, message.address as u32);
                self.registers.write32(at + 4, (message.address >> 32) as u32);
                self.registers.write32(at + 8, message.data);
                self.registers.write32(at + 12, 0);
            }
        }
        Ok(())
    }
}
