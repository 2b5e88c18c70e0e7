//! Interrupts: acknowledge, post the job, nothing else.

use crate::inbox::{self, Slot};
use crate::job::Job;
use crate::local::Local;
use crate::{dispatch, idle, measure, section, timer};
use alloc::boxed::Box;
use reflex_arch::interrupt::{self as arch, FIRST_VECTOR, VECTORS};
use reflex_event::{Error, EventId};

/// What quiets a device that interrupts by a level: called in interrupt context, so it may touch
/// the device and post, and nothing else.
pub trait Acknowledge: Sync {
    /// Makes the device withdraw its interrupt.
    fn acknowledge(&self);
}

/// What an interrupt is about.
#[derive(Clone, Copy)]
enum Purpose {
    /// Nobody has asked for the vector.
    Free,
    /// It posts a job.
    Job(Job),
    /// It is an occurrence of an event by itself.
    Event(&'static Slot),
}

#[derive(Clone, Copy)]
struct Line {
    acknowledge: Option<&'static dyn Acknowledge>,
    purpose: Purpose,
}

/// What each vector does. Written with interrupts masked, read in interrupt context.
static LINES: Local<[Line; VECTORS]> =
    Local::new([Line { acknowledge: None, purpose: Purpose::Free }; VECTORS]);

/// A vector of one's own, on which `job` is posted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector(u8);

impl Vector {
    /// Takes a free vector, on which `job` is posted.
    ///
    /// # Errors
    /// [`Error::TableFull`].
    pub fn new(job: Job, acknowledge: Option<&'static dyn Acknowledge>) -> Result<Self, Error> {
        Self::take(Line { acknowledge, purpose: Purpose::Job(job) })
    }

    /// Takes a free vector, each interrupt on which is an occurrence of `event`: a job that would
    /// only activate it is spared. A cold path.
    ///
    /// # Errors
    /// [`Error::TableFull`].
    pub fn of_event(
        event: EventId,
        acknowledge: Option<&'static dyn Acknowledge>,
    ) -> Result<Self, Error> {
        let slot = Box::leak(Box::new(Slot::new(event)));
        Self::take(Line { acknowledge, purpose: Purpose::Event(slot) })
    }

    fn take(line: Line) -> Result<Self, Error> {
        masked(|| {
            // SAFETY: interrupts are masked, and the borrow ends before they are not.
            let lines = unsafe { LINES.get() };
            let place = lines.iter().position(|line| matches!(line.purpose, Purpose::Free));
            let place = place.ok_or(Error::TableFull)?;
            lines[place] = line;
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
    let mut direct = None;
    match line.purpose {
        Purpose::Event(slot) if !section::deferred() => direct = Some(slot.event()),
        Purpose::Event(slot) => inbox::fire(slot),
        Purpose::Job(job) => job.post(),
        Purpose::Free => {}
    }
    if section::deferred() {
        measure::masked_until();
        return;
    }
    loop {
        section::hold();
        measure::masked_until();
        // SAFETY: an interrupt was taken, so they were enabled, and this one is acknowledged.
        unsafe { arch::enable() };
        match direct.take() {
            Some(event) => dispatch::activate_held(event),
            None => dispatch::service(),
        }
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
