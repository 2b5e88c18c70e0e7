//! Jobs: the bounded work between an interrupt and the activations it leads to.

use crate::cpu::job::Work;
use crate::section::{Outermost, Section, Start};
use crate::{cpu, section};
use alloc::boxed::Box;
use core::ptr::NonNull;
use reflex_event::Error;

pub use crate::cpu::job::{Job, MOST};

/// Sets what the last job does.
pub(crate) fn set_last(start: &Start, work: fn()) {
    cpu::this().last_job.set(start, work);
}

impl Job {
    /// Adds a job that does `work`.
    ///
    /// # Errors
    /// [`Error::TableFull`] when there are [`MOST`] already.
    pub fn new(work: impl FnMut() + Send + 'static) -> Result<Self, Error> {
        let work: &'static mut (dyn FnMut() + Send) = Box::leak(Box::new(work));
        section::section(|cs| {
            cpu::this().jobs.with(cs, |table| {
                let place = table.iter().position(Option::is_none).ok_or(Error::TableFull)?;
                table[place] = Some(Work(NonNull::from(work)));
                Ok(Self { bits: 1 << place })
            })
        })
    }

    /// [`new`](Self::new), for work that is given the section it runs in.
    pub(crate) fn in_section(
        mut work: impl FnMut(&mut Outermost) + Send + 'static,
    ) -> Result<Self, Error> {
        // SAFETY: `run` alone calls it, on behalf of who has the outermost section, and does not
        // use that before it has returned. An argument would be an instruction.
        Self::new(move || work(&mut unsafe { Outermost::assume() }))
    }

    /// Makes the job run when the outermost section ends, or the interrupt; to be called in one
    /// of the two. Constant time.
    #[inline(always)]
    pub fn post(self) {
        section::post(self.bits);
    }
}

/// Whose turn it is of those whose bits are set: they take turns, so that one that posts itself
/// keeps none from running.
#[inline(always)]
pub(crate) fn turn(cs: &Section, waiting: u64) -> u64 {
    let latest = cpu::this().latest_job.get(cs);
    let after = waiting & !(latest | latest.wrapping_sub(1));
    let from = if after != 0 { after } else { waiting };
    let turn = from & from.wrapping_neg();
    cpu::this().latest_job.set(cs, turn);
    turn
}

/// Runs the job of a bit; without one, none.
#[inline(always)]
pub(crate) fn run(outermost: &mut Outermost, bit: u64) {
    let place = bit.trailing_zeros() as usize;
    if place < MOST {
        if let Some(Work(mut work)) = cpu::this().jobs.with(outermost, |table| table[place]) {
            // SAFETY: the box was leaked, and this is the only place that calls it: jobs
            // run one after the other, in a section, and do not call this function.
            unsafe { work.as_mut()() }
        }
    } else if bit != 0 {
        cpu::this().last_job.get()();
    }
}
