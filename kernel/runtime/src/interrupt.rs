//! Interrupts: acknowledge, post the job, nothing else.

use crate::job::Job;
use crate::local::Local;
use crate::{dispatch, idle, measure, section, timer};
use reflex_arch::interrupt::{self as arch, FIRST_VECTOR, VECTORS};
use reflex_event::Error;

/// What quiets a device that interrupts by a level: called in interrupt context, so it may touch
/// the device and post, and nothing else.
pub trait Acknowledge: Sync {
    /// Makes the device withdraw its interrupt.
    fn acknowledge(&self);
}

#[derive(Clone, Copy)]
struct Line {
    acknowledge: Option<&'static dyn Acknowledge>,
    bits: u64,
    taken: bool,
}

/// What each vector does. Written with interrupts masked, read in interrupt context.
static LINES: Local<[Line; VECTORS]> =
    Local::new([Line { acknowledge: None, bits: 0, taken: false }; VECTORS]);

/// A vector of one's own, on which `job` is posted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector(u8);

impl Vector {
    /// Takes a free vector.
    ///
    /// # Errors
    /// [`Error::TableFull`].
    pub fn new(job: Job, acknowledge: Option<&'static dyn Acknowledge>) -> Result<Self, Error> {
        masked(|| {
            // SAFETY: interrupts are masked, and the borrow ends before they are not.
            let lines = unsafe { LINES.get() };
            let place = lines.iter().position(|line| !line.taken).ok_or(Error::TableFull)?;
            lines[place] = Line { acknowledge, bits: job.bit(), taken: true };
            Ok(Self(FIRST_VECTOR + place as u8))
        })
    }

    /// The vector's number, for the device that is to raise it.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Whether the processor is in interrupt context, or has interrupts masked for another reason.
#[inline(always)]
pub fn in_interrupt() -> bool {
    !arch::enabled()
}

fn masked<R>(work: impl FnOnce() -> R) -> R {
    let were_enabled = arch::enabled();
    arch::disable();
    let result = work();
    if were_enabled {
        // SAFETY: they were.
        unsafe { arch::enable() };
    }
    result
}

/// Every interrupt, masked, on the interrupted stack.
#[unsafe(no_mangle)]
extern "C" fn reflex_interrupt(vector: u64) {
    measure::masked_from();
    idle::woken();
    let place = (vector as usize).wrapping_sub(usize::from(FIRST_VECTOR)) % VECTORS;
    // SAFETY: interrupts are masked.
    let line = unsafe { &LINES.get()[place] };
    if let Some(device) = line.acknowledge {
        device.acknowledge();
    }
    timer::end_of_interrupt();
    section::post(line.bits);
    if section::deferred() {
        measure::masked_until();
        return;
    }
    loop {
        section::hold();
        measure::masked_until();
        // SAFETY: an interrupt was taken, so they were enabled, and this one is acknowledged.
        unsafe { arch::enable() };
        dispatch::service();
        // Masked from before the last look until the return: else interrupts that arrive
        // between the two could pile up their frames on this stack without bound.
        arch::disable();
        measure::masked_from();
        if section::give_up() {
            measure::masked_until();
            return;
        }
    }
}
