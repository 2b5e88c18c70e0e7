//! The registers of a virtio PCI device (4.1.4.3).
//!
//! Written here rather than delegated to virtio-drivers' transport, which trusts the device's
//! capabilities (their chain, their sums), knows no interrupt vectors, needs two more accesses a
//! notification, and waits for good when it is dropped.

use crate::msix::MsixTable;
use crate::{Doorbell, Error, Queues};
use reflex_hil::MsiMessage;
use reflex_pci::Registers;
use virtio_drivers::PhysAddr;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Byte offsets in the common configuration.
mod common {
    pub(super) const DEVICE_FEATURE_SELECT: usize = 0;
    pub(super) const DEVICE_FEATURE: usize = 4;
    pub(super) const DRIVER_FEATURE_SELECT: usize = 8;
    pub(super) const DRIVER_FEATURE: usize = 12;
    pub(super) const CONFIG_MSIX_VECTOR: usize = 16;
    pub(super) const DEVICE_STATUS: usize = 20;
    pub(super) const CONFIG_GENERATION: usize = 21;
    pub(super) const QUEUE_SELECT: usize = 22;
    pub(super) const QUEUE_SIZE: usize = 24;
    pub(super) const QUEUE_MSIX_VECTOR: usize = 26;
    pub(super) const QUEUE_ENABLE: usize = 28;
    pub(super) const QUEUE_NOTIFY_OFF: usize = 30;
    pub(super) const QUEUE_DESC: usize = 32;
    pub(super) const QUEUE_DRIVER: usize = 40;
    pub(super) const QUEUE_DEVICE: usize = 48;
}

/// No interrupt; also what reads back when the device refused a vector.
const NO_VECTOR: u16 = 0xffff;

/// A device's mapped structures, their lengths as the capabilities' check leaves them.
pub(super) struct PciStructures {
    pub(super) common: Registers,
    pub(super) notify: Registers,
    pub(super) notify_multiplier: u32,
    pub(super) isr: Registers,
    pub(super) device: Option<Registers>,
}

/// A virtio device on PCI. Dropping it resets the device, without waiting for it.
pub struct PciTransport {
    kind: DeviceType,
    structures: PciStructures,
    table: MsixTable,
    /// How many vectors have a message.
    routed: u16,
}

impl PciTransport {
    pub(super) fn new(kind: DeviceType, structures: PciStructures, table: MsixTable) -> Self {
        Self { kind, structures, table, routed: 0 }
    }

    /// See [`DeviceTransport::route`](crate::DeviceTransport::route).
    pub(crate) fn route(&mut self, messages: &[MsiMessage]) -> Result<(), Error> {
        self.table.route(messages)?;
        // At most 2048: the table's length.
        self.routed = messages.len() as u16;
        Ok(())
    }

    /// The vector of a queue.
    fn vector(&self, queue: u16) -> u16 {
        self.routed.checked_sub(1).map_or(NO_VECTOR, |last| queue.min(last))
    }

    fn select(&self, queue: u16) {
        self.structures.common.write16(common::QUEUE_SELECT, queue);
    }

    /// A 64-bit field, written in halves as 4.1.3.1 has it.
    fn write64(&self, offset: usize, value: u64) {
        self.structures.common.write32(offset, value as u32);
        self.structures.common.write32(offset + 4, (value >> 32) as u32);
    }
}

impl Queues for PciTransport {
    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, Error> {
        self.select(queue);
        if self.structures.common.read16(common::QUEUE_MSIX_VECTOR) != self.vector(queue) {
            return Err(Error::VectorRefused);
        }
        let offset = u64::from(self.structures.common.read16(common::QUEUE_NOTIFY_OFF))
            * u64::from(self.structures.notify_multiplier);
        if offset + 2 > self.structures.notify.length() as u64 {
            return Err(Error::BadCapability);
        }
        let register = self.structures.notify.at::<u16>(offset as usize).cast();
        // SAFETY: mapped for good, aligned, and the queue's notification register.
        Ok(unsafe { Doorbell::pci(register, queue) })
    }
}

impl Transport for PciTransport {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        let half = |select| {
            self.structures.common.write32(common::DEVICE_FEATURE_SELECT, select);
            u64::from(self.structures.common.read32(common::DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    fn write_driver_features(&mut self, features: u64) {
        for select in 0..2 {
            self.structures.common.write32(common::DRIVER_FEATURE_SELECT, select);
            self.structures
                .common
                .write32(common::DRIVER_FEATURE, (features >> (32 * select)) as u32);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        self.structures.common.read16(common::QUEUE_SIZE).into()
    }

    fn notify(&mut self, queue: u16) {
        if let Ok(mut doorbell) = self.doorbell(queue) {
            doorbell.ring();
        }
    }

    fn get_status(&self) -> DeviceStatus {
        let status = self.structures.common.read8(common::DEVICE_STATUS);
        DeviceStatus::from_bits_truncate(status.into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.structures.common.write8(common::DEVICE_STATUS, status.bits() as u8);
    }

    fn set_guest_page_size(&mut self, _size: u32) {
        // For the legacy layout only.
    }

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        available: PhysAddr,
        used: PhysAddr,
    ) {
        // A change of configuration is nothing we wait for.
        self.structures.common.write16(common::CONFIG_MSIX_VECTOR, NO_VECTOR);
        self.select(queue);
        self.structures.common.write16(common::QUEUE_SIZE, size as u16);
        // Before the queue is enabled; whether the device took it is seen in `doorbell`.
        self.structures.common.write16(common::QUEUE_MSIX_VECTOR, self.vector(queue));
        self.write64(common::QUEUE_DESC, descriptors);
        self.write64(common::QUEUE_DRIVER, available);
        self.write64(common::QUEUE_DEVICE, used);
        self.structures.common.write16(common::QUEUE_ENABLE, 1);
    }

    fn queue_unset(&mut self, _queue: u16) {
        // PCI has no way to do this short of a reset (4.1.4.3.2).
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.structures.common.read16(common::QUEUE_ENABLE) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_truncate(self.structures.isr.read8(0).into())
    }

    fn read_config_generation(&self) -> u32 {
        self.structures.common.read8(common::CONFIG_GENERATION).into()
    }

    /// Fields of 2 and 4 bytes are read whole, as 4.1.3.1 asks, anything else byte by byte.
    fn read_config_space<T: FromBytes + IntoBytes>(
        &self,
        offset: usize,
    ) -> virtio_drivers::Result<T> {
        let registers = config_range(self.structures.device, offset, size_of::<T>())?;
        let mut value = T::new_zeroed();
        let bytes = value.as_mut_bytes();
        match bytes.len() {
            2 if offset.is_multiple_of(2) => {
                bytes.copy_from_slice(&registers.read16(offset).to_le_bytes());
            }
            4 if offset.is_multiple_of(4) => {
                bytes.copy_from_slice(&registers.read32(offset).to_le_bytes());
            }
            _ => {
                for (place, byte) in bytes.iter_mut().enumerate() {
                    *byte = registers.read8(offset + place);
                }
            }
        }
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> virtio_drivers::Result<()> {
        let registers = config_range(self.structures.device, offset, size_of::<T>())?;
        match *value.as_bytes() {
            [a, b] if offset.is_multiple_of(2) => {
                registers.write16(offset, u16::from_le_bytes([a, b]));
            }
            [a, b, c, d] if offset.is_multiple_of(4) => {
                registers.write32(offset, u32::from_le_bytes([a, b, c, d]));
            }
            ref bytes => {
                for (place, byte) in bytes.iter().enumerate() {
                    registers.write8(offset + place, *byte);
                }
            }
        }
        Ok(())
    }
}

impl Drop for PciTransport {
    fn drop(&mut self) {
        self.set_status(DeviceStatus::empty());
    }
}

/// The configuration, when it exists and has `length` bytes at `offset`.
fn config_range(
    registers: Option<Registers>,
    offset: usize,
    length: usize,
) -> virtio_drivers::Result<Registers> {
    let registers = registers.ok_or(virtio_drivers::Error::ConfigSpaceMissing)?;
    let fits = offset.checked_add(length).is_some_and(|end| end <= registers.length());
    if fits { Ok(registers) } else { Err(virtio_drivers::Error::ConfigSpaceTooSmall) }
}
