//! The FADT: the power-management timer and the sleep registers (ACPI 6.5, 5.2.9), with the
//! sleep types of S5 from the DSDT.

use super::button::{self, PowerButton};
use super::table::Bytes;
use crate::Error;

/// Where a register is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// At an I/O port.
    Port(u16),
    /// At a physical address.
    Memory(u64),
}

/// How to enter S5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SleepControl {
    /// PM1a and PM1b control ports (0: none), with the sleep type for each.
    Fixed {
        /// The ports.
        controls: [u16; 2],
        /// What to write to their SLP_TYP fields.
        types: [u8; 2],
    },
    /// The sleep control register of hardware-reduced ACPI.
    Reduced {
        /// The register, one byte.
        control: Register,
        /// What to write to its SLP_TYPx field.
        sleep_type: u8,
    },
}

/// The fields of use.
pub(super) struct Fadt {
    pub(super) dsdt: u64,
    pub(super) pm_timer: Option<u16>,
    pub(super) power_button: Option<PowerButton>,
    pub(super) keyboard: bool,
    controls: [u16; 2],
    reduced: Option<Register>,
}

impl Fadt {
    pub(super) fn parse(table: Bytes<'_>) -> Result<Self, Error> {
        const HARDWARE_REDUCED: u32 = 1 << 20;
        let reduced = table.u32(112)? & HARDWARE_REDUCED != 0;
        let port = |offset| -> Result<u16, Error> {
            Ok(if reduced { 0 } else { u16::try_from(table.u32(offset)?).unwrap_or(0) })
        };
        let dsdt = match table.u64(140) {
            Ok(0) | Err(_) => u64::from(table.u32(40)?),
            Ok(address) => address,
        };
        Ok(Self {
            dsdt,
            pm_timer: Some(port(76)?).filter(|port| *port != 0),
            power_button: if reduced { None } else { button::fixed(table, port(64)?)? },
            keyboard: keyboard(table, reduced)?,
            controls: [port(64)?, port(68)?],
            reduced: if reduced { register(table, 244)? } else { None },
        })
    }

    /// How to enter S5, if `dsdt` has its sleep types and there is a register to write.
    pub(super) fn sleep(&self, dsdt: Bytes<'_>) -> Option<SleepControl> {
        let types = sleep_types(dsdt.0)?;
        match self.reduced {
            Some(control) => Some(SleepControl::Reduced { control, sleep_type: types[0] }),
            None if self.controls[0] != 0 => {
                Some(SleepControl::Fixed { controls: self.controls, types })
            }
            None => None,
        }
    }
}

/// Whether there may be a keyboard controller: by the boot architecture flags (ACPI 6.5, 5.2.9.3), which
/// tables have since revision 3; machines that are older have one.
fn keyboard(table: Bytes<'_>, reduced: bool) -> Result<bool, Error> {
    const FLAGGED_SINCE: u8 = 3;
    const KEYBOARD: u16 = 1 << 1;
    let revision = table.u8(8)?;
    Ok(if revision < FLAGGED_SINCE { !reduced } else { table.u16(109)? & KEYBOARD != 0 })
}

/// The generic address structure at `offset` (ACPI 6.5, 5.2.3.2).
fn register(table: Bytes<'_>, offset: usize) -> Result<Option<Register>, Error> {
    let address = table.u64(offset + 4)?;
    Ok(match table.u8(offset)? {
        0 if address != 0 && address < crate::paging::LIMIT => Some(Register::Memory(address)),
        1 => u16::try_from(address).ok().filter(|port| *port != 0).map(Register::Port),
        _ => None,
    })
}

/// The first two elements of `Name(_S5_, Package() {...})`, found without interpreting the
/// rest: name operator, name, package operator, package length, element count, elements.
fn sleep_types(code: &[u8]) -> Option<[u8; 2]> {
    const NAME_OPERATOR: u8 = 0x08;
    const PACKAGE_OPERATOR: u8 = 0x12;
    let found = code.windows(4).position(|name| name == b"_S5_")?;
    let before = code.get(..found)?;
    let named = before.ends_with(&[NAME_OPERATOR]) || before.ends_with(&[NAME_OPERATOR, b'\\']);
    let [PACKAGE_OPERATOR, length, ..] = *code.get(found + 4..)? else { return None };
    if !named {
        return None;
    }
    // The length's first byte says how many more there are; then comes the element count.
    let elements = found + 6 + usize::from(length >> 6) + 1;
    let (first, next) = small_integer(code.get(elements..)?)?;
    let second = small_integer(next).map_or(first, |(second, _)| second);
    Some([first, second])
}

/// An integer under 256 at the start of `code`, and what is behind it (ACPI 6.5, 20.2.3).
fn small_integer(code: &[u8]) -> Option<(u8, &[u8])> {
    match code {
        [value @ (0 | 1), rest @ ..] => Some((*value, rest)),
        [0x0a, value, rest @ ..] => Some((*value, rest)),
        [0x0b, value, _, rest @ ..] => Some((*value, rest)),
        [0x0c, value, _, _, _, rest @ ..] => Some((*value, rest)),
        _ => None,
    }
}
