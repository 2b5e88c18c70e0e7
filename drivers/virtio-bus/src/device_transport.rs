//! What a device is reached by, once it is found.

use crate::mmio::MmioTransport;
use crate::pci::PciTransport;
use crate::{Doorbell, Error};
use reflex_hil::{Interrupt, MsiMessage};
use virtio_drivers::PhysAddr;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A transport in which each queue has a doorbell of its own.
pub trait Queues: Transport {
    /// The doorbell of a queue that `queue_set` has set up.
    ///
    /// # Errors
    /// [`Error::VectorRefused`] when the device did not take the queue's interrupt vector,
    /// [`Error::BadCapability`] when its notification register lies outside of the device.
    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, Error>;
}

/// A device that was found.
pub struct Device {
    /// What it is.
    pub kind: DeviceType,
    /// How it interrupts.
    pub interrupt: Interrupt,
    /// How it is reached.
    pub transport: DeviceTransport,
}

/// The transport of a device, PCI or MMIO. One type, so that a driver is compiled once.
pub enum DeviceTransport {
    /// Modern PCI with MSI-X.
    Pci(PciTransport),
    /// Modern MMIO.
    Mmio(MmioTransport),
}

impl DeviceTransport {
    /// Routes the queues' interrupts to `messages`: queue *n* to the *n*th, queues beyond the
    /// last share it. To be called before queues are set up. A device on a wire has nothing to
    /// route.
    ///
    /// # Errors
    /// [`Error::MessageCount`].
    pub fn route(&mut self, messages: &[MsiMessage]) -> Result<(), Error> {
        match self {
            Self::Pci(pci) => pci.route(messages),
            Self::Mmio(_) => Ok(()),
        }
    }
}

/// Hands a call to whichever transport it is.
macro_rules! delegate {
    ($self:ident, $transport:ident => $call:expr) => {
        match $self {
            DeviceTransport::Pci($transport) => $call,
            DeviceTransport::Mmio($transport) => $call,
        }
    };
}

impl Queues for DeviceTransport {
    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, Error> {
        delegate!(self, transport => transport.doorbell(queue))
    }
}

impl Transport for DeviceTransport {
    fn device_type(&self) -> DeviceType {
        delegate!(self, transport => transport.device_type())
    }

    fn read_device_features(&mut self) -> u64 {
        delegate!(self, transport => transport.read_device_features())
    }

    fn write_driver_features(&mut self, features: u64) {
        delegate!(self, transport => transport.write_driver_features(features));
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        delegate!(self, transport => transport.max_queue_size(queue))
    }

    fn notify(&mut self, queue: u16) {
        delegate!(self, transport => transport.notify(queue));
    }

    fn get_status(&self) -> DeviceStatus {
        delegate!(self, transport => transport.get_status())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        delegate!(self, transport => transport.set_status(status));
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
        delegate!(self, transport => {
            transport.queue_set(queue, size, descriptors, available, used);
        });
    }

    fn queue_unset(&mut self, queue: u16) {
        delegate!(self, transport => transport.queue_unset(queue));
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        delegate!(self, transport => transport.queue_used(queue))
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        delegate!(self, transport => transport.ack_interrupt())
    }

    fn read_config_generation(&self) -> u32 {
        delegate!(self, transport => transport.read_config_generation())
    }

    fn read_config_space<T: FromBytes + IntoBytes>(
        &self,
        offset: usize,
    ) -> virtio_drivers::Result<T> {
        delegate!(self, transport => transport.read_config_space(offset))
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> virtio_drivers::Result<()> {
        delegate!(self, transport => transport.write_config_space(offset, value))
    }
}
