//! Taking medians and telling the host.

use alloc::vec::Vec;
use core::cmp::Reverse;
use reflex::bench::timestamp;
use reflex::{Argument, System};
use reflex::{machine_line, measure};

/// Time is counted in instructions.
pub(crate) const ICOUNT: Argument = Argument::flag("icount", "time is counted in instructions");

/// Samples of each figure.
pub(crate) const SAMPLES: usize = 65;

/// How many of the longest sections are told one by one.
const TOLD: usize = 20;

/// Where figures go.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    unit: &'static str,
    /// What reading the counter twice costs by itself.
    overhead: u64,
}

impl Report {
    pub(crate) fn new(system: System) -> Self {
        let unit = if system.flag(ICOUNT) { "instructions" } else { "cycles" };
        let overhead = median((0..SAMPLES).map(|_| {
            let start = timestamp();
            timestamp() - start
        }));
        Self { unit, overhead }
    }

    /// Measures `work`, which tells the counter's values at its start and end.
    pub(crate) fn measure(&self, case: &str, events: usize, mut work: impl FnMut() -> (u64, u64)) {
        let value = median((0..SAMPLES).map(|_| {
            let (start, end) = work();
            end - start
        }));
        self.tell(case, events, value.saturating_sub(self.overhead));
    }

    /// The unit of all figures but sizes.
    pub(crate) fn unit(&self) -> &'static str {
        self.unit
    }

    /// What lies between two values of the counter, less the cost of reading it.
    pub(crate) fn net(&self, (start, end): (u64, u64)) -> u64 {
        (end - start).saturating_sub(self.overhead)
    }

    /// Reports the median of what was measured elsewhere, less the cost of reading the counter.
    pub(crate) fn samples(&self, case: &str, events: usize, samples: &[u64]) {
        let value = median(samples.iter().copied());
        self.tell(case, events, value.saturating_sub(self.overhead));
    }

    /// Reports the longest sections, if they were measured.
    pub(crate) fn sections(&self) {
        if let Some(longest) = measure::longest() {
            self.tell("longest-masked", 0, longest.masked);
            self.tell("longest-deferred", 0, longest.deferred);
        }
        let mut sections: Vec<measure::Section> = measure::sections().collect();
        sections.sort_unstable_by_key(|section| Reverse(section.longest));
        for measure::Section { from, until, longest } in sections.into_iter().take(TOLD) {
            machine_line!(
                "figure events section from={from:#x} until={until:#x} value={longest} unit={}",
                self.unit
            );
        }
    }

    /// Reports `value`.
    pub(crate) fn tell(&self, case: &str, events: usize, value: u64) {
        machine_line!("figure events {case} events={events} value={value} unit={}", self.unit);
    }
}

pub(crate) fn median(samples: impl Iterator<Item = u64>) -> u64 {
    let mut samples: Vec<u64> = samples.collect();
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// Measures one call.
pub(crate) fn once<R>(work: impl FnOnce() -> R) -> (u64, u64) {
    let start = timestamp();
    let result = work();
    let end = timestamp();
    core::hint::black_box(result);
    (start, end)
}
