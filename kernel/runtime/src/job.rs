//! Jobs: the bounded work between an interrupt and the activations it leads to.

use crate::local::Local;
use crate::section;
use alloc::boxed::Box;
use core::ptr::NonNull;
use reflex_event::Error;

/// How many jobs there can be; the last bit of the pending word is the dispatcher's, and the one
/// before it the burial job's.
pub const MOST: usize = 62;

/// The bit of the job that may not return.
pub(crate) const LAST: u64 = 1 << MOST;

/// A job's work. It lives for ever and is called by nobody but [`run`].
type Work = NonNull<dyn FnMut() + Send>;

/// The work of each job. Reached only in a section.
static WORK: Local<[Option<Work>; MOST]> = Local::new([None; MOST]);

/// The work of the last job. Written at start-up.
static LAST_WORK: Local<fn()> = Local::new(|| ());

/// Sets what the last job does.
pub(crate) fn set_last(work: fn()) {
    // SAFETY: at start-up, before anything else runs.
    unsafe { *LAST_WORK.get() = work }
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
    pub fn new(work: impl FnMut() + Send + 'static) -> Result<Self, Error> {
        let work: &'static mut (dyn FnMut() + Send) = Box::leak(Box::new(work));
        section::section(|| {
            // SAFETY: in a section, and the borrow ends in it.
            let table = unsafe { WORK.get() };
            let place = table.iter().position(Option::is_none).ok_or(Error::TableFull)?;
            table[place] = Some(NonNull::from(work));
            Ok(Self { bits: 1 << place })
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

/// The bit of the job that ran last. Reached only in a section.
static LATEST: Local<u64> = Local::new(0);

/// Whose turn it is of those whose bits are set: they take turns, so that one that posts itself
/// keeps none from running. The caller is in a section.
#[inline(always)]
pub(crate) fn turn(waiting: u64) -> u64 {
    // SAFETY: in a section, and the borrow ends in this function.
    let latest = unsafe { LATEST.get() };
    let after = waiting & !(*latest | latest.wrapping_sub(1));
    let from = if after != 0 { after } else { waiting };
    *latest = from & from.wrapping_neg();
    *latest
}

/// Runs the job of a bit; without one, none. The caller is in a section.
#[inline(always)]
pub(crate) fn run(bit: u64) {
    let place = bit.trailing_zeros() as usize;
    if place < MOST {
        // SAFETY: in a section; the pointer is copied out and the borrow ends here.
        if let Some(mut work) = unsafe { WORK.get()[place] } {
            // SAFETY: the box was leaked, and this is the only place that calls it: jobs
            // run one after the other, in a section, and do not call this function.
            unsafe { work.as_mut()() }
        }
    } else if bit != 0 {
        // SAFETY: written once, at start-up.
        let last = unsafe { *LAST_WORK.get() };
        last();
    }
}
