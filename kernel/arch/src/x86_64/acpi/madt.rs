//! The MADT: interrupt controllers and processors (ACPI 6.5, 5.2.12).

use super::table::Bytes;
use crate::Error;
use crate::ioapic::{Polarity, Trigger};
use crate::processors::Processors;

/// An I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Controller {
    /// Where its registers are.
    pub address: u64,
    /// The global interrupt of its pin 0.
    pub first: u32,
}

/// Where an ISA interrupt arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupt {
    /// The global interrupt.
    pub global: u32,
    /// How it is triggered.
    pub trigger: Trigger,
    /// Which level is active.
    pub polarity: Polarity,
}

/// What the MADT says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Madt {
    controllers: [Controller; Self::CONTROLLERS],
    controller_count: usize,
    overrides: [Option<Interrupt>; 16],
    /// Processors that are enabled: those that could be added later are not.
    pub processors: Processors,
}

impl Madt {
    /// The most I/O APICs that are kept; virtual machines have one or two.
    pub const CONTROLLERS: usize = 8;

    pub(super) fn parse(table: Bytes<'_>) -> Result<Self, Error> {
        let mut madt = Self::default();
        let mut rest = table.after(44);
        while let [kind, length, ..] = *rest {
            let length = usize::from(length);
            if length < 2 || length > rest.len() {
                return Err(Error::TableTruncated);
            }
            let (entry, behind) = rest.split_at(length);
            madt.add(kind, Bytes(entry))?;
            rest = behind;
        }
        Ok(madt)
    }

    /// The I/O APICs.
    pub fn controllers(&self) -> &[Controller] {
        &self.controllers[..self.controller_count]
    }

    /// Where ISA interrupt `line` (0 to 15) arrives: at the global interrupt of the same
    /// number, edge-triggered, unless the firmware says otherwise.
    pub fn isa(&self, line: u8) -> Interrupt {
        self.overrides.get(usize::from(line)).copied().flatten().unwrap_or(Interrupt {
            global: u32::from(line),
            trigger: Trigger::Edge,
            polarity: Polarity::High,
        })
    }

    fn add(&mut self, kind: u8, entry: Bytes<'_>) -> Result<(), Error> {
        match kind {
            0 => self.add_processor(entry.u32(4)?, u32::from(entry.u8(3)?), u32::from(u8::MAX)),
            9 => self.add_processor(entry.u32(8)?, entry.u32(4)?, u32::MAX),
            1 => {
                let place =
                    self.controllers.get_mut(self.controller_count).ok_or(Error::TooMany)?;
                *place = Controller { address: u64::from(entry.u32(4)?), first: entry.u32(8)? };
                self.controller_count += 1;
            }
            2 => {
                // Two bits each for polarity and trigger; 0 is the ISA bus's own way.
                let flags = entry.u16(8)?;
                let interrupt = Interrupt {
                    global: entry.u32(4)?,
                    polarity: if flags & 3 == 3 { Polarity::Low } else { Polarity::High },
                    trigger: if flags >> 2 & 3 == 3 { Trigger::Level } else { Trigger::Edge },
                };
                if let Some(place) = self.overrides.get_mut(usize::from(entry.u8(3)?)) {
                    *place = Some(interrupt);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds a processor that is enabled; `all` is the identifier that stands for all of them, and so for none.
    fn add_processor(&mut self, flags: u32, id: u32, all: u32) {
        const ENABLED: u32 = 1;
        if flags & ENABLED != 0 && id != all {
            self.processors.add(id);
        }
    }
}
