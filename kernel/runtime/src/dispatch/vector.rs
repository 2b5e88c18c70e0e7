//! Interrupt vectors: what each is about.

use crate::cpu;
use crate::cpu::job::Job;
use crate::cpu::line::{Line, PendingSignal, Purpose};
use reflex_arch::interrupt::{self as arch, FIRST_VECTOR, VECTORS};
use reflex_event::{Error, EventId};
use reflex_hil::Acknowledge;

/// A vector of one's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector(u8);

impl Vector {
    /// Takes a free vector. What it is raised for is forgotten until [`post`](Self::post) or
    /// [`activate`](Self::activate) has said what it is about.
    ///
    /// # Errors
    /// [`Error::TableFull`].
    pub fn reserve() -> Result<Self, Error> {
        masked(|lines| {
            let place = lines.iter().position(|line| matches!(line.purpose, Purpose::Free));
            let place = place.ok_or(Error::TableFull)?;
            lines[place].purpose = Purpose::Reserved;
            Ok(Self(FIRST_VECTOR + place as u8))
        })
    }

    /// From now on, an interrupt on the vector posts `job`.
    pub fn post(self, job: Job, acknowledge: Option<&'static mut dyn Acknowledge>) {
        self.set(Line { acknowledge, purpose: Purpose::Job(job) });
    }

    /// From now on, an interrupt on the vector is an occurrence of `event`: a job that would only
    /// activate it is spared. A cold path.
    pub fn activate(self, event: EventId, acknowledge: Option<&'static mut dyn Acknowledge>) {
        self.set(Line { acknowledge, purpose: Purpose::Event(event, PendingSignal::of(event)) });
    }

    fn set(self, line: Line) {
        masked(|lines| lines[usize::from(self.0 - FIRST_VECTOR)] = line);
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

/// Runs `work` on the lines with interrupts masked.
pub(crate) fn masked<R>(work: impl FnOnce(&mut [Line; VECTORS]) -> R) -> R {
    let were_enabled = arch::enabled();
    arch::disable();
    // SAFETY: interrupts are masked, and the borrow ends before they are not.
    let result = work(unsafe { cpu::this().lines.get() });
    if were_enabled {
        // SAFETY: they were.
        unsafe { arch::enable() };
    }
    result
}
