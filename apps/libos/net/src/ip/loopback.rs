//! The loopback: packets of the interface's to itself, which go round without the device (RFC 1122, 3.2.1.3).
//!
//! What is for 127.0.0.0/8 is sent to the interface's own hardware address. A [`Loopback`] stands between the stack and
//! the device's two halves: such frames wait in a queue of its own, which is bounded, and are received from there, by
//! an activation like those of the device. On the way source and destination change places, so that each end is
//! 127.0.0.1 to the other, and both have the interface's address; checksums are sums, and stay right.
//!
//! From the wire nothing comes in that name. Without a `Loopback` none of this is on the way of a frame.

use crate::ip::header::{ADDRESSES, ETHERNET};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use reflex_hil::{Frame, NicCounters, NicError, Receive, Transmit};
use reflex_memory::Pool;
use spin::{Mutex, Once};

/// Most frames that wait; what is beyond them is lost, as on any link.
const WAITING: usize = 64;
/// The network that loops back.
const NETWORK: u8 = 127;
/// Where a frame says what it is, or that it has a tag, of so many bytes, in front of that.
const TYPE: usize = 12;
const TAG: usize = 4;
const IPV4_TYPE: [u8; 2] = [0x08, 0x00];
const VLAN_TYPE: [u8; 2] = [0x81, 0x00];
/// The hardware address of an interface that is the loopback alone: locally administered.
const ALONE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MTU: usize = 1500;

/// Where packets go round. Copies are of the same.
#[derive(Clone)]
pub struct Loopback(Arc<Inner>);

struct Inner {
    frames: Mutex<VecDeque<Frame>>,
    /// Frames wait.
    waits: AtomicBool,
    pool: &'static Pool,
    wake: Once<Box<dyn Fn() + Send + Sync>>,
}

impl Loopback {
    /// One with buffers from `pool`.
    pub fn new(pool: &'static Pool) -> Self {
        let frames = Mutex::new(VecDeque::with_capacity(WAITING));
        Self(Arc::new(Inner { frames, waits: AtomicBool::new(false), pool, wake: Once::new() }))
    }

    /// The two halves of a device, with this between them and the stack.
    pub fn around(
        &self,
        receive: Box<dyn Receive>,
        transmit: Box<dyn Transmit>,
    ) -> (Box<dyn Receive>, Box<dyn Transmit>) {
        let scratch = alloc::vec![0; ETHERNET + transmit.mtu()];
        let own = transmit.mac();
        let receiver = Receiver { looped: self.clone(), device: receive, device_first: false };
        let transmitter = Transmitter { looped: self.clone(), device: transmit, own, scratch };
        (Box::new(receiver), Box::new(transmitter))
    }

    /// The two halves of an interface without a device.
    pub fn alone(&self) -> (Box<dyn Receive>, Box<dyn Transmit>) {
        self.around(Box::new(NoDevice), Box::new(NoDevice))
    }

    /// From now on `wake` is called when frames wait, and activates what takes them. To be called once.
    pub fn wake_by(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.0.wake.call_once(|| Box::new(wake));
    }

    /// Has a frame wait to be received. One that there is no room for is lost.
    fn put(&self, bytes: &[u8]) {
        let Ok(mut buffer) = self.0.pool.bytes(bytes.len()) else { return };
        buffer.copy_from_slice(bytes);
        exchange_addresses(&mut buffer);
        let Some(frame) = Frame::new(buffer, 0..bytes.len() as u16) else { return };
        let mut frames = self.0.frames.lock();
        if frames.len() < WAITING {
            frames.push_back(frame);
            self.0.waits.store(true, Relaxed);
        }
    }

    fn take(&self) -> Option<Frame> {
        let mut frames = self.0.frames.lock();
        let frame = frames.pop_front();
        self.0.waits.store(!frames.is_empty(), Relaxed);
        frame
    }

    fn waits(&self) -> bool {
        self.0.waits.load(Relaxed)
    }
}

/// Has source and destination of an IPv4 packet change places.
fn exchange_addresses(frame: &mut [u8]) {
    let addresses = ETHERNET + ADDRESSES..ETHERNET + ADDRESSES + 8;
    if let Some(addresses) = frame.get_mut(addresses) {
        addresses.rotate_left(4);
    }
}

/// Whether a frame claims to come from the loopback. It may have a tag, which the stack takes out.
fn is_forged(frame: &[u8]) -> bool {
    let tag = if frame.get(TYPE..TYPE + 2) == Some(&VLAN_TYPE) { TAG } else { 0 };
    frame.get(TYPE + tag..TYPE + tag + 2) == Some(&IPV4_TYPE)
        && frame.get(ETHERNET + tag + ADDRESSES) == Some(&NETWORK)
}

struct Receiver {
    looped: Loopback,
    device: Box<dyn Receive>,
    /// They take turns.
    device_first: bool,
}

impl Receiver {
    /// The device's next frame that is not forged. A flood of such is left for the next time, so that others run.
    fn of_device(&mut self) -> Option<Frame> {
        for _ in 0..WAITING {
            let frame = self.device.next()?;
            if !is_forged(&frame) {
                return Some(frame);
            }
        }
        None
    }
}

impl Receive for Receiver {
    fn next(&mut self) -> Option<Frame> {
        self.device_first = !self.device_first;
        match self.device_first {
            true => self.of_device().or_else(|| self.looped.take()),
            false => self.looped.take().or_else(|| self.of_device()),
        }
    }

    fn add_buffers(&mut self, more: &'static Pool) {
        self.device.add_buffers(more);
    }

    fn enable(&mut self) -> bool {
        // Both: where frames wait here, the device's are looked at again, too.
        self.device.enable() | self.looped.waits()
    }

    fn counters(&self) -> NicCounters {
        self.device.counters()
    }
}

struct Transmitter {
    looped: Loopback,
    device: Box<dyn Transmit>,
    own: [u8; 6],
    /// Where a frame is written before it is known which way it goes.
    scratch: Vec<u8>,
}

impl Transmitter {
    fn wake(&self) {
        if self.looped.waits()
            && let Some(wake) = self.looped.0.wake.get()
        {
            wake();
        }
    }
}

impl Transmit for Transmitter {
    fn mac(&self) -> [u8; 6] {
        self.own
    }

    fn mtu(&self) -> usize {
        self.device.mtu()
    }

    fn available(&mut self) -> usize {
        self.device.available()
    }

    fn waiting(&mut self) -> usize {
        self.device.waiting()
    }

    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError> {
        let frame = self.scratch.get_mut(..length).ok_or(NicError::TooLong)?;
        if self.device.available() == 0 {
            return Err(NicError::TransmitFull);
        }
        frame.fill(0);
        fill(frame);
        if frame.starts_with(&self.own) {
            self.looped.put(frame);
            return Ok(());
        }
        self.device.transmit(length, &mut |buffer| buffer.copy_from_slice(frame))
    }

    fn flush(&mut self) {
        self.device.flush();
        self.wake();
    }

    fn notify_when_available(&mut self) -> bool {
        self.wake();
        self.device.notify_when_available()
    }

    fn counters(&self) -> NicCounters {
        self.device.counters()
    }
}

/// A device that is not there: nothing comes, and what is sent is lost.
struct NoDevice;

impl Receive for NoDevice {
    fn next(&mut self) -> Option<Frame> {
        None
    }

    fn add_buffers(&mut self, _: &'static Pool) {}

    fn enable(&mut self) -> bool {
        false
    }

    fn counters(&self) -> NicCounters {
        NicCounters::default()
    }
}

impl Transmit for NoDevice {
    fn mac(&self) -> [u8; 6] {
        ALONE
    }

    fn mtu(&self) -> usize {
        MTU
    }

    fn available(&mut self) -> usize {
        WAITING
    }

    fn waiting(&mut self) -> usize {
        0
    }

    fn transmit(&mut self, _: usize, _: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError> {
        Ok(())
    }

    fn flush(&mut self) {}

    fn notify_when_available(&mut self) -> bool {
        true
    }

    fn counters(&self) -> NicCounters {
        NicCounters::default()
    }
}
