//! Jobs: the bounded work between an interrupt and the activations it leads to.

use crate::cpu;
use crate::cpu::job::Work;
use crate::dispatch::section;
use crate::dispatch::section::{Outermost, Start};
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
        // SAFETY: `run` alone calls it, on behalf of the code that has the outermost section, which
        // does not use that before it has returned. An argument would be an instruction.
        Self::new(move || work(&mut unsafe { Outermost::assume() }))
    }

    /// Makes the job run when the outermost section ends, or the interrupt; to be called in one
    /// of the two. Constant time.
    #[inline(always)]
    pub fn post(self) {
        section::post(self.bits);
    }
}
