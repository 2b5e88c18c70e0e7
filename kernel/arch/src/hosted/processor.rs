//! The simulated processor's state. There is one, which belongs to one thread at a time.

use crate::context::{self, Entry};
use crate::x86_64::interrupt::{FIRST_VECTOR, VECTORS, reflex_interrupt, reflex_timer_interrupt};
use core::arch::asm;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};

/// No timer interrupt is to come.
const NEVER: u64 = u64::MAX;

const _: () = assert!(VECTORS == u64::BITS as usize, "a bit for each");

/// The thread that the processor belongs to; 0 when it is nobody's.
static OWNER: AtomicUsize = AtomicUsize::new(0);
/// Interrupts are let through. A static of its own, for code in assembly.
pub(crate) static ENABLED: AtomicBool = AtomicBool::new(false);
/// Pending interrupts, a bit for each vector from the first.
static RAISED: AtomicU64 = AtomicU64::new(0);
/// The time stamp counter.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// When the timer interrupts.
static DEADLINE: AtomicU64 = AtomicU64::new(NEVER);
/// Where the stack was left of what runs the processor.
static OUTSIDE: AtomicUsize = AtomicUsize::new(0);
/// Where the stack was left that the processor halted on.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static CONDITION: AtomicU8 = AtomicU8::new(OFF);

/// There is nothing to go on with.
const OFF: u8 = 0;
/// It runs: what runs it waits.
const RUNNING: u8 = 1;
/// It waits for an interrupt.
const HALTED: u8 = 2;

/// Which thread this is: no other that lives has the same word.
fn thread() -> usize {
    let pointer;
    // SAFETY: the thread pointer points to a word that is its own address (System V ABI for x86-64,
    // thread-local storage, variant II).
    unsafe { asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags)) };
    pointer
}

/// Whether the processor is the calling thread's.
#[inline]
pub fn is_own() -> bool {
    OWNER.load(Relaxed) == thread()
}

/// The processor becomes the calling thread's, as it is after a reset: interrupts masked, the counter 0.
///
/// # Panics
/// When it is a thread's already.
pub fn take() {
    let taken = OWNER.compare_exchange(0, thread(), Acquire, Relaxed);
    assert!(taken.is_ok(), "a thread has the simulated processor already");
    ENABLED.store(false, Relaxed);
    RAISED.store(0, Relaxed);
    COUNT.store(0, Relaxed);
    DEADLINE.store(NEVER, Relaxed);
    CONDITION.store(OFF, Relaxed);
}

/// The processor becomes nobody's. What was left on it is not gone on with.
pub fn release() {
    assert!(is_own(), "the simulated processor is released by the thread that has it");
    CONDITION.store(OFF, Relaxed);
    OWNER.store(0, Release);
}

/// Begins with `entry` and `argument` on the empty stack with the upper end `top`, and returns when the
/// processor halts, or is turned off.
///
/// # Safety
/// As [`context::start`]. The processor is the caller's, and has not been begun with since it was taken.
pub unsafe fn begin(top: usize, entry: Entry, argument: u64) {
    CONDITION.store(RUNNING, Relaxed);
    // SAFETY: the caller's duty; this stack is gone back to once, by `leave`.
    unsafe { context::start(OUTSIDE.as_ptr(), top, entry, [argument, 0, 0]) }
}

/// Has a halted processor go on with the interrupts that are pending, and returns when it halts again, or is
/// turned off. False when it had not halted.
pub fn run() -> bool {
    assert!(is_own(), "the simulated processor is run by the thread that has it");
    if !is_halted() {
        return false;
    }
    cross(&OUTSIDE, &INSIDE, RUNNING);
    true
}

/// Whether it waits for an interrupt.
pub fn is_halted() -> bool {
    CONDITION.load(Relaxed) == HALTED
}

/// Whether it runs: the caller is code on it.
fn is_running() -> bool {
    CONDITION.load(Relaxed) == RUNNING
}

/// Turns the processor off, on which this runs: the rest of it is not gone on with.
pub fn turn_off() -> ! {
    leave(OFF);
    unreachable!("a processor that is off does not go on")
}

/// Goes back to what runs the processor.
fn leave(condition: u8) {
    assert!(is_own() && is_running(), "only code on the simulated processor halts it");
    cross(&INSIDE, &OUTSIDE, condition);
}

/// Goes from the caller's side to the other one, and returns when that comes back. The processor's condition has
/// said that it is the caller's turn, and will say that it is the other's.
fn cross(own: &AtomicUsize, other: &AtomicUsize, condition: u8) {
    CONDITION.store(condition, Relaxed);
    // SAFETY: it was the caller's turn, so the other side has left its stack there, in here or in `begin`, and has
    // not been gone back to since. Both are of the one thread that has the processor.
    unsafe { context::switch(own.as_ptr(), other.load(Relaxed)) };
}

/// Makes an interrupt pending.
pub fn raise(vector: u8) {
    let place = vector.wrapping_sub(FIRST_VECTOR);
    assert!(usize::from(place) < VECTORS, "vector {vector} has no entry");
    RAISED.fetch_or(1 << place, Relaxed);
}

/// Time stamp counts so far, as looked at from outside: that takes no time.
pub fn count() -> u64 {
    COUNT.load(Relaxed)
}

/// Sets the counter forward. It is not set back.
pub fn advance_to(count: u64) {
    COUNT.fetch_max(count, Relaxed);
}

/// When the timer is to interrupt, by the counter, if it does.
pub fn deadline() -> Option<u64> {
    let deadline = DEADLINE.load(Relaxed);
    (deadline != NEVER && CONDITION.load(Relaxed) != OFF).then_some(deadline)
}

/// Reads the counter, which takes a nanosecond. What is due by then interrupts.
pub(crate) fn read_counter() -> u64 {
    if !(is_own() && is_running()) {
        return count();
    }
    let count = count() + 1;
    COUNT.store(count, Relaxed);
    interrupt();
    count
}

pub(super) fn arm(nanos: u64) {
    DEADLINE.store(COUNT.load(Relaxed).saturating_add(nanos), Relaxed);
}

pub(super) fn disarm() {
    DEADLINE.store(NEVER, Relaxed);
}

pub(super) fn enabled() -> bool {
    ENABLED.load(Relaxed)
}

pub(super) fn disable() {
    ENABLED.store(false, Relaxed);
}

pub(super) fn enable() {
    ENABLED.store(true, Relaxed);
    interrupt();
}

/// Lets interrupts through; when there is none, halts until it is gone on with.
pub(super) fn halt() {
    ENABLED.store(true, Relaxed);
    if !interrupt() {
        leave(HALTED);
        interrupt();
    }
}

/// Serves what is pending as long as interrupts are let through, the timer's first; false when nothing was.
fn interrupt() -> bool {
    let mut served = false;
    while ENABLED.load(Relaxed) && is_running() {
        let raised = RAISED.load(Relaxed);
        if DEADLINE.load(Relaxed) <= COUNT.load(Relaxed) {
            disarm();
            masked(|| reflex_timer_interrupt());
        } else if raised != 0 {
            let place = raised.trailing_zeros();
            RAISED.store(raised & !(1 << place), Relaxed);
            masked(|| reflex_interrupt(u64::from(FIRST_VECTOR) + u64::from(place)));
        } else {
            break;
        }
        served = true;
    }
    served
}

/// Calls the kernel for an interrupt, as the processor does.
fn masked(call: impl FnOnce()) {
    ENABLED.store(false, Relaxed);
    call();
    ENABLED.store(true, Relaxed);
}
