//! Completion rings: nothing is lost when they are full, and the order stays (K-4).

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::bench::raise;
use reflex::{
    Accumulation, Activation, Completions, Error, EventId, Priority, Registration, System, Vector,
};

fn registration(level: u8, accumulation: Accumulation) -> Registration {
    Registration { priority: Priority::new(level).expect("below 64"), accumulation }
}

fn take_all(ring: Completions, at_once: usize) -> Vec<Activation> {
    let mut taken = Vec::new();
    let mut batch = [None; 16];
    loop {
        let count = ring.take(&mut batch[..at_once]);
        taken.extend(batch[..count].iter().flatten());
        if count < at_once {
            return taken;
        }
    }
}

/// Sixty-four events through a ring of two places: what does not fit waits, in order.
#[reflex::test]
fn what_does_not_fit_waits_behind_in_order(system: System) -> Result<(), Error> {
    let ring = system.completions::<2>("ring")?;
    let mut events = Vec::new();
    for n in 0..64u32 {
        let level = if n % 2 == 0 { 10 } else { 20 };
        events.push(ring.register(registration(level, Accumulation::Count))?);
    }
    for at_once in [1, 2, 3, 16] {
        for (n, event) in events.iter().enumerate() {
            system.activate(*event, n as u32 + 1)?;
        }
        let taken: Vec<(EventId, u32)> =
            take_all(ring, at_once).iter().map(|at| (at.event, at.count)).collect();
        let numbered = events.iter().enumerate().map(|(n, event)| (*event, n as u32 + 1));
        let (low, high): (Vec<_>, Vec<_>) = numbered.partition(|(_, count)| count % 2 == 1);
        let expected: Vec<_> = high.into_iter().chain(low).collect();
        assert_eq!(taken, expected, "{at_once} at once");
    }
    Ok(())
}

/// A source that queues each has an entry for each; a reader is told once until it has found
/// nothing left.
#[reflex::test]
fn a_reader_is_told_once_until_it_has_found_nothing(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let ring = system.completions::<4>("ring")?;
    let event = ring.register(registration(30, Accumulation::Each))?;
    let reader = system.context("reader", ()).build()?;
    system
        .on_completions(ring, reader, |(), _| {
            TOLD.fetch_add(1, Relaxed);
        })?
        .set_priority(Priority::HIGH)?;
    system.activate(event, 3)?;
    system.activate(event, 2)?;
    assert_eq!(TOLD.load(Relaxed), 1);
    let taken = take_all(ring, 2);
    assert_eq!(taken.len(), 5);
    assert!(taken.iter().all(|at| *at == Activation { event, count: 1 }));
    system.activate(event, 1)?;
    assert_eq!(TOLD.load(Relaxed), 2);
    Ok(())
}

/// Interrupts and a timer fill the ring while two contexts take from it: the sum balances.
#[reflex::test(group = "icount")]
fn several_readers_share_a_ring_that_interrupts_fill(system: System) -> Result<(), Error> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    static TAKEN: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    const TICKS: u32 = 2_000;
    let ring = system.completions::<8>("ring")?;
    let vector = Vector::reserve()?;
    vector.activate(ring.register(registration(40, Accumulation::Each))?, None);
    let mut others = Vec::new();
    for level in 0..20 {
        others.push(ring.register(registration(level, Accumulation::Count))?);
    }
    for (place, name) in ["first", "second"].into_iter().enumerate() {
        let context = system.context(name, ()).build()?;
        let priority = Priority::new(10 + 40 * place as u8).expect("below 64");
        let period = Duration::from_micros(70 + 30 * place as u64);
        system.every(period).priority(priority).on(context, move |(), _| {
            let mut batch = [None; 5];
            let count = ring.take(&mut batch);
            let sum: u32 = batch[..count].iter().flatten().map(|at| at.count).sum();
            TAKEN[place].fetch_add(sum, Relaxed);
        })?;
    }
    let source = system.context("source", 0u32).priority(Priority::HIGH).build()?;
    let timer =
        system.every(Duration::from_micros(50)).on(source, move |ticks: &mut u32, tick| {
            *ticks += 1;
            raise(vector);
            for event in others.iter().take(*ticks as usize % 7) {
                system.activate(*event, 1).expect("registered");
            }
            MADE.fetch_add(1 + *ticks % 7, Relaxed);
            if *ticks == TICKS {
                tick.timer.stop().expect("not removed");
            }
        })?;
    let taken = || TAKEN.iter().map(|taken| taken.load(Relaxed)).sum::<u32>();
    while MADE.load(Relaxed) < TICKS || taken() < MADE.load(Relaxed) {
        core::hint::spin_loop();
    }
    timer.stop()?;
    assert_eq!(taken(), MADE.load(Relaxed));
    assert!(TAKEN.iter().all(|taken| taken.load(Relaxed) > 0), "both take");
    Ok(())
}
