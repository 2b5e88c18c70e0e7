//! Foreground code under fire: registers, SSE state and stack are as they were.

use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::{Error, Priority, System, Tick};

const INTERRUPTS: u32 = 100_000;

static RUNS: AtomicU32 = AtomicU32::new(0);

/// Eight sums that stay in SSE registers between the steps of a loop.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Sums([f64; 8]);

impl Sums {
    const START: Self = Self([1.0, 2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0]);

    fn advance(&mut self, steps: u32) {
        let mut sums = self.0;
        for _ in 0..steps {
            for (place, sum) in sums.iter_mut().enumerate() {
                *sum = *sum * 0.999_999 + place as f64;
            }
        }
        self.0 = sums;
    }
}

/// What the handler does to the same registers.
fn disturb(_: &mut (), tick: Tick) {
    let mut sums = Sums([f64::from(tick.count); 8]);
    sums.advance(black_box(3));
    black_box(sums);
    RUNS.fetch_add(1, Relaxed);
}

/// `main` computes with live SSE registers while 100,000 interrupts run handlers over it.
#[reflex::test(group = "icount")]
fn a_computation_survives_a_hundred_thousand_interrupts(system: System) -> Result<(), Error> {
    let context = system.context("disturber", ()).priority(Priority::HIGH).build()?;
    let timer = system.every(Duration::from_micros(3)).on(context, disturb)?;
    let mut disturbed = Sums::START;
    let mut rounds = 0;
    while RUNS.load(Relaxed) < INTERRUPTS {
        disturbed.advance(1_000);
        rounds += 1;
    }
    timer.remove()?;
    let mut alone = Sums::START;
    for _ in 0..rounds {
        alone.advance(1_000);
    }
    assert_eq!(disturbed, alone, "after {rounds} rounds");
    Ok(())
}
