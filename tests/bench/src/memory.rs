//! What the global heap costs beside many live blocks and as many holes: `memory-costs` on the command line.
//! Each figure goes to the host as a line `#! figure memory-costs CASE blocks=N value=V unit=U`.

use crate::figure::{Report, median};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;
use core::mem::take;
use reflex::bench::timestamp;
use reflex::{System, machine_line, measure};

/// Numbers of live blocks, and of holes between them.
const BLOCKS: [usize; 3] = [1, 1_000, 100_000];
/// Bytes of each of these: at least, and how many more at most.
const CROWD: (usize, usize) = (16, 496);
/// Sizes of what is taken and given back, in bytes.
const SIZES: [usize; 3] = [24, 200, 1_000];
/// How many blocks of the size measured may be live at a time.
const HELD: usize = 64;
/// How often one is taken or given back, as chance has it.
const TURNS: usize = 4_096;

/// Takes every figure.
pub(crate) fn all(system: System, report: Report) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for blocks in BLOCKS {
        let mut figures = Vec::new();
        let crowd = crowd(blocks, &mut numbers);
        // What went before is not what is measured.
        measure::reset();
        for size in SIZES {
            of_size(report, size, &mut numbers, &mut figures);
        }
        // More than any hole there can be.
        let bytes = system.heap().size + 1;
        let (grown, times) = take_block(bytes);
        figures.push(("heap-grow".into(), report.net(times)));
        // Before a word is said: that takes the console's sections.
        if let Some(longest) = measure::longest() {
            figures.push(("longest-masked".into(), longest.masked));
            figures.push(("longest-deferred".into(), longest.deferred));
        }
        for (case, value) in &figures {
            let unit = report.unit();
            machine_line!("figure memory-costs {case} blocks={blocks} value={value} unit={unit}");
        }
        drop((grown, crowd));
    }
}

/// So many live blocks of different sizes, with a hole behind each.
fn crowd(blocks: usize, numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(2 * blocks);
    all.extend((0..2 * blocks).map(|_| Vec::with_capacity(CROWD.0 + numbers.below(CROWD.1))));
    for hole in all.iter_mut().skip(1).step_by(2) {
        *hole = Vec::new();
    }
    all
}

/// What blocks of one size cost.
fn of_size(report: Report, size: usize, numbers: &mut Numbers, figures: &mut Vec<(String, u64)>) {
    let mut held = [const { Vec::new() }; HELD];
    let mut allocate = Vec::with_capacity(TURNS);
    let mut free = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        let place = &mut held[numbers.below(HELD)];
        if place.capacity() == 0 {
            let (block, times) = take_block(size);
            allocate.push(report.net(times));
            *place = block;
        } else {
            let start = timestamp();
            drop(take(place));
            free.push(report.net((start, timestamp())));
        }
    }
    for (case, samples) in [("heap-allocate", allocate), ("heap-free", free)] {
        let longest = samples.iter().copied().max().unwrap_or(0);
        figures.push((format!("{case}-{size}"), median(samples.into_iter())));
        figures.push((format!("{case}-{size}-longest"), longest));
    }
}

/// A block, and the counter's values before and after it was taken.
fn take_block(bytes: usize) -> (Vec<u8>, (u64, u64)) {
    let start = timestamp();
    let block = black_box(Vec::with_capacity(bytes));
    (block, (start, timestamp()))
}

/// The same numbers in every run (xorshift, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
