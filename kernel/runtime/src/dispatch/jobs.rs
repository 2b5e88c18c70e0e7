//! Jobs by turns: which is next, and its run.

use crate::cpu;
use crate::cpu::deferral::{Outermost, Section};
use crate::cpu::job::{MOST, Work};

/// The next of the jobs that have their bits set: they take turns, so that one that posts itself
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
