//! The device's DMA interface, which every QEMU has that images run in: a request in memory, of which the device is
//! told the address.

use super::Items;
use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};
use reflex_arch::port::{Port, PortReadOnly, PortWriteOnly};

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;
/// The request's address, its upper half first; the lower half begins the work. Both are big-endian.
const ADDRESS_HIGH: u16 = 0x514;
const ADDRESS_LOW: u16 = 0x518;

const SIGNATURE: u16 = 0;
const FEATURES: u16 = 1;
const HAS_DMA: u8 = 2;

const FAILED: u32 = 1;
const READ: u32 = 2;
const SKIP: u32 = 4;
const SELECT: u32 = 8;

/// Polls of a request; QEMU has done it before the first.
const PATIENCE: u32 = 1_000_000;

/// What the device is asked for, in its byte order.
#[repr(C)]
struct Request {
    control: u32,
    length: u32,
    address: u64,
}

/// The device, which is there and has the interface.
pub(crate) struct Dma(());

impl Dma {
    /// Looks for the device.
    ///
    /// # Safety
    /// Ring 0, and nothing else uses the device, as long as what is returned lives.
    pub(crate) unsafe fn find() -> Option<Self> {
        // SAFETY: ring 0, and nothing else uses the device, says the caller; where there is none, nothing is at
        // these ports, and what is read is ones.
        let bytes = |item: u16| unsafe {
            Port::new(SELECTOR).write(item);
            let mut data = PortReadOnly::<u8>::new(DATA);
            [data.read(), data.read(), data.read(), data.read()]
        };
        (bytes(SIGNATURE) == *b"QEMU" && bytes(FEATURES)[0] & HAS_DMA != 0).then_some(Self(()))
    }

    /// Has a request done. `target` is where what is read goes.
    fn request(&mut self, control: u32, target: &mut [u8], length: u32) -> bool {
        let address = target.as_mut_ptr().expose_provenance() as u64;
        let mut request =
            Request { control: control.to_be(), length: length.to_be(), address: address.to_be() };
        let place = &raw mut request;
        let at = place.expose_provenance() as u64;
        // SAFETY: ring 0, and the device is ours alone, by `find`'s contract. It reads the request, which lives until
        // it is done, and writes `length` bytes at most to `target`, which is borrowed for it as long (with `SKIP` it
        // writes none); memory is identity mapped. The fences have the compiler write the request before, and read
        // what the device has written afterwards.
        let status = unsafe {
            compiler_fence(Ordering::SeqCst);
            PortWriteOnly::<u32>::new(ADDRESS_HIGH).write(((at >> 32) as u32).to_be());
            PortWriteOnly::<u32>::new(ADDRESS_LOW).write((at as u32).to_be());
            let status = || u32::from_be(ptr::read_volatile(&raw const (*place).control));
            let status = (0..PATIENCE).map(|_| status()).find(|status| *status & !FAILED == 0);
            compiler_fence(Ordering::SeqCst);
            status
        };
        status == Some(0)
    }
}

impl Items for Dma {
    fn read(&mut self, item: u16, offset: u32, bytes: &mut [u8]) -> bool {
        let Ok(length) = u32::try_from(bytes.len()) else { return false };
        let selected = self.request(u32::from(item) << 16 | SELECT | SKIP, &mut [], offset);
        selected && self.request(READ, bytes, length)
    }
}
