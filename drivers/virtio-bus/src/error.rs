//! What can go wrong between finding a device and having its queues.

use core::fmt;

/// Why a device cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The PCI device has no virtio 1.x interface.
    LegacyPci,
    /// The MMIO slot has the legacy register layout.
    LegacyMmio,
    /// The MMIO slot has a version number that is neither legacy nor modern.
    UnknownMmioVersion,
    /// Firmware has given the bus behind a PCI bridge no number.
    UnnumberedBridge,
    /// Firmware has left a device behind a PCI bridge without addresses, and so the bridge closed.
    ClosedBridge,
    /// A virtio device of a type without a name.
    UnknownDevice,
    /// A `virtio_mmio.device=` word cannot be read.
    BadSlotWord,
    /// The chain of capabilities leaves the configuration space or never ends.
    BadCapabilityChain,
    /// A structure the device must have is missing.
    MissingCapability,
    /// A structure is too short, misaligned, or does not lie in its BAR.
    BadCapability,
    /// A BAR is absent, an I/O BAR, or has an impossible address or size.
    BadBar,
    /// Firmware left a BAR unassigned and the window for such BARs is full.
    WindowFull,
    /// The PCI device has no MSI-X.
    NoMsix,
    /// No message, or more messages than the device has vectors.
    MessageCount,
    /// The device did not take the interrupt vector of a queue.
    VectorRefused,
    /// The device has no such queue.
    NoQueue,
    /// The queue's size is not a power of two, or more than the device offers.
    QueueSize,
    /// There is no DMA memory left.
    OutOfDmaMemory,
    /// The device did not come out of its reset.
    ResetTimeout,
    /// The device does not offer virtio 1.x.
    NotModern,
    /// The device did not accept the features chosen.
    FeaturesRefused,
    /// The device's configuration is absent, too short, or never consistent.
    Configuration,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LegacyPci => {
                "the PCI device is legacy only: pass disable-legacy=on,disable-modern=off to it"
            }
            Self::LegacyMmio => {
                "the device has the legacy register layout: pass \
                 -global virtio-mmio.force-legacy=false"
            }
            Self::UnknownMmioVersion => "the MMIO slot has an unknown register layout",
            Self::UnnumberedBridge => {
                "the firmware has not numbered the bus behind this bridge or root port, and devices \
                 there are not found: put them on the root bus, or start with SeaBIOS or OVMF"
            }
            Self::ClosedBridge => {
                "the firmware has given no addresses to the device, nor to the bridge or root port that \
                 it is behind: put it on the root bus, or start with SeaBIOS or OVMF"
            }
            Self::UnknownDevice => "the device is of an unknown type",
            Self::BadSlotWord => {
                "a virtio_mmio.device= word is not SIZE@ADDRESS:INTERRUPT, or is out of range"
            }
            Self::BadCapabilityChain => "the device's chain of PCI capabilities is broken",
            Self::MissingCapability => "the device lacks a structure that virtio requires",
            Self::BadCapability => "a structure of the device does not lie in its BAR",
            Self::BadBar => "a BAR of the device is absent or impossible",
            Self::WindowFull => "there is no address space left for the device's BARs",
            Self::NoMsix => "the PCI device has no MSI-X",
            Self::MessageCount => "no interrupt messages, or more than the device has vectors",
            Self::VectorRefused => "the device refused a queue's interrupt vector",
            Self::NoQueue => "the device lacks a queue",
            Self::QueueSize => "the queue's size is no power of two or more than the device has",
            Self::OutOfDmaMemory => "there is no DMA memory left",
            Self::ResetTimeout => "the device did not come out of reset",
            Self::NotModern => "the device does not offer virtio 1.x",
            Self::FeaturesRefused => "the device did not accept the features chosen",
            Self::Configuration => "the device's configuration is absent or never consistent",
        })
    }
}

impl core::error::Error for Error {}

impl From<reflex_pci::Error> for Error {
    fn from(error: reflex_pci::Error) -> Self {
        match error {
            reflex_pci::Error::BadBar => Self::BadBar,
            reflex_pci::Error::OutsideBar => Self::BadCapability,
            reflex_pci::Error::WindowFull => Self::WindowFull,
        }
    }
}
