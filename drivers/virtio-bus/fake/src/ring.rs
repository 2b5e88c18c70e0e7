//! The device's side of a split virtqueue (2.6).

use std::ptr::with_exposed_provenance_mut;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering, fence};

/// What a descriptor tells the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffer {
    /// The slot.
    pub id: u16,
    /// Where the buffer is.
    pub address: u64,
    /// Its length in bytes.
    pub length: u32,
    /// Whether it is the device's to write.
    pub writable: bool,
}

impl Buffer {
    /// The bytes, as the device sees them.
    pub fn read(&self) -> Vec<u8> {
        let memory = with_exposed_provenance_mut::<u8>(self.address as usize);
        // SAFETY: a buffer the driver has lent, of that length; it touches it no more.
        unsafe { slice::from_raw_parts(memory, self.length as usize) }.to_vec()
    }

    /// Writes `bytes` to the buffer's start.
    ///
    /// # Panics
    /// When the driver did not allow that.
    pub fn write(&self, bytes: &[u8]) {
        assert!(self.writable && bytes.len() <= self.length as usize, "not the device's to write");
        let memory = with_exposed_provenance_mut::<u8>(self.address as usize);
        // SAFETY: a buffer the driver has lent, which it touches no more, apart from `bytes`, which
        // are the test's; they fit, as was just asserted.
        unsafe { memory.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

/// A queue as its device sees it. Indices run on by themselves, as the driver's do.
pub struct DeviceRing {
    size: u16,
    descriptors: u64,
    available: u64,
    used: u64,
    seen: u16,
    used_index: u16,
    lies: bool,
}

impl DeviceRing {
    /// The queue at these addresses.
    pub fn new(size: u16, descriptors: u64, available: u64, used: u64) -> Self {
        assert!(size.is_power_of_two());
        let aligned =
            descriptors.is_multiple_of(16) && available.is_multiple_of(2) && used.is_multiple_of(4);
        assert!(aligned, "the driver misplaced the areas of a queue");
        Self { size, descriptors, available, used, seen: 0, used_index: 0, lies: false }
    }

    /// Says that the device returns buffers it never took, so that its own account of them is
    /// off: it then takes none rather than failing the test.
    pub fn lie(&mut self) {
        self.lies = true;
    }

    fn word(&self, area: u64, place: usize) -> &AtomicU16 {
        let address = with_exposed_provenance_mut::<u16>(area as usize + 2 * place);
        // SAFETY: a word of the queue's areas, which the driver keeps as long as the device.
        unsafe { AtomicU16::from_ptr(address) }
    }

    /// How many buffers are waiting for the device.
    pub fn waiting(&self) -> u16 {
        self.word(self.available, 1).load(Ordering::Acquire).wrapping_sub(self.seen)
    }

    /// The next buffer the driver has made available, which is all of one descriptor.
    pub fn take(&mut self) -> Option<Buffer> {
        let id = self.take_id()?;
        let (buffer, next) = self.descriptor(id);
        assert_eq!(next, None, "a chain is not expected");
        Some(buffer)
    }

    /// The next chain of descriptors the driver has made available. The first one's id is the chain's.
    pub fn take_chain(&mut self) -> Option<Vec<Buffer>> {
        let mut chain = Vec::new();
        let mut next = Some(self.take_id()?);
        while let Some(id) = next {
            assert!(chain.len() < usize::from(self.size), "a chain without an end");
            let (buffer, behind) = self.descriptor(id);
            chain.push(buffer);
            next = behind;
        }
        Some(chain)
    }

    /// The id of the next buffer.
    fn take_id(&mut self) -> Option<u16> {
        let waiting = self.waiting();
        assert!(waiting <= self.size || self.lies, "more buffers than the ring has places");
        if waiting == 0 || waiting > self.size {
            return None;
        }
        let place = 2 + usize::from(self.seen % self.size);
        let id = self.word(self.available, place).load(Ordering::Relaxed);
        assert!(id < self.size, "an id that is no slot");
        self.seen = self.seen.wrapping_add(1);
        Some(id)
    }

    /// What a descriptor says, and which is next in its chain.
    fn descriptor(&self, id: u16) -> (Buffer, Option<u16>) {
        assert!(id < self.size, "a descriptor that there is not");
        let at =
            with_exposed_provenance_mut::<u8>(self.descriptors as usize + 16 * usize::from(id));
        // SAFETY: the id is less than the size, so that the descriptor is within the table, which
        // the driver keeps; it wrote it before it showed the id, and the ring's index was read with
        // acquire.
        let (address, length, flags, next) = unsafe {
            (
                at.cast::<u64>().read_volatile(),
                at.add(8).cast::<u32>().read_volatile(),
                at.add(12).cast::<u16>().read_volatile(),
                at.add(14).cast::<u16>().read_volatile(),
            )
        };
        assert_eq!(flags & !3, 0, "indirect descriptors are not expected");
        let buffer = Buffer { id, address, length, writable: flags & 2 != 0 };
        (buffer, (flags & 1 != 0).then_some(next))
    }

    /// Writes an element of the used ring, true or not, without showing it.
    pub fn write_used(&mut self, id: u32, written: u32) {
        let place = 4 + 8 * usize::from(self.used_index % self.size);
        let at = with_exposed_provenance_mut::<u32>(self.used as usize + place);
        // SAFETY: the place is less than the size, so that the element is within the used ring,
        // which the driver keeps; it reads it after the index that is stored with release.
        unsafe {
            at.write_volatile(id);
            at.add(1).write_volatile(written);
        }
        self.used_index = self.used_index.wrapping_add(1);
    }

    /// Shows the driver what was written. True when it wants an interrupt for that.
    pub fn show_used(&mut self) -> bool {
        self.set_used_index(self.used_index);
        fence(Ordering::SeqCst);
        self.wants_interrupt()
    }

    /// [`DeviceRing::write_used`] and [`DeviceRing::show_used`].
    pub fn finish(&mut self, id: u32, written: u32) -> bool {
        self.write_used(id, written);
        self.show_used()
    }

    /// Writes the used ring's index, true or not.
    pub fn set_used_index(&mut self, index: u16) {
        self.word(self.used, 1).store(index, Ordering::Release);
    }

    /// The index to which the used ring was written.
    pub fn used_index(&self) -> u16 {
        self.used_index
    }

    /// Whether the driver wants interrupts now.
    pub fn wants_interrupt(&self) -> bool {
        self.word(self.available, 0).load(Ordering::Relaxed) & 1 == 0
    }

    /// Says whether the device wants notifications.
    pub fn want_notifications(&mut self, want: bool) {
        self.word(self.used, 0).store(u16::from(!want), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}
