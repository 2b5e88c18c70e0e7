//! The device's side of virtio, in memory, driven by a test: a [`FakeDevice`] is the transport a
//! driver opens, and the handle by which the test plays the device, honest or not.
//!
//! The device looks at the rings through raw memory, as a real one does, and never through the
//! driver's types.

mod device;
mod hal;
mod pool;
mod ring;

pub use device::FakeDevice;
pub use hal::HostHal;
pub use pool::{frames, pool_in_use};
pub use ring::{Buffer, DeviceRing};
