//! The registers of a virtio MMIO device, and its interrupt.

use crate::{Doorbell, Error, Queues};
use reflex_hil::Acknowledge;
use reflex_pci::Registers;
use virtio_drivers::PhysAddr;
use virtio_drivers::transport::mmio::{MmioTransport as Inner, VirtIOHeader};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Byte offsets (4.2.2).
const QUEUE_NOTIFY: usize = 0x050;
const INTERRUPT_STATUS: usize = 0x060;
const INTERRUPT_ACKNOWLEDGE: usize = 0x064;

/// A virtio device on MMIO: virtio-drivers' transport, and what it lacks. Dropping it resets the
/// device.
pub struct MmioTransport {
    inner: Inner<'static>,
    registers: Registers,
}

impl MmioTransport {
    /// The device behind the header that `probe` has read: modern, of a known kind.
    pub(super) fn new(kind: DeviceType, registers: Registers) -> Result<Self, Error> {
        let header = registers.at::<VirtIOHeader>(0);
        // SAFETY: the registers are mapped for good and aligned; the length is theirs.
        let inner = unsafe { Inner::new(header, registers.length()) };
        let inner = inner.map_err(|_| Error::UnknownDevice)?;
        // The header was read a second time: it must not have changed meanwhile.
        if inner.requires_legacy_layout() || inner.device_type() != kind {
            return Err(Error::UnknownDevice);
        }
        Ok(Self { inner, registers })
    }

    /// The device's interrupt, for the interrupt handler to acknowledge.
    pub fn interrupt(&self) -> MmioInterrupt {
        MmioInterrupt { registers: self.registers }
    }
}

/// The interrupt of a device on MMIO. Two accesses an acknowledgement, and it shares nothing
/// with the queues.
pub struct MmioInterrupt {
    registers: Registers,
}

impl Acknowledge for MmioInterrupt {
    fn acknowledge(&mut self) -> bool {
        let raised = self.registers.read32(INTERRUPT_STATUS);
        self.registers.write32(INTERRUPT_ACKNOWLEDGE, raised);
        raised != 0
    }
}

impl Queues for MmioTransport {
    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, Error> {
        let register = self.registers.at::<u32>(QUEUE_NOTIFY).cast();
        // SAFETY: mapped for good, aligned, and the notification register of all queues.
        Ok(unsafe { Doorbell::mmio(register, queue) })
    }
}

impl Transport for MmioTransport {
    fn device_type(&self) -> DeviceType {
        self.inner.device_type()
    }

    fn read_device_features(&mut self) -> u64 {
        self.inner.read_device_features()
    }

    fn write_driver_features(&mut self, features: u64) {
        self.inner.write_driver_features(features);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.inner.max_queue_size(queue)
    }

    fn notify(&mut self, queue: u16) {
        self.inner.notify(queue);
    }

    fn get_status(&self) -> DeviceStatus {
        self.inner.get_status()
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.inner.set_status(status);
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
        self.inner.queue_set(queue, size, descriptors, available, used);
    }

    fn queue_unset(&mut self, queue: u16) {
        self.inner.queue_unset(queue);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.inner.queue_used(queue)
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        self.inner.ack_interrupt()
    }

    fn read_config_generation(&self) -> u32 {
        self.inner.read_config_generation()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(
        &self,
        offset: usize,
    ) -> virtio_drivers::Result<T> {
        self.inner.read_config_space(offset)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> virtio_drivers::Result<()> {
        self.inner.write_config_space(offset, value)
    }
}
