//! The MCFG: where PCI configuration space is in memory (PCI Firmware 3.2, 4.1.2).

use super::table::Bytes;
use crate::Error;

/// A window onto the configuration space of some buses, 1 MiB a bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigurationSpace {
    /// Where bus 0's configuration space is, or would be.
    pub base: u64,
    /// The first bus in the window.
    pub first_bus: u8,
    /// The last bus in the window.
    pub last_bus: u8,
}

impl ConfigurationSpace {
    /// Where the window begins.
    pub fn address(&self) -> u64 {
        self.base + (u64::from(self.first_bus) << 20)
    }

    /// Bytes of the window.
    pub fn length(&self) -> u64 {
        (u64::from(self.last_bus - self.first_bus) + 1) << 20
    }
}

/// The window of segment 0, if the table has one that makes sense.
pub(super) fn parse(table: Bytes<'_>) -> Result<Option<ConfigurationSpace>, Error> {
    for entry in table.after(44).chunks_exact(16) {
        let entry = Bytes(entry);
        let window = ConfigurationSpace {
            base: entry.u64(0)?,
            first_bus: entry.u8(10)?,
            last_bus: entry.u8(11)?,
        };
        let highest = crate::paging::LIMIT - (256 << 20);
        if entry.u16(8)? == 0 && window.first_bus <= window.last_bus && window.base < highest {
            return Ok(Some(window));
        }
    }
    Ok(None)
}
