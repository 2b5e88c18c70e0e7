//! The driver's side of a split virtqueue (2.6).
//!
//! Descriptor *n* belongs to slot *n* for good, so there is no free list, and no work that grows
//! with anything: a driver describes a slot's buffer, offers the slot, and takes it back. Requests
//! of several parts are [chains](Queue::describe_chained): their driver sets descriptors aside for each that may
//! be in flight, and the slot of the first is offered and comes back. The three areas lie in DMA memory; what the device writes there is checked against
//! our own account of which slots it was shown and has not returned:
//!
//! - an index that runs ahead of what was published, an id that is no slot, or a slot that is not
//!   lent or was not published yet, breaks the queue for good ([`Broken`]): the owner of each
//!   buffer is no longer known;
//! - the length is handed over as it is, for only the driver knows the buffer's.
//!
//! `VIRTIO_F_EVENT_IDX` and indirect descriptors must not be negotiated.

use crate::{Dma, Doorbell, Error, Queues};
use alloc::boxed::Box;
use alloc::vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering, fence};
use reflex_hil::Acknowledge;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// The device broke the queue's contract. Nothing more will come out of the queue, and the
/// buffers that are lent stay so until the device is reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// A slot the device is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// The slot: in range, and lent until now.
    pub slot: u16,
    /// How many bytes the device says it wrote. Not checked.
    pub written: u32,
}

/// 2.6.5.
#[repr(C)]
struct Descriptor {
    address: u64,
    length: u32,
    flags: u16,
    next: u16,
}

/// The buffer goes on in another descriptor.
const NEXT: u16 = 1;
/// The device writes the buffer.
const WRITE: u16 = 2;
/// In the available ring: the device need not interrupt (2.6.7).
const NO_INTERRUPT: u16 = 1;
/// In the used ring: we need not notify (2.6.10).
const NO_NOTIFY: u16 = 1;
/// A slot that is not lent: later than all that was ever published.
const OURS: u64 = u64::MAX;

/// A split virtqueue. Dropping it leaks its memory, for the device may be using it:
/// [`Queue::free`] gives it back.
pub struct Queue<H: Hal> {
    descriptors: NonNull<Descriptor>,
    /// `flags`, `index`, then the ring (2.6.6).
    available: NonNull<u16>,
    /// `flags`, `index` (2.6.8).
    used: NonNull<u16>,
    /// The used ring's pairs of id and length.
    elements: NonNull<u32>,
    /// The size less one, the size being a power of two.
    mask: u16,
    /// Slots put into the available ring so far.
    offered: u64,
    /// Of these, how many the device was shown.
    published: u64,
    /// Of these, how many the device was notified of, or needed no notification of.
    notified: u64,
    /// Elements of the used ring that were taken, modulo 65536.
    taken: u16,
    /// The used ring's index when it was last read, and found possible.
    used_index: u16,
    /// By slot: what `offered` was when the slot was last offered; [`OURS`] when it is not lent.
    /// Wide enough never to run over, so that a slot which the device keeps for long is not taken
    /// for one that it was not shown.
    lent: Box<[u64]>,
    broken: bool,
    doorbell: Doorbell,
    memory: Dma<H>,
}

// SAFETY: the pointers lead into `memory`, which belongs to this value and is moved with it; what
// is shared with `Quiet`s are atomics. `H` is named, never held.
unsafe impl<H: Hal> Send for Queue<H> {}

/// Suppresses a queue's interrupts in interrupt context, where the queue itself belongs to code
/// that may be at work on it: the first interrupt is then the last until [`Queue::enable`].
pub struct Quiet {
    flags: &'static AtomicU16,
}

impl Acknowledge for Quiet {
    #[inline]
    fn acknowledge(&mut self) -> bool {
        // When this comes between the two steps of `enable`, the interrupt it is for makes up for
        // the next one.
        self.flags.store(NO_INTERRUPT, Ordering::Relaxed);
        true
    }
}

impl<H: Hal> Queue<H> {
    /// Sets queue `index` of a device up, between negotiation and [`finish`](crate::finish). All
    /// slots are ours; interrupts are on.
    ///
    /// # Errors
    /// [`Error::NoQueue`], [`Error::QueueSize`], [`Error::OutOfDmaMemory`], and those of
    /// [`Queues::doorbell`].
    pub fn new<T: Queues>(device: &mut T, index: u16, size: u16) -> Result<Self, Error> {
        let most = device.max_queue_size(index);
        if most == 0 {
            return Err(Error::NoQueue);
        }
        // 32768 is the largest power of two, so that the 16-bit indices tell full from empty.
        if !size.is_power_of_two() || u32::from(size) > most {
            return Err(Error::QueueSize);
        }
        let layout = Layout::new(size);
        let memory = Dma::<H>::new(layout.length, BufferDirection::Both)?;
        let base = memory.memory();
        let at = |offset: usize| memory.physical() + offset as u64;
        device.queue_set(index, size.into(), at(0), at(layout.available), at(layout.used));
        // On an error the memory is leaked: the device was told of it.
        let doorbell = device.doorbell(index)?;
        // SAFETY: all offsets are within the memory, which is as long as the layout says; the
        // elements begin behind the two words at `used`.
        let (available, used, elements) = unsafe {
            let used = base.add(layout.used);
            (base.add(layout.available), used, used.add(4))
        };
        Ok(Self {
            descriptors: base.cast(),
            available: available.cast(),
            used: used.cast(),
            elements: elements.cast(),
            mask: size - 1,
            offered: 0,
            published: 0,
            notified: 0,
            taken: 0,
            used_index: 0,
            lent: vec![OURS; usize::from(size)].into(),
            broken: false,
            doorbell,
            memory,
        })
    }

    /// How many slots there are.
    pub fn size(&self) -> u16 {
        self.mask + 1
    }

    /// Writes the descriptor of `slot`: `length` bytes at `address`, which the device reads
    /// (`DriverToDevice`) or writes (otherwise).
    ///
    /// # Safety
    /// The slot exists and is not lent.
    #[inline]
    pub unsafe fn describe(
        &mut self,
        slot: u16,
        address: PhysAddr,
        length: u32,
        direction: BufferDirection,
    ) {
        let flags = flags(direction);
        // SAFETY: the caller's duty.
        unsafe { self.write(slot, Descriptor { address, length, flags, next: 0 }) };
    }

    /// [`describe`](Self::describe)s a part of a buffer that goes on with what the descriptor of `next` says.
    ///
    /// # Safety
    /// The slots exist and are not lent, nor parts of a buffer of which the first slot is. The chain of
    /// descriptors has an end when its first slot is offered.
    #[inline]
    pub unsafe fn describe_chained(
        &mut self,
        slot: u16,
        address: PhysAddr,
        length: u32,
        direction: BufferDirection,
        next: u16,
    ) {
        let flags = flags(direction) | NEXT;
        // SAFETY: the caller's duty.
        unsafe { self.write(slot, Descriptor { address, length, flags, next }) };
    }

    /// Writes a descriptor.
    ///
    /// # Safety
    /// The slot exists, and neither it nor a buffer that it is a part of is lent.
    #[inline]
    unsafe fn write(&mut self, slot: u16, descriptor: Descriptor) {
        // SAFETY: `slot` exists, so that its descriptor is in the memory, and the device does
        // not look at it while it is not lent: `publish` orders this before it may.
        unsafe { self.descriptors.add(usize::from(slot)).write(descriptor) };
    }

    /// Changes where the buffer of a slot described before is. Its length and direction stay.
    ///
    /// # Safety
    /// The slot exists and is not lent.
    #[inline]
    pub unsafe fn set_address(&mut self, slot: u16, address: PhysAddr) {
        // SAFETY: `slot` exists, so that its descriptor is in the memory; the address is its first
        // field. The device does not look at it while the slot is not lent.
        unsafe { self.descriptors.add(usize::from(slot)).cast::<u64>().write(address) };
    }

    /// Puts `slot` into the available ring. The device sees it after [`Queue::publish`].
    ///
    /// # Safety
    /// The slot exists, is described, and is not lent. Nothing touches the buffer its
    /// descriptor tells of until [`Queue::take`] has returned the slot or the device was reset.
    #[inline]
    pub unsafe fn offer(&mut self, slot: u16) {
        if let Some(lent) = self.lent.get_mut(usize::from(slot)) {
            *lent = self.offered;
        }
        let place = 2 + usize::from(self.offered as u16 & self.mask);
        // The device reads the place after the index says so, and at any time if it misbehaves.
        Self::word(self.available, place).store(slot, Ordering::Relaxed);
        self.offered += 1;
    }

    /// Shows the device what was offered, without notifying it.
    #[inline]
    pub fn publish(&mut self) {
        // The descriptors and the ring are written before the index (2.6.13.3).
        Self::word(self.available, 1).store(self.offered as u16, Ordering::Release);
        self.published = self.offered;
    }

    /// Shows the device what was offered and notifies it, unless nothing was offered since the
    /// last time or it asked for none. True when a notification was sent.
    #[inline]
    pub fn notify(&mut self) -> bool {
        if self.offered == self.notified {
            return false;
        }
        self.publish();
        // The index is written before the flag is read (2.6.13.4.1): the device sets the flag
        // first and looks at the index then, so that one of the two sees the other.
        fence(Ordering::SeqCst);
        self.notified = self.offered;
        let wanted = Self::word(self.used, 0).load(Ordering::Relaxed) & NO_NOTIFY == 0;
        if wanted && !self.broken {
            self.doorbell.ring();
            return true;
        }
        false
    }

    /// The next slot the device is done with.
    ///
    /// # Errors
    /// [`Broken`], and then always.
    #[inline]
    pub fn take(&mut self) -> Result<Option<Used>, Broken> {
        if self.taken == self.used_index && !self.look()? {
            return Ok(None);
        }
        let place = usize::from(self.taken & self.mask) * 2;
        // `look` has seen, with acquire ordering, that the device has written this element. It may
        // write it again meanwhile, if it misbehaves.
        let slot = self.element(place).load(Ordering::Relaxed);
        let written = self.element(place + 1).load(Ordering::Relaxed);
        match self.lent.get_mut(slot as usize) {
            Some(lent) if *lent < self.published => *lent = OURS,
            _ => return Err(self.fail()),
        }
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(Used { slot: slot as u16, written }))
    }

    /// Reads the used ring's index. True when there is something to take.
    #[inline]
    fn look(&mut self) -> Result<bool, Broken> {
        if self.broken {
            return Err(Broken);
        }
        let index = Self::word(self.used, 1).load(Ordering::Acquire);
        // Fewer than 65536 slots are out, so that the low halves tell.
        if index.wrapping_sub(self.taken) > (self.published as u16).wrapping_sub(self.taken) {
            return Err(self.fail());
        }
        self.used_index = index;
        Ok(index != self.taken)
    }

    /// Breaks the queue.
    #[cold]
    fn fail(&mut self) -> Broken {
        self.broken = true;
        self.used_index = self.taken;
        self.suppress();
        Broken
    }

    /// Asks the device not to interrupt for this queue. It may still do so.
    #[inline]
    pub fn suppress(&mut self) {
        Self::word(self.available, 0).store(NO_INTERRUPT, Ordering::Relaxed);
    }

    /// What suppresses the queue's interrupts in interrupt context.
    ///
    /// # Safety
    /// The queue is never [freed](Self::free).
    pub unsafe fn quiet(&self) -> Quiet {
        Quiet { flags: Self::word(self.available, 0) }
    }

    /// Asks the device to interrupt for the next slot it is done with. True when there is
    /// something to take already: no interrupt may come for it, and interrupts are suppressed
    /// again. A broken queue stays suppressed.
    #[inline]
    #[must_use = "there may be something to take for which no interrupt will come"]
    pub fn enable(&mut self) -> bool {
        if self.broken {
            return false;
        }
        Self::word(self.available, 0).store(0, Ordering::Relaxed);
        // The flag is written before the index is read (2.6.7.1), so that a slot used in
        // between is either seen here or interrupted for.
        fence(Ordering::SeqCst);
        let waiting = Self::word(self.used, 1).load(Ordering::Relaxed) != self.taken;
        if waiting {
            self.suppress();
        }
        waiting
    }

    /// Gives the queue's memory back.
    ///
    /// # Safety
    /// The device was reset.
    pub unsafe fn free(self) {
        // SAFETY: the device was reset, says the caller, so that it uses the memory no more; our
        // pointers go with `self`, and a `Quiet` has only been made of a queue that is never freed.
        unsafe { self.memory.free() };
    }

    /// A word of one of the rings, which both sides access: of the available ring `flags`, `index`
    /// and then the places of the ring, of the used ring the first two.
    #[inline]
    fn word<'a>(ring: NonNull<u16>, place: usize) -> &'a AtomicU16 {
        // SAFETY: the callers name `flags`, `index`, or a place that the mask can name, all of
        // which `Layout` has room for; both rings are aligned, and in memory that lives as long as
        // the queue, longer than any use of the reference in here. Within this image it is accessed
        // by atomics alone; the device's accesses are those of another thread.
        unsafe { AtomicU16::from_ptr(ring.add(place).as_ptr()) }
    }

    /// Half an element of the used ring: the id at an even place, the length at an odd one.
    #[inline]
    fn element(&self, place: usize) -> &AtomicU32 {
        // SAFETY: the caller names a half of an element that the mask can name, which `Layout` has
        // room for, four bytes behind an address divisible by 64; the rest as in `word`.
        unsafe { AtomicU32::from_ptr(self.elements.add(place).as_ptr()) }
    }
}

/// The flags of a descriptor that is the only one.
fn flags(direction: BufferDirection) -> u16 {
    if direction == BufferDirection::DriverToDevice { 0 } else { WRITE }
}

/// Where the three areas lie, as byte offsets (2.6).
struct Layout {
    available: usize,
    used: usize,
    length: usize,
}

impl Layout {
    fn new(size: u16) -> Self {
        let size = usize::from(size);
        let available = 16 * size;
        // A cache line of its own for what the device writes; 4 bytes are required.
        let used = (available + 4 + 2 * size + 2).next_multiple_of(64);
        Self { available, used, length: used + 4 + 8 * size + 2 }
    }
}
