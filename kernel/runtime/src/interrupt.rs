//! Interrupts: acknowledge, post the job, nothing else.

use crate::cpu::job::Job;
use crate::cpu::line::{Line, Purpose, Slot};
use crate::section::{Free, Outermost, Section};
use crate::timer::When;
use crate::{attempt, cpu, dispatch, idle, inbox, measure, timer};
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
        self.set(Line { acknowledge, purpose: Purpose::Event(event, Slot::of(event)) });
    }

    /// From now on, an interrupt on the vector expires timers.
    pub(crate) fn expire(self, job: Job) {
        self.set(Line { acknowledge: None, purpose: Purpose::Timer(job) });
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
fn masked<R>(work: impl FnOnce(&mut [Line; VECTORS]) -> R) -> R {
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

/// Every interrupt, masked, on the interrupted stack.
#[unsafe(no_mangle)]
extern "C" fn reflex_interrupt(vector: u64) {
    measure::masked_from();
    idle::woken();
    let place = (vector as usize).wrapping_sub(usize::from(FIRST_VECTOR)) % VECTORS;
    // SAFETY: interrupts are masked.
    let line = unsafe { &mut cpu::this().lines.get()[place] };
    if let Some(device) = &mut line.acknowledge {
        device.acknowledge();
    }
    timer::end_of_interrupt();
    let Ok(mut outermost) = Outermost::open() else {
        measure::interrupted();
        match line.purpose {
            Purpose::Event(event, slot) => inbox::fire(slot, event),
            Purpose::Job(job) => job.post(),
            Purpose::Timer(job) => {
                job.post();
                // SAFETY: a section is open, and whoever has it does not run before this has returned;
                // or it is given up where it is, and then the section stays.
                attempt::tick(unsafe { Section::assume() });
            }
            Purpose::Free | Purpose::Reserved => {}
        }
        measure::masked_until();
        return;
    };
    measure::masked_until();
    // The line is not looked at any more once the next interrupt may be.
    if let Purpose::Event(event, _) = line.purpose {
        let_through();
        // An event that has been unregistered concerns nobody any more.
        let _ = dispatch::activate_held(&mut outermost, event, 1);
    } else {
        serve_purpose(&mut outermost, line.purpose);
    }
    leave(outermost);
}

/// Does what an interrupt is about that is not an occurrence by itself. Out of the way of those
/// that are. The caller has interrupts masked.
#[inline(never)]
fn serve_purpose(outermost: &mut Outermost, purpose: Purpose) {
    let_through();
    match purpose {
        Purpose::Job(job) => dispatch::service(outermost, job.bits()),
        Purpose::Timer(_) => timer::expire(outermost, When::Now),
        _ => {}
    }
}

/// The end of an interrupt that found no section open: what waits is served, and then interrupts
/// are masked from before the last look until the return. Else those that arrive between the two
/// could pile up their frames on this stack without bound.
#[inline(always)]
fn leave(mut outermost: Outermost) {
    arch::disable();
    measure::masked_from();
    loop {
        let free = outermost.give_up();
        if !free.waits() {
            break;
        }
        outermost = serve(free);
    }
    measure::masked_until();
}

/// Lets interrupts through again in the course of one that has been acknowledged.
#[inline(always)]
fn let_through() {
    // SAFETY: one was taken, so they were enabled.
    unsafe { arch::enable() }
}

#[cold]
#[inline(never)]
fn serve(free: Free) -> Outermost {
    let mut outermost = free.hold();
    measure::masked_until();
    let_through();
    if timer::take_pending(&outermost) {
        timer::expire(&mut outermost, When::Now);
    } else {
        dispatch::service(&mut outermost, 0);
    }
    arch::disable();
    measure::masked_from();
    outermost
}
