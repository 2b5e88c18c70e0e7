//! What a PCI device's capabilities say, read and checked without touching the device.
//!
//! Virtio's structures lie in BARs; vendor-specific capabilities say where (4.1.4). MSI-X is PCI
//! 3.0, 6.8.2.

use crate::Error;

/// Where a structure lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Location {
    /// The BAR, 0 to 5.
    pub(crate) bar: u8,
    /// Bytes into it.
    pub(crate) offset: u32,
    /// Length in bytes.
    pub(crate) length: u32,
}

/// The MSI-X capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Msix {
    /// Where in the configuration space the capability is.
    pub(crate) capability: u8,
    /// Number of table entries, 1 to 2048.
    pub(crate) vectors: u16,
    /// The table, 16 bytes an entry.
    pub(crate) table: Location,
}

/// All that is needed to speak to a virtio device over PCI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Capabilities {
    pub(crate) common: Location,
    pub(crate) notify: Location,
    /// Bytes between the notification registers of consecutive `queue_notify_off`.
    pub(crate) notify_multiplier: u32,
    pub(crate) isr: Location,
    pub(crate) device: Option<Location>,
    pub(crate) msix: Option<Msix>,
}

/// Length of the common configuration, up to and with `queue_device` (4.1.4.3).
const COMMON_LENGTH: u32 = 56;
/// Byte offset of the command and status registers.
const STATUS: u8 = 0x04;
/// The status bit that says that there are capabilities, seen in the double word.
const HAS_CAPABILITIES: u32 = 1 << (16 + 4);
/// Byte offset of the pointer to the first capability.
const FIRST: u8 = 0x34;
/// More capabilities than this do not fit behind the header: 192 bytes, 4 each.
const MOST: usize = 48;
const VENDOR: u8 = 0x09;
const MSIX: u8 = 0x11;

impl Capabilities {
    /// Reads the capabilities of one function, `read` being its configuration space, a double
    /// word at a time. Of several places for a structure the first counts that can be used (4.1.4),
    /// `is_mapped` being whether one lies in memory: notifications by I/O ports may come first.
    pub(crate) fn read(
        read: impl Fn(u8) -> u32,
        is_mapped: impl Fn(&Location) -> bool,
    ) -> Result<Self, Error> {
        let (mut common, mut notify, mut isr, mut device, mut msix) =
            (None, None, None, None, None);
        if read(STATUS) & HAS_CAPABILITIES == 0 {
            return Err(Error::LegacyPci);
        }
        let mut at = read(FIRST) as u8 & !3;
        let mut hops = 0;
        while at != 0 {
            if at < 0x40 || hops == MOST {
                return Err(Error::BadCapabilityChain);
            }
            hops += 1;
            let head = read(at);
            let (id, next) = (head as u8, (head >> 8) as u8 & !3);
            match id {
                VENDOR => {
                    let (length, kind) = ((head >> 16) as u8, (head >> 24) as u8);
                    let needed = if kind == 2 { 20 } else { 16 };
                    // A capability we cannot use may be something else's: it is passed over.
                    if length >= needed
                        && let Some(place) = virtio_place(&read, at, needed)?
                    {
                        let mapped = is_mapped(&place);
                        match kind {
                            1 => prefer(&mut common, place, mapped && is_common(&place)),
                            2 => {
                                let found = (place, read(at + 16));
                                prefer(&mut notify, found, mapped && is_notify(&found));
                            }
                            3 => prefer(&mut isr, place, mapped && place.length >= 1),
                            4 => prefer(&mut device, place, mapped && is_aligned(&place)),
                            _ => {}
                        }
                    }
                }
                MSIX => _ = msix.get_or_insert(msix_capability(&read, at, head)?),
                _ => {}
            }
            at = next;
        }
        let (common, _) = common.ok_or(Error::LegacyPci)?;
        let (notify, _) = notify.ok_or(Error::MissingCapability)?;
        let (isr, _) = isr.ok_or(Error::MissingCapability)?;
        let device = device.map(|(device, _)| device);
        let sound = is_common(&common)
            && is_notify(&notify)
            && isr.length >= 1
            && device.as_ref().is_none_or(is_aligned);
        let (notify, notify_multiplier) = notify;
        if !sound {
            return Err(Error::BadCapability);
        }
        Ok(Self { common, notify, notify_multiplier, isr, device, msix })
    }
}

/// Keeps `place` if it is the first, or the first that is usable.
fn prefer<T>(kept: &mut Option<(T, bool)>, place: T, usable: bool) {
    if kept.as_ref().is_none_or(|kept| usable && !kept.1) {
        *kept = Some((place, usable));
    }
}

fn is_common(place: &Location) -> bool {
    place.length >= COMMON_LENGTH && is_aligned(place)
}

fn is_notify((place, multiplier): &(Location, u32)) -> bool {
    place.length >= 2 && place.offset.is_multiple_of(2) && multiplier.is_multiple_of(2)
}

fn is_aligned(place: &Location) -> bool {
    place.offset.is_multiple_of(4)
}

/// The structure the virtio capability at `at` points to; `None` for a BAR that does not exist,
/// which is reserved and to be passed over (4.1.4.1).
fn virtio_place(read: &impl Fn(u8) -> u32, at: u8, length: u8) -> Result<Option<Location>, Error> {
    check_inside(at, length)?;
    let bar = read(at + 4) as u8;
    let place = Location { bar, offset: read(at + 8), length: read(at + 12) };
    Ok((bar < 6).then_some(place))
}

/// The MSI-X capability at `at`, its first double word being `head`.
fn msix_capability(read: &impl Fn(u8) -> u32, at: u8, head: u32) -> Result<Msix, Error> {
    check_inside(at, 12)?;
    let vectors = ((head >> 16) as u16 & 0x7ff) + 1;
    let table = read(at + 4);
    let bar = table as u8 & 7;
    if bar > 5 {
        return Err(Error::BadCapability);
    }
    let table = Location { bar, offset: table & !7, length: u32::from(vectors) * 16 };
    Ok(Msix { capability: at, vectors, table })
}

/// A capability must end within the 256 bytes.
fn check_inside(at: u8, length: u8) -> Result<(), Error> {
    if u16::from(at) + u16::from(length) > 256 { Err(Error::BadCapabilityChain) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
