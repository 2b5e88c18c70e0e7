//! virtio 1.x devices: how they are found and spoken to, over PCI and over MMIO.
//!
//! [`pci::discover`] and [`mmio::probe`] find devices; each comes as a [`Device`]: its type, its
//! [`DeviceTransport`] (the transport) and the kind of its interrupt. A driver negotiates with
//! [`start`], makes its [`Queue`]s, and finishes with [`finish`]. Everything is generic over
//! virtio-drivers' `Hal`, which maps registers and lends DMA memory.
//!
//! What a device says is untrusted: capability offsets, lengths, BAR ranges, queue indices are
//! checked here, before anything is done with them. Section numbers are those of the
//! "Virtual I/O Device (VIRTIO) Version 1.1" specification.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod capability;
mod device_transport;
mod dma;
mod doorbell;
mod error;
mod initialise;
pub mod mmio;
mod msix;
pub mod pci;
mod queue;

pub use device_transport::{Device, DeviceTransport, Queues};
pub use dma::Dma;
pub use doorbell::Doorbell;
pub use error::Error;
pub use initialise::{ACCESS_PLATFORM, VERSION_1, finish, read_config_bytes, start, stop};
pub use queue::{Broken, Queue, Quiet, Used};
