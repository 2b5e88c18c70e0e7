//! A network device in memory, its driver opened, and the frames between them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use reflex_hil::{Receive, Transmit};
use reflex_memory::Pool;
use reflex_virtio_fake::{DeviceRing, FakeDevice, HostHal, frames};
use reflex_virtio_net::{HEADER, Info, Receiver, Rings, Transmitter, open};
use virtio_drivers::transport::DeviceType;

pub(crate) const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
pub(crate) const MTU_FEATURE: u64 = 1 << 3;
pub(crate) const MAC_FEATURE: u64 = 1 << 5;
pub(crate) const STATUS_FEATURE: u64 = 1 << 16;

/// A configuration: address, link up, one pair of queues, MTU.
pub(crate) fn config(mtu: u16) -> [u8; 12] {
    let mut config = [0; 12];
    config[..6].copy_from_slice(&MAC);
    config[6] = 1;
    config[8] = 1;
    config[10..].copy_from_slice(&mtu.to_le_bytes());
    config
}

/// A device with two queues of at most `most` slots.
pub(crate) fn device(features: u64, mtu: u16, most: u32) -> FakeDevice {
    FakeDevice::new(DeviceType::Network, features, &config(mtu), 2, most)
}

/// An opened interface, and the device's side of it.
pub(crate) struct Bench {
    pub(crate) device: FakeDevice,
    pub(crate) receiver: Receiver<HostHal>,
    pub(crate) transmitter: Transmitter<HostHal, FakeDevice>,
    pub(crate) info: Info,
    pub(crate) pool: &'static Pool,
    pub(crate) receive: DeviceRing,
    pub(crate) transmit: DeviceRing,
}

/// An interface with these rings, and `spare` buffers more than the receive ring needs.
pub(crate) fn bench(rings: Rings, spare: usize) -> Bench {
    let device = device(MAC_FEATURE, 0, 32768);
    let pool = frames(usize::from(rings.receive) + spare);
    let (receiver, transmitter, info) =
        open::<HostHal, _>(device.clone(), pool, rings).expect("the device opens");
    let (receive, transmit) = (device.ring(0), device.ring(1));
    Bench { device, receiver, transmitter, info, pool, receive, transmit }
}

/// Rings of `receive` and `transmit` slots.
pub(crate) fn rings(receive: u16, transmit: u16) -> Rings {
    Rings { receive, transmit, buffer: 2048 }
}

impl Bench {
    /// The device receives a frame. False when the driver has given it no buffer.
    pub(crate) fn deliver(&mut self, frame: &[u8]) -> bool {
        deliver(&mut self.receive, frame).is_some()
    }

    /// The device takes one frame and sends it; what it sent, without the header.
    pub(crate) fn send(&mut self) -> Option<Vec<u8>> {
        let buffer = self.transmit.take()?;
        assert!(!buffer.writable);
        let bytes = buffer.read();
        assert_eq!(bytes[..HEADER], [0; HEADER], "nothing is offloaded");
        self.transmit.finish(buffer.id.into(), 0);
        Some(bytes[HEADER..].to_vec())
    }

    /// Queues a frame.
    pub(crate) fn queue(&mut self, frame: &[u8]) -> Result<(), reflex_hil::NicError> {
        self.transmitter.transmit(frame.len(), &mut |place| place.copy_from_slice(frame))
    }

    /// All received frames.
    pub(crate) fn drain(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.receiver.next()).map(|frame| frame.to_vec()).collect()
    }
}

/// A device receives a frame into the next buffer; whether the driver wants an interrupt, or
/// `None` when there is no buffer.
pub(crate) fn deliver(ring: &mut DeviceRing, frame: &[u8]) -> Option<bool> {
    let buffer = ring.take()?;
    assert_eq!(buffer.length, 2048);
    // A header as the device writes it: one buffer, no offload.
    let mut bytes = vec![0; HEADER];
    bytes[10] = 1;
    bytes.extend(frame);
    buffer.write(&bytes);
    Some(ring.finish(buffer.id.into(), bytes.len() as u32))
}

/// A frame that says which it is.
pub(crate) fn frame(number: u32, length: usize) -> Vec<u8> {
    let mut frame = vec![number as u8; length.max(14)];
    frame[..4].copy_from_slice(&number.to_le_bytes());
    frame
}
