//! What pool operations cost, in instructions: every one is stepped through and counted.
//!
//! `cargo bench -p reflex-memory` forks; the child runs the operations under the eyes of its
//! parent, which single-steps it (`ptrace`), so the figures are exact and the same in every run.
//! They contain the calls of the exclusion and what it does here: two instructions at each end.

#![allow(clippy::result_large_err, reason = "what is refused comes back")]

use reflex_memory::{Content, Cursor, Exclusion, Granule, Own, Pool};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the pools under test are excluded by; the parent watches its two functions.
struct Watched;

static LAST: AtomicU64 = AtomicU64::new(0);

// SAFETY: the program has one thread, and nothing interrupts it: everybody is excluded anyway.
unsafe impl Exclusion for Watched {
    #[inline(always)]
    fn enter(&self) {
        entered();
    }

    #[inline(always)]
    fn leave(&self) {
        left();
    }
}

#[inline(never)]
extern "C" fn entered() {
    LAST.store(black_box(1), Relaxed);
}

#[inline(never)]
extern "C" fn left() {
    LAST.store(black_box(2), Relaxed);
}

/// Stops for the parent, which counts from here on, under a number.
#[inline(never)]
extern "C" fn begin(operation: u64) {
    // SAFETY: a breakpoint, after which the parent lets the program go on as it was.
    unsafe { std::arch::asm!("int3", in("rdi") operation) };
}

/// To here.
#[inline(never)]
extern "C" fn end() {
    LAST.store(black_box(0), Relaxed);
}

fn pool(bytes: usize, granule: usize) -> &'static Pool {
    #[repr(C, align(4096))]
    #[derive(Clone)]
    struct Page([u8; 4096]);
    let pages = Box::leak(vec![Page([0; 4096]); bytes.div_ceil(4096)].into_boxed_slice());
    let region = NonNull::slice_from_raw_parts(NonNull::from(pages).cast(), bytes);
    let granule = Granule::new(granule).unwrap();
    // SAFETY: the pages are leaked here, zeroed, and nobody else has them.
    let pool = unsafe { Pool::new(region, granule, Content::Objects, &Watched) }.unwrap();
    black_box(Box::leak(Box::new(pool)))
}

/// Operations are told apart by these names; an operation's number is its place.
const NAMES: &[&str] = &[
    "nothing",
    "allocate 32 bytes, as freed just before",
    "free 32 bytes, as allocated just before",
    "allocate 200 bytes, as freed just before",
    "free 200 bytes, as allocated just before",
    "allocate 16 in a row, each",
    "free 16 in a row, each",
    "first of a fresh pool of 2^11 granules",
    "last of a pool of 2^11 granules, freed",
    "first of a fresh pool of 2^20 granules",
    "last of a pool of 2^20 granules, freed",
    "refused, pool of 2^11 granules",
    "stats",
    "random, allocate",
    "random, free",
    "own: allocate 32 bytes",
    "own: lend",
    "own: keep",
    "own: free 32 bytes",
    "reclaim, a step",
];

fn counted<R>(name: &str, work: impl FnOnce() -> R) -> R {
    let number = NAMES.iter().position(|known| *known == name).unwrap() as u64;
    begin(number);
    let result = work();
    end();
    result
}

/// What the child does.
fn child() {
    counted("nothing", || ());
    let small = pool(64 << 10, 32);
    for _ in 0..4 {
        let held = counted(NAMES[1], || small.alloc([1_u64; 4])).unwrap();
        counted(NAMES[2], || drop(held));
    }
    for _ in 0..4 {
        let held = counted(NAMES[3], || small.alloc([1_u64; 25])).unwrap();
        counted(NAMES[4], || drop(held));
    }
    for _ in 0..3 {
        let held = [0_u64; 16].map(|_| counted(NAMES[5], || small.alloc([1_u64; 4])).unwrap());
        for held in held {
            counted(NAMES[6], || drop(held));
        }
    }
    for (bytes, first, last) in [(32 * 2048 + 5 * 2048, 7, 8), ((32 << 20) + (5 << 20), 9, 10)] {
        let fresh = pool(bytes, 32);
        let held = counted(NAMES[first], || fresh.alloc([1_u64; 4])).unwrap();
        counted(NAMES[last], || drop(held));
        counted(NAMES[last], || fresh.stats());
    }
    let mut held = Vec::with_capacity(4096);
    while let Ok(new) = counted(NAMES[11], || small.alloc([1_u64; 4])) {
        held.push(new);
    }
    held.clear();
    counted(NAMES[12], || small.stats());
    random(small);
    random(pool(4 << 20, 32));
    owned(small);
}

/// An owner's life and end.
fn owned(pool: &'static Pool) {
    // SAFETY: this function is the owner's whole run; there is no other `Own` of the pool.
    let own = unsafe { Own::new(pool) };
    for _ in 0..4 {
        let held = counted(NAMES[15], || own.alloc([1_u64; 4])).unwrap();
        let lent = counted(NAMES[16], || held.lend());
        let kept = counted(NAMES[17], || lent.keep(own)).unwrap();
        counted(NAMES[18], || drop(kept));
    }
    while let Ok(held) = own.bytes(40) {
        std::mem::forget(held);
    }
    let mut cursor = Some(Cursor::default());
    while let Some(next) = cursor {
        // SAFETY: the owner's run is over: what it had of its own was dropped or forgotten.
        cursor = counted(NAMES[19], || unsafe { pool.reclaim(next) });
    }
}

/// A long mixed life of a pool.
fn random(pool: &'static Pool) {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut held = Vec::with_capacity(4096);
    for round in 0..1_000 {
        let growing = round / 250 % 2 == 0;
        if random() % 8 < if growing { 6 } else { 2 } {
            // Mostly small.
            let bytes = 1 << (random() % (1 << (random() % 4))).min(14);
            if let Ok(new) = counted(NAMES[13], || pool.bytes(bytes)) {
                held.push(new);
            }
        } else if !held.is_empty() {
            let place = random() as usize % held.len();
            let gone = held.swap_remove(place);
            counted(NAMES[14], || drop(gone));
        }
    }
}

#[derive(Default)]
struct Figure {
    times: u64,
    total: u64,
    least: u64,
    most: u64,
    /// Most in one exclusion.
    section: u64,
}

/// Lets the child run to its next operation, and steps through that.
fn parent(child: i32) -> BTreeMap<u64, Figure> {
    let mut figures = BTreeMap::<u64, Figure>::new();
    wait(child);
    loop {
        resume(child, libc::PTRACE_CONT);
        if !wait(child) {
            return figures;
        }
        let (operation, count, section) = step_through(child);
        let figure =
            figures.entry(operation).or_insert(Figure { least: u64::MAX, ..Figure::default() });
        figure.times += 1;
        figure.total += count;
        figure.least = figure.least.min(count);
        figure.most = figure.most.max(count);
        figure.section = figure.section.max(section);
    }
}

/// Counts up to the operation's end: which it was, instructions, and most of them in one
/// exclusion.
fn step_through(child: i32) -> (u64, u64, u64) {
    let (enter, leave) = (entered as *const () as u64, left as *const () as u64);
    let end = end as *const () as u64;
    let mut at = registers(child);
    let operation = at.rdi;
    let (mut count, mut entered, mut longest) = (0, 0, 0);
    while at.rip != end {
        resume(child, libc::PTRACE_SINGLESTEP);
        assert!(wait(child), "ended in an operation");
        at = registers(child);
        count += 1;
        if at.rip == enter {
            entered = count;
        } else if at.rip == leave {
            longest = longest.max(count - entered);
        }
    }
    (operation, count, longest)
}

/// Lets the child, which has stopped, go on in a way.
fn resume(child: i32, how: libc::c_uint) {
    // SAFETY: nothing of this process is given away.
    unsafe { libc::ptrace(how, child, 0, 0) };
}

/// The registers of the child, which has stopped.
fn registers(child: i32) -> libc::user_regs_struct {
    // SAFETY: they are numbers, for which zeroes are valid.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes that structure there, and is done with it on return.
    unsafe { libc::ptrace(libc::PTRACE_GETREGS, child, 0, &mut registers) };
    registers
}

/// Waits until the child stops; false when it has ended.
fn wait(child: i32) -> bool {
    let mut status = 0;
    // SAFETY: the status is written to where there is room for it.
    unsafe { libc::waitpid(child, &mut status, 0) };
    if libc::WIFEXITED(status) {
        assert_eq!(libc::WEXITSTATUS(status), 0);
        return false;
    }
    assert!(libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) != libc::SIGSEGV, "{status:#x}");
    true
}

fn main() {
    // Cargo's test runs build this as well; it takes too long there.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    // SAFETY: the process has one thread, so the child has all of it.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: the child asks to be traced and stops; neither touches its memory.
            unsafe {
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                libc::raise(libc::SIGSTOP);
            }
            child();
            // SAFETY: all that is to be done is done; the parent has the output.
            unsafe { libc::_exit(0) }
        }
        pid => {
            let figures = parent(pid);
            // The call of `end` and what surrounds it.
            let nothing = figures[&0].least;
            println!(
                "{:44} {:>6} {:>7} {:>7} {:>8}",
                "instructions", "least", "mean", "most", "section"
            );
            for (number, figure) in figures {
                println!(
                    "{:44} {:>6} {:>7.1} {:>7} {:>8}",
                    NAMES[number as usize],
                    figure.least - nothing,
                    figure.total as f64 / figure.times as f64 - nothing as f64,
                    figure.most - nothing,
                    figure.section,
                );
            }
        }
    }
}
