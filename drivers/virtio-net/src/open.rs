//! From a device to its two halves.

use crate::{ETHERNET, Error, HEADER, RECEIVE_BUFFER, Receiver, Transmitter};
use reflex_memory::Pool;
use reflex_virtio_bus::{Queue, Queues, finish, read_config_bytes, start};
use virtio_drivers::Hal;
use virtio_drivers::transport::DeviceType;

/// Feature bits (5.1.3).
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
const STATUS: u64 = 1 << 16;

/// Byte offsets in the device's configuration (5.1.4).
const MAC_OFFSET: usize = 0;
const STATUS_OFFSET: usize = 6;
const MTU_OFFSET: usize = 10;
/// The status bit that says that there is a link.
const LINK_UP: u8 = 1;

/// Queue numbers (5.1.2).
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// The payload of Ethernet without extensions.
const ETHERNET_MTU: u16 = 1500;
/// What IPv4 requires of any link (RFC 791).
const LEAST_MTU: u16 = 68;
/// The payload of jumbo frames, as far as anybody has them.
const MOST_MTU: u16 = 9000;

/// How many frames the device may hold each way. Powers of two; a device with a smaller ring
/// gets as many as it can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rings {
    /// Receive buffers, from the pool of frames.
    pub receive: u16,
    /// Bytes of a receive buffer, of which [`HEADER`] and an Ethernet header are no payload: what
    /// [`receive_buffer`] says, or [`RECEIVE_BUFFER`]. An MTU beyond it is not accepted.
    pub buffer: usize,
    /// Transmit buffers, about the MTU each, from DMA memory.
    pub transmit: u16,
}

impl Default for Rings {
    fn default() -> Self {
        Self { receive: 256, buffer: RECEIVE_BUFFER, transmit: 256 }
    }
}

/// What an interface is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Longest Ethernet payload, in bytes.
    pub mtu: u16,
    /// Whether there was a link when the device was opened; true when it cannot tell.
    pub link_up: bool,
    /// The rings as they came out.
    pub rings: Rings,
}

/// The two halves of an interface, and what it is like.
pub type Opened<H, T> = (Receiver<H>, Transmitter<H, T>, Info);

/// The MTU that a device offers, if it is one that there can be.
fn offered_mtu<T: Queues>(device: &mut T) -> Result<Option<u16>, Error> {
    if device.read_device_features() & MTU == 0 {
        return Ok(None);
    }
    // It can be read before anything is negotiated (3.1.1).
    let mtu = u16::from_le_bytes(read_config_bytes(device, MTU_OFFSET)?);
    Ok((LEAST_MTU..=MOST_MTU).contains(&mtu).then_some(mtu))
}

/// Bytes of a receive buffer, a power of two, for the frames of a device that has not been opened.
///
/// # Errors
/// [`Error`].
pub fn receive_buffer<T: Queues>(device: &mut T) -> Result<usize, Error> {
    let payload = offered_mtu(device)?.unwrap_or(ETHERNET_MTU);
    let bytes = HEADER + ETHERNET + usize::from(payload);
    Ok(bytes.next_power_of_two().max(RECEIVE_BUFFER))
}

/// Starts a network device. Its receive ring is filled from `frames`, a pool of
/// [`Content::Bytes`](reflex_memory::Content) with buffers that the device can reach: each must be
/// contiguous in physical memory.
///
/// Interrupts are on for received frames (queue 0), and off for transmitted ones (queue 1) until
/// they are asked for.
///
/// # Errors
/// [`Error`]; the device is then reset.
pub fn open<H: Hal, T: Queues>(
    mut device: T,
    frames: &'static Pool,
    rings: Rings,
) -> Result<Opened<H, T>, Error> {
    if device.device_type() != DeviceType::Network {
        return Err(Error::OtherDevice);
    }
    // The bounds of a frame in its buffer are 16 bits wide.
    let rings = Rings { buffer: rings.buffer.min(u16::MAX.into()), ..rings };
    // An MTU beyond our buffers must not be accepted (5.1.4.2).
    let fits = |mtu: &u16| HEADER + ETHERNET + usize::from(*mtu) <= rings.buffer;
    let mtu = offered_mtu(&mut device)?.filter(fits);
    let wanted = MAC | STATUS | if mtu.is_some() { MTU } else { 0 };
    let features = start(&mut device, wanted)?;
    if features & MAC == 0 {
        return Err(Error::NoAddress);
    }
    let mac = read_config_bytes(&device, MAC_OFFSET)?;
    let link_up = features & STATUS == 0
        || read_config_bytes::<T, 1>(&device, STATUS_OFFSET)?[0] & LINK_UP != 0;
    let mtu = mtu.unwrap_or(ETHERNET_MTU);

    let size = fit(&mut device, RECEIVE, rings.receive);
    let receive = Queue::<H>::new(&mut device, RECEIVE, size)?;
    // From here on an error resets the device by dropping it, which never was set going: the
    // queues' memory is leaked, for nobody will try again.
    let size = fit(&mut device, TRANSMIT, rings.transmit);
    let transmit = Queue::<H>::new(&mut device, TRANSMIT, size)?;
    let rings = Rings { receive: receive.size(), transmit: transmit.size(), ..rings };
    let mut receiver = Receiver::new(receive, frames, rings.buffer)?;
    let mut transmitter = Transmitter::new(transmit, mac, mtu, device)?;
    finish(transmitter.device());
    receiver.started();
    Ok((receiver, transmitter, Info { mac, mtu, link_up, rings }))
}

/// The size of a queue: what is wanted, or the power of two that the device has.
fn fit<T: Queues>(device: &mut T, queue: u16, wanted: u16) -> u16 {
    let most = device.max_queue_size(queue).min(1 << 15);
    // 0 stays 0, which `Queue::new` refuses with the right error.
    let most = most.checked_ilog2().map_or(0, |log| 1u16 << log);
    wanted.min(most)
}
