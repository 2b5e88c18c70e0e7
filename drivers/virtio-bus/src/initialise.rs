//! The steps every driver takes to start its device (3.1.1), none of which waits for good.

use crate::Error;
use virtio_drivers::transport::{DeviceStatus, Transport};

/// The device follows the specification from version 1 on: always asked for (6).
pub const VERSION_1: u64 = 1 << 32;

/// The device reaches memory as the platform has it (6): by an IOMMU, if there is one. It is accepted
/// where it is offered, for a device that insists on it works with no driver that does not. What an
/// IOMMU does until it is programmed, which nothing here does, is the identity that queues and
/// buffers are told by.
pub const ACCESS_PLATFORM: u64 = 1 << 33;

/// How often the status is read while a reset is under way: far more often than any device has needed.
const RESET_READS: usize = 1_000_000;
/// The same where dispatch is deferred. The devices of an emulator need one.
const QUICK_RESET_READS: usize = 1_000;
/// How often a configuration that changes while it is read is read again: one that never comes to
/// rest is the device's mistake.
const CONFIGURATION_READS: usize = 16;

/// Resets the device and settles the features: those of `wanted` it offers, [`ACCESS_PLATFORM`] if it
/// does, and [`VERSION_1`].
/// Queues are made next, then comes [`finish`].
///
/// # Errors
/// [`Error::ResetTimeout`], [`Error::NotModern`], [`Error::FeaturesRefused`].
pub fn start<T: Transport>(device: &mut T, wanted: u64) -> Result<u64, Error> {
    reset(device, RESET_READS)?;
    let known = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    device.set_status(known);
    let features = device.read_device_features() & (wanted | ACCESS_PLATFORM | VERSION_1);
    if features & VERSION_1 == 0 {
        device.set_status(known | DeviceStatus::FAILED);
        return Err(Error::NotModern);
    }
    device.write_driver_features(features);
    device.set_status(known | DeviceStatus::FEATURES_OK);
    if !device.get_status().contains(DeviceStatus::FEATURES_OK) {
        device.set_status(known | DeviceStatus::FAILED);
        return Err(Error::FeaturesRefused);
    }
    Ok(features)
}

/// Resets a device that is not to be used any more: it touches the memory that its queues are made of, and their
/// buffers, no more. Takes a short time, also with a device that does not come out of its reset.
///
/// # Errors
/// [`Error::ResetTimeout`]: nothing is known of the device.
pub fn stop<T: Transport>(device: &mut T) -> Result<(), Error> {
    reset(device, QUICK_RESET_READS)
}

fn reset<T: Transport>(device: &mut T, reads: usize) -> Result<(), Error> {
    device.set_status(DeviceStatus::empty());
    let is_reset = (0..reads).any(|_| device.get_status() == DeviceStatus::empty());
    if is_reset { Ok(()) } else { Err(Error::ResetTimeout) }
}

/// Sets the device going. From here on it uses the memory its queues are made of.
pub fn finish<T: Transport>(device: &mut T) {
    device.set_status(
        DeviceStatus::ACKNOWLEDGE
            | DeviceStatus::DRIVER
            | DeviceStatus::FEATURES_OK
            | DeviceStatus::DRIVER_OK,
    );
}

/// Reads `N` bytes of the device's configuration at `offset`, all of one generation (2.4.1).
///
/// # Errors
/// [`Error::Configuration`].
pub fn read_config_bytes<T: Transport, const N: usize>(
    device: &T,
    offset: usize,
) -> Result<[u8; N], Error> {
    for _ in 0..CONFIGURATION_READS {
        let before = device.read_config_generation();
        let mut bytes = [0; N];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte =
                device.read_config_space::<u8>(offset + place).map_err(|_| Error::Configuration)?;
        }
        if device.read_config_generation() == before {
            return Ok(bytes);
        }
    }
    Err(Error::Configuration)
}
