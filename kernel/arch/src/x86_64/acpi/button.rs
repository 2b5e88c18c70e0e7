//! The power button: a fixed feature of the power management registers (ACPI 6.5, 4.8.2.2.1.1), or an event of
//! the generic event device (5.6.9), as QEMU's microvm has it.

use super::table::Bytes;
use crate::Error;
use crate::ioapic::{Polarity, Trigger};

/// Where the power button is, and how it is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerButton {
    /// Bits of fixed registers, and the system control interrupt.
    Fixed {
        /// The status and the enable port of the PM1 event block.
        status: u16,
        /// As above.
        enable: u16,
        /// The PM1 control port, which tells whether the interrupt is the operating system's.
        control: u16,
        /// The port and the value by which the operating system takes it over; `None` when it need not.
        take_over: Option<(u16, u8)>,
        /// The ISA line of the system control interrupt.
        line: u8,
    },
    /// A bit of the generic event device's register of events, which is cleared by reading it.
    Generic {
        /// The register's address, four bytes.
        register: u64,
        /// The bit that says that the button was pressed.
        mask: u32,
        /// The global interrupt.
        global: u32,
        /// How it is triggered.
        trigger: Trigger,
        /// Which level is active.
        polarity: Polarity,
    },
}

/// The fixed one, if the FADT has one: its flag says that the button is *not* fixed.
pub(super) fn fixed(fadt: Bytes<'_>, control: u16) -> Result<Option<PowerButton>, Error> {
    const CONTROL_METHOD: u32 = 1 << 4;
    let block = u16::try_from(fadt.u32(56)?).unwrap_or(0);
    let length = u16::from(fadt.u8(88)?);
    let line = u8::try_from(fadt.u16(46)?).ok().filter(|line| *line < 16);
    let Some(line) = line.filter(|_| block != 0 && length >= 4 && control != 0) else {
        return Ok(None);
    };
    if fadt.u32(112)? & CONTROL_METHOD != 0 {
        return Ok(None);
    }
    let command = u16::try_from(fadt.u32(48)?).ok().filter(|port| *port != 0);
    let take_over = command.zip(Some(fadt.u8(52)?)).filter(|(_, value)| *value != 0);
    // The enable bits are the block's second half.
    let enable = block.checked_add(length / 2).ok_or(Error::TableTruncated)?;
    Ok(Some(PowerButton::Fixed { status: block, enable, control, take_over, line }))
}

/// The generic event device's, found in `code` without interpreting the rest: the device's name, its extended
/// interrupt (ACPI 6.5, 6.4.3.6), the region of its register, and the bit for which the button is notified.
pub(super) fn generic(code: &[u8]) -> Option<PowerButton> {
    const EXTENDED_INTERRUPT: [u8; 3] = [0x89, 6, 0];
    const REGION: [u8; 2] = [0x5b, 0x80];
    const MEMORY_AT: [u8; 2] = [0, 0x0c];
    const NOTIFY_PRESSED: [u8; 7] = [0x86, b'P', b'W', b'R', b'B', 0x0a, 0x80];
    let device = code.get(position(code, b"ACPI0013")?..)?;
    let interrupt = device.get(position(device, &EXTENDED_INTERRUPT)? + 3..)?;
    let [flags, 1, number @ ..] = interrupt else { return None };
    let region = device.get(position(device, &REGION)? + 2..)?;
    // Behind a name of four characters.
    let address = region.get(4..)?.strip_prefix(&MEMORY_AT)?;
    let notify = position(device, &NOTIFY_PRESSED)?;
    Some(PowerButton::Generic {
        register: Bytes(address).u32(0).ok()?.into(),
        mask: u32::from(*device.get(notify.checked_sub(1)?)?),
        global: Bytes(number).u32(0).ok()?,
        trigger: if flags & 2 == 0 { Trigger::Level } else { Trigger::Edge },
        polarity: if flags & 4 == 0 { Polarity::High } else { Polarity::Low },
    })
}

fn position(code: &[u8], pattern: &[u8]) -> Option<usize> {
    code.windows(pattern.len()).position(|window| window == pattern)
}
