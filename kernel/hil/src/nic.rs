//! The two halves of a network interface. They share nothing, so each may have an owner of its own.

use crate::Frame;
use core::fmt;
use reflex_memory::Pool;

/// Why a frame was not queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NicError {
    /// Every transmit buffer is with the device.
    TransmitFull,
    /// The frame is longer than the interface carries.
    TooLong,
    /// The device broke its contract and was stopped.
    DeviceFailed,
}

impl fmt::Display for NicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TransmitFull => "all transmit buffers are in use",
            Self::TooLong => "the frame is longer than the interface's MTU",
            Self::DeviceFailed => "the device broke its contract and was stopped",
        })
    }
}

impl core::error::Error for NicError {}

/// What an interface has counted since it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NicCounters {
    /// Frames handed over, received or transmitted.
    pub frames: u64,
    /// Times the device broke its contract: bad ids, bad lengths.
    pub device_errors: u64,
    /// Frames dropped because no buffer could replace theirs in the ring.
    pub no_buffer: u64,
    /// Notifications (VM exits) sent to the device.
    pub notifications: u64,
}

/// The receiving half. After an interrupt, by which the device's interrupts were suppressed, its
/// owner calls [`Receive::next`] until there is nothing, and then [`Receive::enable`].
pub trait Receive: Send {
    /// The next received frame. Its buffer has been replaced in the ring: the ring never runs
    /// dry, and a frame that cannot be replaced is dropped and counted instead.
    fn next(&mut self) -> Option<Frame>;

    /// From now on buffers are taken of `more` too, in the place of ones that do not come back: code that
    /// never goes on may have left pointers to them. A cold path.
    fn add_buffers(&mut self, more: &'static Pool);

    /// Lets the device interrupt again. True when frames arrived meanwhile, so that the caller
    /// goes on instead of waiting for an interrupt that will not come: interrupts are then
    /// suppressed as before.
    #[must_use = "frames may be waiting for which no interrupt will come"]
    fn enable(&mut self) -> bool;

    /// What was counted.
    fn counters(&self) -> NicCounters;
}

/// The transmitting half.
pub trait Transmit: Send {
    /// The interface's hardware address.
    fn mac(&self) -> [u8; 6];

    /// Longest Ethernet payload, in bytes.
    fn mtu(&self) -> usize;

    /// Transmit buffers that are free now; completed ones are taken back first.
    fn available(&mut self) -> usize;

    /// Frames that were queued and that the device has not taken: those that wait for a slow network.
    /// None of a device that has failed.
    fn waiting(&mut self) -> usize;

    /// Queues a frame of `length` bytes that `fill` writes, in place, into the buffer the device
    /// reads. The device is not told before [`Transmit::flush`].
    ///
    /// # Errors
    /// [`NicError`]; `fill` was then not called.
    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError>;

    /// Tells the device of all frames queued since the last flush, with at most one
    /// notification; none when the device asked for none or nothing was queued.
    fn flush(&mut self);

    /// Flushes, and asks for one interrupt when a buffer has become free. True when one already
    /// has; also when the device has failed, which the next [`Transmit::transmit`] reports.
    #[must_use = "a buffer may be free for which no interrupt will come"]
    fn notify_when_available(&mut self) -> bool;

    /// What was counted.
    fn counters(&self) -> NicCounters;
}
