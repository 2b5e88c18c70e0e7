//! Jobs: the bounded work between an interrupt and the activations it leads to.

use crate::local::{Fixed, Local, LocalCell};
use crate::section::{self, Outermost, Section};
use alloc::boxed::Box;
use core::ptr::NonNull;
use reflex_event::Error;

/// How many jobs there can be; the last bit of the pending word is the dispatcher's, and the one
/// before it the burial job's.
pub const MOST: usize = 62;

/// The bit of the job that may not return.
pub(crate) const LAST: u64 = 1 << MOST;

/// A job's work. It lives for ever and is called by nobody but [`run`].
#[derive(Clone, Copy)]
struct Work(NonNull<dyn FnMut(&mut Outermost) + Send>);

// SAFETY: what it points to is `Send`.
unsafe impl Send for Work {}

/// The work of each job.
static WORK: Local<[Option<Work>; MOST]> = Local::new([None; MOST]);

/// The work of the last job. Written at start-up.
static LAST_WORK: Fixed<fn(&mut Outermost)> = Fixed::new();

/// Sets what the last job does.
///
/// # Safety
/// Called at start-up, before anything else runs.
pub(crate) unsafe fn set_last(work: fn(&mut Outermost)) {
    // SAFETY: the caller's duty.
    unsafe { LAST_WORK.set(work) }
}

/// A job: it runs once for any number of times it was posted since it last ran, with dispatch
/// deferred, so its work is to be bounded and short. Work that may be more is cut off and
/// continued by an activation of some priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    bits: u64,
}

impl Job {
    /// Adds a job that does `work`.
    ///
    /// # Errors
    /// [`Error::TableFull`] when there are [`MOST`] already.
    pub fn new(mut work: impl FnMut() + Send + 'static) -> Result<Self, Error> {
        Self::in_section(move |_| work())
    }

    /// [`new`](Self::new), for work that is given the section it runs in.
    pub(crate) fn in_section(
        work: impl FnMut(&mut Outermost) + Send + 'static,
    ) -> Result<Self, Error> {
        let work: &'static mut (dyn FnMut(&mut Outermost) + Send) = Box::leak(Box::new(work));
        section::section(|cs| {
            WORK.with(cs, |table| {
                let place = table.iter().position(Option::is_none).ok_or(Error::TableFull)?;
                table[place] = Some(Work(NonNull::from(work)));
                Ok(Self { bits: 1 << place })
            })
        })
    }

    /// Makes the job run when the outermost section ends, or the interrupt; to be called in one
    /// of the two. Constant time.
    #[inline(always)]
    pub fn post(self) {
        section::post(self.bits);
    }

    /// The job's bits in the pending word.
    #[inline(always)]
    pub(crate) const fn bits(self) -> u64 {
        self.bits
    }

    /// Both jobs, to be posted together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits }
    }
}

/// The bit of the job that ran last.
static LATEST: LocalCell<u64> = LocalCell::new(0);

/// Whose turn it is of those whose bits are set: they take turns, so that one that posts itself
/// keeps none from running.
#[inline(always)]
pub(crate) fn turn(cs: &Section, waiting: u64) -> u64 {
    let latest = LATEST.get(cs);
    let after = waiting & !(latest | latest.wrapping_sub(1));
    let from = if after != 0 { after } else { waiting };
    let turn = from & from.wrapping_neg();
    LATEST.set(cs, turn);
    turn
}

/// Runs the job of a bit; without one, none.
#[inline(always)]
pub(crate) fn run(outermost: &mut Outermost, bit: u64) {
    let place = bit.trailing_zeros() as usize;
    if place < MOST {
        if let Some(Work(mut work)) = WORK.with(outermost, |table| table[place]) {
            // SAFETY: the box was leaked, and this is the only place that calls it: jobs
            // run one after the other, in a section, and do not call this function.
            unsafe { work.as_mut()(outermost) }
        }
    } else if bit != 0 {
        LAST_WORK.get()(outermost);
    }
}
