//! The disk: requests on their way to the device and back.

use crate::Error;
use crate::slots::{CHAIN, DISCARD_BYTES, Frames, HEADER_BYTES, NAME_BYTES};
use alloc::boxed::Box;
use core::mem;
use core::ptr::NonNull;
use reflex_hil::{
    Block, BlockCounters, BlockDone, BlockError, BlockInfo, BlockOperation, BlockRequest, PIECES,
    Piece, Pieces, Serial, length,
};
use reflex_virtio_bus::{Queue, Queues, Quiet, Used, stop};
use virtio_drivers::BufferDirection::{self, DeviceToDriver, DriverToDevice};
use virtio_drivers::{Hal, PhysAddr};

/// Request types (5.2.6).
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;

/// Statuses (5.2.6).
const OK: u8 = 0;
const IO_ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;

/// A request that is with the device. Its memory is never dropped: only its coming back, or a reset, ends the
/// device's hold.
struct InFlight {
    tag: u64,
    operation: BlockOperation,
    memory: mem::ManuallyDrop<Pieces>,
    /// Where the device finds each piece.
    addresses: [PhysAddr; PIECES],
}

/// A part of a request beside its header and its status.
type Part = (PhysAddr, u32, BufferDirection);

/// What became of a disk that broke its contract.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// It was reset: memory comes back.
    Stopped,
    /// It did not come out of its reset, and may still write to memory that it was given.
    Lost,
}

/// A block device. Dropping it resets the device, and leaves the memory of what was in flight as it is.
pub struct Disk<H: Hal, T> {
    queue: Queue<H>,
    frames: Frames<H>,
    /// By slot.
    in_flight: Box<[Option<InFlight>]>,
    /// The free slots, as a stack of which the first `free_count` count.
    free: Box<[u16]>,
    free_count: usize,
    info: BlockInfo,
    counters: BlockCounters,
    state: State,
    /// Where the look for what a failed device had goes on.
    swept: usize,
    device: T,
}

impl<H: Hal, T: Queues> Disk<H, T> {
    pub(crate) fn new(queue: Queue<H>, frames: Frames<H>, info: BlockInfo, device: T) -> Self {
        let slots = frames.slots();
        Self {
            queue,
            in_flight: (0..slots).map(|_| None).collect(),
            // The first to be used is on top.
            free: (0..slots).rev().collect(),
            free_count: slots.into(),
            frames,
            info,
            counters: BlockCounters::default(),
            state: State::Running,
            swept: 0,
            device,
        }
    }

    pub(crate) fn set_serial(&mut self, serial: Serial) {
        self.info.serial = serial;
    }

    /// What suppresses the device's interrupts in interrupt context.
    pub fn quiet(&self) -> Quiet {
        // SAFETY: nothing in here frees the queue, which is private; dropping it leaks its memory.
        unsafe { self.queue.quiet() }
    }

    /// Asks the device for its name, and waits for the answer until `expired`. No name is one, too: the device
    /// may not know the request. To be called first.
    pub(crate) fn name(
        &mut self,
        mut expired: impl FnMut() -> bool,
    ) -> Result<[u8; NAME_BYTES], Error> {
        let part = (self.frames.name_place(0), NAME_BYTES as u32, DeviceToDriver);
        self.describe(0, GET_ID, 0, &[Some(part), None]);
        self.queue.notify();
        loop {
            match self.queue.take() {
                Ok(Some(_)) => break,
                Ok(None) if !expired() => core::hint::spin_loop(),
                _ => return Err(Error::Silent),
            }
        }
        let known = self.frames.status(0) == OK;
        Ok(if known { self.frames.name(0) } else { [0; NAME_BYTES] })
    }

    /// Puts a request into a slot that is not in flight, and offers it.
    #[inline]
    fn describe(&mut self, slot: u16, kind: u32, sector: u64, parts: &[Option<Part>; PIECES]) {
        let (header, status) = self.frames.begin(slot, kind, sector);
        let first = slot * CHAIN;
        let last = first + CHAIN - 1;
        let mut at = first;
        let mut part = (header, HEADER_BYTES, DriverToDevice);
        let status = (status, 1, DeviceToDriver);
        let rest = parts.iter().flatten().copied().chain([status]);
        // SAFETY: the four descriptors of the slot exist, and are not in flight; the chain ends with the status, in
        // the last of them. Header and status are the slot's, and memory is in `in_flight` until the slot is
        // taken; none of it is touched before.
        unsafe {
            for next in rest {
                let behind = if next == status { last } else { at + 1 };
                self.queue.describe_chained(at, part.0, part.1, part.2, behind);
                (at, part) = (behind, next);
            }
            self.queue.describe(at, part.0, part.1, part.2);
            self.queue.offer(first);
        }
    }

    /// The device can no longer be believed. What it has it gives back, unless it may still write there.
    #[cold]
    fn fail(&mut self) {
        if self.state != State::Running {
            return;
        }
        self.counters.device_errors += 1;
        self.state = match stop(&mut self.device) {
            Ok(()) => State::Stopped,
            Err(_) => State::Lost,
        };
        log::error!("virtio-blk: the device broke its queue, and is stopped");
    }

    /// The next request that a device had when it failed.
    #[cold]
    fn next_of_failed(&mut self) -> Option<BlockDone> {
        let left = self.in_flight.get_mut(self.swept..)?;
        let at = left.iter().position(Option::is_some);
        self.swept += at.map_or(left.len(), |at| at + 1);
        let request = left[at?].take()?;
        self.counters.failed += 1;
        let tag = request.tag;
        let memory = match self.state {
            // SAFETY: the device was reset, and said so.
            State::Stopped => unsafe { take_back::<H>(request) },
            // It stays as it is, for good.
            _ => Pieces::default(),
        };
        Some(BlockDone { tag, result: Err(BlockError::DeviceFailed), memory })
    }

    /// What a request has come to that the device has returned.
    #[inline]
    fn finish(&mut self, used: Used, request: InFlight) -> BlockDone {
        let slot = used.slot / CHAIN;
        if let Some(place) = self.free.get_mut(self.free_count) {
            *place = slot;
            self.free_count += 1;
        }
        let (tag, operation) = (request.tag, request.operation);
        // SAFETY: the device has returned the request.
        let memory = unsafe { take_back::<H>(request) };
        let data = if operation == BlockOperation::Read { length(&memory) } else { 0 };
        let written = u64::from(used.written);
        let result = match self.frames.status(slot) {
            // More than there is room for cannot be; less of what was read is not to be relied on (2.7.8.2).
            _ if written > data + 1 => Err(BlockError::BadAnswer),
            OK if written < data => Err(BlockError::BadAnswer),
            OK => Ok(()),
            IO_ERROR => Err(BlockError::Medium),
            UNSUPPORTED => Err(BlockError::Unsupported),
            _ => Err(BlockError::BadAnswer),
        };
        self.counters.failed += u64::from(result.is_err());
        self.counters.device_errors += u64::from(result == Err(BlockError::BadAnswer));
        BlockDone { tag, result, memory }
    }

    /// The parts of a request beside header and status, its memory shared with the device.
    #[inline]
    fn parts(&mut self, slot: u16, request: &mut BlockRequest) -> [Option<Part>; PIECES] {
        match request.operation {
            BlockOperation::Flush => [None; PIECES],
            BlockOperation::Discard => {
                let segment = self.frames.discard(slot, request.sector, request.sectors);
                [Some((segment, DISCARD_BYTES, DriverToDevice)), None]
            }
            operation => {
                let direction = direction(operation);
                request.memory.each_mut().map(|piece| {
                    let piece = piece.as_mut()?;
                    // SAFETY: the memory is valid, not empty, and ours alone.
                    let address = unsafe { H::share(NonNull::from(&mut *piece.bytes), direction) };
                    Some((address, piece.length, direction))
                })
            }
        }
    }
}

/// Which way the memory of a request goes.
fn direction(operation: BlockOperation) -> BufferDirection {
    if operation == BlockOperation::Read { DeviceToDriver } else { DriverToDevice }
}

/// Takes the memory of a request back.
///
/// # Safety
/// The device has done with it.
unsafe fn take_back<H: Hal>(request: InFlight) -> Pieces {
    let direction = direction(request.operation);
    let mut memory = mem::ManuallyDrop::into_inner(request.memory);
    if !matches!(request.operation, BlockOperation::Read | BlockOperation::Write) {
        // It was not shared.
        return memory;
    }
    for (piece, address) in memory.iter_mut().zip(request.addresses) {
        let Some(Piece { bytes, .. }) = piece else { continue };
        // SAFETY: valid, not empty and ours alone, with the address that `share` gave; the device has done with
        // it, says the caller.
        unsafe { H::unshare(address, NonNull::from(&mut **bytes), direction) };
    }
    memory
}

impl<H: Hal, T: Queues + Send> Block for Disk<H, T> {
    fn info(&self) -> &BlockInfo {
        &self.info
    }

    #[inline]
    fn submit(&mut self, mut request: BlockRequest) -> Result<(), (BlockError, BlockRequest)> {
        if self.state != State::Running {
            return Err((BlockError::DeviceFailed, request));
        }
        if let Err(error) = self.info.check(&request) {
            return Err((error, request));
        }
        let top = self.free_count.wrapping_sub(1);
        let Some(&slot) = self.free.get(top) else { return Err((BlockError::Full, request)) };
        self.free_count = top;
        let operation = request.operation;
        let (kind, sector) = match operation {
            BlockOperation::Read => (IN, request.sector),
            BlockOperation::Write => (OUT, request.sector),
            BlockOperation::Flush => (FLUSH, 0),
            BlockOperation::Discard => (DISCARD, 0),
        };
        let parts = self.parts(slot, &mut request);
        self.describe(slot, kind, sector, &parts);
        let addresses = parts.map(|part| part.map_or(0, |(address, ..)| address));
        let memory = mem::ManuallyDrop::new(request.memory);
        self.in_flight[usize::from(slot)] =
            Some(InFlight { tag: request.tag, operation, memory, addresses });
        self.counters.requests += 1;
        Ok(())
    }

    fn notify(&mut self) {
        self.counters.notifications += u64::from(self.queue.notify());
    }

    #[inline]
    fn next(&mut self) -> Option<BlockDone> {
        if self.state == State::Running {
            match self.queue.take() {
                Ok(None) => return None,
                // The queue returns what was offered: the first descriptor of a slot.
                Ok(Some(used)) => {
                    let request = self.in_flight.get_mut(usize::from(used.slot / CHAIN))?.take()?;
                    return Some(self.finish(used, request));
                }
                Err(_) => self.fail(),
            }
        }
        self.next_of_failed()
    }

    fn enable(&mut self) -> bool {
        if self.state == State::Running {
            return self.queue.enable();
        }
        self.in_flight.iter().any(Option::is_some)
    }

    fn counters(&self) -> BlockCounters {
        self.counters
    }
}
