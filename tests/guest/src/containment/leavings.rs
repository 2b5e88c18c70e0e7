//! What a context had when it failed: given back, forgotten and counted, or lost and counted.

use super::*;

/// What a failed context held that is not its own is given back: here two cloners' only children:
/// it was building the data of one for the other.
#[reflex::test(group = "failures")]
fn what_is_not_its_own_is_given_back(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let count = |(): &mut (), number: u32| {
        LIVES.fetch_add(number, Relaxed);
    };
    let outer: Cloner<u32> = system.cloner("outer", ()).children(1).with(count)?;
    let inner: Cloner<u32> = system.cloner("inner", ()).children(1).with(count)?;
    for (round, fault) in (1..).zip(Fault::ALL) {
        let context = system.context("holder", ()).on_failure(OnFailure::Ignore);
        let context = context.budget(BUDGET).build()?;
        let signal = system.signal(SignalMode::Counter).on(context, move |(), _| {
            let _ = outer.start_with(|_| {
                let _ = inner.start_with(|_| fault.commit(system));
                Ok(0)
            });
        })?;
        signal.fire()?;
        until(|| system.stopped(context.id()).is_ok());
        assert!(outer.start(1).is_ok() && inner.start(1).is_ok(), "{fault:?}");
        until(|| LIVES.load(Relaxed) == 2 * round);
    }
    Ok(())
}

/// A context that a failed one has excluded may run again.
#[reflex::test(group = "failures")]
fn an_exclusion_ends_with_its_context(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let selfish = system.context("selfish", ()).on_failure(OnFailure::Ignore).build()?;
    let excluded = system.context("excluded", ()).priority(Priority::HIGH).build()?;
    let count = system.signal(SignalMode::Counter).on(excluded, |(), _| {
        RUNS.fetch_add(1, Relaxed);
    })?;
    fail(system, selfish, move || {
        let done = system.exclude(&[excluded.id()], || {
            count.fire().expect("registered");
            assert_eq!(RUNS.load(Relaxed), 0);
            Fault::InvalidOpcode.commit(system)
        });
        assert_eq!(done, Ok(()));
    })?;
    until(|| RUNS.load(Relaxed) == 1);
    Ok(())
}

/// What handlers have captured fails too when it is dropped, by a panic and by taking for ever:
/// the rest is cleaned up all the same.
#[reflex::test(group = "failures")]
fn what_fails_while_it_is_dropped_is_forgotten(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    struct Captured(u32);
    impl Drop for Captured {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
            match self.0 {
                1 => panic!("when dropped"),
                2 => spin(),
                _ => {}
            }
        }
    }
    let context = system
        .context_with("hoarder", move |setup: Setup<'_, ()>| {
            for number in 0..4 {
                let captured = Captured(number);
                let count = system.signal(SignalMode::Counter);
                count.on(setup.context(), move |(), _| {
                    black_box(&captured);
                })?;
            }
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .backoff(SOON, SOON)
        .build()?;
    for life in 1..=3 {
        fail(system, context, || panic!("with much to drop"))?;
        until(|| LIVES.load(Relaxed) == life + 1);
        assert_eq!(DROPPED.load(Relaxed), 4 * life);
    }
    Ok(())
}

/// What a failed context took from the global heap is lost, and counted.
#[reflex::test(group = "failures")]
fn what_it_took_from_the_heap_is_counted_as_lost(system: System) -> Result<(), Error> {
    let context = system.context("wasteful", ()).on_failure(OnFailure::Ignore).build()?;
    let before = system.heap().lost;
    let stopped = fail(system, context, || {
        drop(Box::new([0_u8; 5_000]));
        let kept: Vec<Box<[u8; 1_000]>> = (0..10).map(|_| Box::new([1; 1_000])).collect();
        panic!("with {} boxes", kept.len());
    })?;
    assert!((10_000..12_000).contains(&stopped.lost), "{stopped:?}");
    assert_eq!(system.heap().lost - before, stopped.lost);
    Ok(())
}

/// A cloner's child that fails ends, and its place is whole again for the next.
#[reflex::test(group = "failures")]
fn a_child_that_fails_ends_and_makes_room(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static ENDED: AtomicU32 = AtomicU32::new(0);
    let cloner = system.cloner("child", 7_u32).children(2).budget(BUDGET).contained().on(
        move |state: &mut u32, _| {
            let run = RUNS.fetch_add(1, Relaxed);
            *state += 1;
            assert_eq!(*state, 8, "as the template is");
            if run % 3 != 2 {
                Fault::ALL[run as usize % Fault::ALL.len()].commit(system);
            }
            ENDED.fetch_add(1, Relaxed);
        },
    )?;
    for _ in 0..30 {
        system.activate(cloner.event(), 1)?;
    }
    until(|| RUNS.load(Relaxed) == 30);
    until(|| ENDED.load(Relaxed) == 10);
    // Both places are to be had.
    system.activate(cloner.event(), 1)?;
    system.activate(cloner.event(), 1)?;
    until(|| RUNS.load(Relaxed) == 32);
    Ok(())
}
