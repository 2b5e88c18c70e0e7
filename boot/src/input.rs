//! Console input: bytes typed at the first serial port, from its interrupt to their reader.
//!
//! [`console_input`] gives the two ends to its first caller: [`InputLine`], which is told what to
//! do about arrivals, and [`Input`], which reads. Until then the port does not interrupt.
//!
//! Between the two lies an [`Intake`]. The interrupt moves bytes from the port into its ring and
//! posts a job. When the ring is full the port is left alone, so that the sender is held up (a real
//! line by its own flow control, QEMU by not delivering), until the reader has made room. Nothing
//! but the two sides' own atomics is shared, so neither waits for the other.

#[cfg(not(test))]
mod line;
mod ring;
#[cfg(test)]
mod tests;

#[cfg(not(test))]
pub use line::{Input, InputLine, console_input};

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use reflex_arch::serial::{FIFO_BYTES, ReceiveStatus, Receiver};
use ring::ByteRing;

/// Bytes that one interrupt takes, with interrupts masked: as many as raise one, half of what the
/// port holds.
const BATCH: usize = FIFO_BYTES / 2;

/// The receiving half of a serial port. All calls are legal from interrupt code and from the code
/// it interrupts.
pub(crate) trait Port {
    /// What there is to take.
    fn status(&self) -> ReceiveStatus;
    /// Takes a byte that is ready.
    fn take(&self) -> u8;
    /// Interrupts while there is something to take.
    fn enable(&self);
    /// Interrupts no more, and takes the wire down.
    fn disable(&self);
}

impl Port for Receiver {
    fn status(&self) -> ReceiveStatus {
        self.status()
    }

    fn take(&self) -> u8 {
        self.take()
    }

    fn enable(&self) {
        self.enable();
    }

    fn disable(&self) {
        self.disable();
    }
}

/// Bytes on their way from the port's interrupt to one reader.
pub(crate) struct Intake<P, const N: usize> {
    port: P,
    ring: ByteRing<N>,
    /// Bytes that nobody has been told of.
    untold: AtomicU32,
    /// The port has been left alone since the ring was full. May be set when it is not so any
    /// more: to enable the port once more does no harm.
    throttled: AtomicBool,
    throttlings: AtomicU32,
    overruns: AtomicU32,
}

impl<P: Port, const N: usize> Intake<P, N> {
    pub(crate) const fn new(port: P) -> Self {
        // Else there might never be room enough to go on.
        const { assert!(N >= FIFO_BYTES) };
        Self {
            port,
            ring: ByteRing::new(),
            untold: AtomicU32::new(0),
            throttled: AtomicBool::new(false),
            throttlings: AtomicU32::new(0),
            overruns: AtomicU32::new(0),
        }
    }

    /// Lets the port interrupt.
    pub(crate) fn start(&self) {
        self.port.enable();
    }

    /// The port's interrupt: takes what there is, at most [`BATCH`] bytes. True when there was
    /// something.
    ///
    /// The wire goes down first and up again last, if there is more by then: interrupts by edges
    /// need one, and those by level must not find it up for nothing.
    pub(crate) fn interrupted(&self) -> bool {
        self.port.disable();
        let mut taken = 0;
        for _ in 0..BATCH.min(self.ring.room()) {
            let status = self.port.status();
            if status.overrun {
                // Interrupts do not nest, so nothing comes between.
                self.overruns.store(self.overruns.load(Relaxed).saturating_add(1), Relaxed);
            }
            if !status.ready {
                break;
            }
            self.ring.push(self.port.take());
            taken += 1;
        }
        self.untold.fetch_add(taken, Relaxed);
        if self.ring.room() > 0 {
            self.port.enable();
        } else if !self.throttled.swap(true, Relaxed) {
            self.throttlings.fetch_add(1, Relaxed);
        }
        taken > 0
    }

    /// How many bytes have arrived since this was last asked. For the job.
    pub(crate) fn arrived(&self) -> u32 {
        self.untold.swap(0, Relaxed)
    }

    /// Takes the first bytes that wait, as many as there are and fit. For one reader.
    pub(crate) fn take(&self, buffer: &mut [u8]) -> usize {
        let taken = self.ring.pop(buffer);
        if self.throttled.load(Relaxed) && self.ring.room() >= FIFO_BYTES {
            // In this order: an interrupt in between may throttle anew, and finds the port enabled
            // then, which it corrects; the other way round the port could stay disabled.
            self.throttled.store(false, Relaxed);
            self.port.enable();
        }
        taken
    }

    /// How many bytes wait.
    pub(crate) fn waiting(&self) -> usize {
        N - self.ring.room()
    }

    /// How often the ring was full and the port was left alone.
    pub(crate) fn throttlings(&self) -> u32 {
        self.throttlings.load(Relaxed)
    }

    /// How often the port has said that it lost bytes.
    pub(crate) fn overruns(&self) -> u32 {
        self.overruns.load(Relaxed)
    }
}
