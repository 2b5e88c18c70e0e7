//! Code that is given up in the middle leaves nothing behind that somebody could reach: neither what it
//! had begun, nor what it was changing.

use crate::faults::{Fault, spin};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::kind::Source;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Cloner, Context, Error, EventError, EventId, OnFailure, Priority, Reason,
    Registration, SignalMode, System, Waiter,
};

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };

/// Spins, in `main`, until `done`.
fn until(done: impl Fn() -> bool) {
    while !done() {
        spin_loop();
    }
}

/// An event of `owner` that is asked about by `filter`.
fn filtered(
    system: System,
    owner: Context<()>,
    filter: impl Fn() -> bool + Send + 'static,
) -> Result<EventId, Error> {
    let kernel = raw::kernel(system);
    let event = kernel.register(owner.handle(), EACH, |(), _| unreachable!("nothing passes"))?;
    kernel.filter(event, move |_| filter())?;
    Ok(event)
}

fn supervised(system: System, name: &'static str) -> Result<Context<()>, Error> {
    system.context(name, ()).on_failure(OnFailure::Ignore).build()
}

/// Writes over what was called before.
#[inline(never)]
fn overwrite(depth: u32) -> u64 {
    let mut words = [0x4141_4141_4141_4141_u64; 64];
    black_box(&mut words);
    if depth > 0 { overwrite(depth - 1) ^ words[depth as usize] } else { words[3] }
}

/// A filter fails in a call that holds something meanwhile. What is held is given back then and there,
/// and the context on the stack of which it was can fail itself, with other things there.
#[reflex::test(group = "failures")]
fn what_a_filter_held_is_given_back_where_it_failed(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    static ON: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let owner = supervised(system, "owner")?;
    let bystander = supervised(system, "bystander")?;
    let only: Cloner<u32> = system.cloner("only", ()).children(1).with(|(), number| {
        LIVES.fetch_add(number, Relaxed);
    })?;
    let event = filtered(system, owner, move || {
        let _ = only.start_with(|_| panic!("in a filter, with a child in hand"));
        true
    })?;
    let signal = system.signal(SignalMode::Counter).on(bystander, move |(), _| {
        assert_eq!(kernel.activate(event, 1), Ok(()));
        // The child is to be had again at once.
        ON.store(only.start(7).is_ok().into(), Relaxed);
        black_box(overwrite(6));
        panic!("of its own");
    })?;
    signal.fire()?;
    until(|| LIVES.load(Relaxed) == 7);
    assert_eq!(ON.load(Relaxed), 1);
    let owner = system.stopped(owner.id())?;
    assert!(owner.text.as_str().ends_with("with a child in hand"), "{owner:?}");
    let bystander = system.stopped(bystander.id())?;
    assert!(bystander.text.as_str().ends_with("of its own"), "{bystander:?}");
    assert!(only.start(1).is_ok());
    until(|| LIVES.load(Relaxed) == 8);
    Ok(())
}

/// Nobody is excluded by a filter: in one, dispatch is deferred.
#[reflex::test(group = "failures")]
fn a_filter_that_fails_excludes_nobody(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let owner = supervised(system, "owner")?;
    let third = system.context("third", ()).build()?;
    let bystander = system.context("bystander", ()).build()?;
    let event = filtered(system, owner, move || {
        let done = system.exclude(&[third.id()], || unreachable!("dispatch is deferred"));
        assert_eq!(done, Err(Error::Event(EventError::Busy)));
        panic!("after all")
    })?;
    let signal = system.signal(SignalMode::Counter).on(bystander, move |(), _| {
        let _ = kernel.activate(event, 1);
    })?;
    signal.fire()?;
    let ask = kernel.register(third.handle(), EACH, |(), _| {
        RUNS.fetch_add(1, Relaxed);
    })?;
    kernel.activate(ask, 1)?;
    assert_eq!(RUNS.load(Relaxed), 1);
    assert!(system.stopped(owner.id())?.text.as_str().ends_with("after all"));
    assert_eq!(
        system.section(|| system.exclude(&[third.id()], || ())),
        Err(EventError::Busy.into())
    );
    Ok(())
}

/// Exclusions that nest, the inner one of a context that the outer one excludes too, end with their
/// context, whatever it fails by.
#[reflex::test(group = "failures")]
fn nested_exclusions_end_with_their_context(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    for fault in Fault::ALL {
        RUNS.store(0, Relaxed);
        let kernel = raw::kernel(system);
        let selfish = system.context("selfish", ()).on_failure(OnFailure::Ignore);
        let selfish = selfish.budget(Duration::from_millis(20)).build()?;
        let others = [system.context("one", ()).build()?, system.context("two", ()).build()?];
        let [one, two] = others.map(|other| other.id());
        let mut asks = [EventId { index: 0, generation: 0 }; 2];
        for (ask, other) in asks.iter_mut().zip(others) {
            *ask = kernel.register(other.handle(), EACH, |(), _| {
                RUNS.fetch_add(1, Relaxed);
            })?;
        }
        let signal = system.signal(SignalMode::Counter).on(selfish, move |(), _| {
            let done = system.exclude(&[one], || {
                let inner = system.exclude(&[two, one], || {
                    for ask in asks {
                        kernel.activate(ask, 1).expect("registered");
                    }
                    assert_eq!(RUNS.load(Relaxed), 0);
                    fault.commit(system)
                });
                inner.expect("nobody else excludes")
            });
            done.expect("as above")
        })?;
        signal.fire()?;
        until(|| RUNS.load(Relaxed) == 2);
        system.stopped(selfish.id())?;
    }
    Ok(())
}

/// A filter may not act in the name of the context on the stack of which it happens to run, nor wait where
/// nothing else can run: that is refused there.
#[reflex::test(group = "failures")]
fn a_filter_does_nothing_in_the_name_of_others(system: System) -> Result<(), Error> {
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    fn count<T>(result: Result<T, Error>) {
        let refused = matches!(result, Err(Error::Event(EventError::Busy)));
        REFUSED.fetch_add(refused.into(), Relaxed);
    }
    let kernel = raw::kernel(system);
    let owner = supervised(system, "owner")?;
    let bystander = system.context("bystander", 5_u32).build()?;
    let protected = kernel.protected("filters")?;
    let event = filtered(system, owner, move || {
        count(system.exclude(&[], || ()));
        count(kernel.protect(protected, || ()).map_err(Error::from));
        count(system.own(|_| ()));
        count(kernel.this::<u32>().map_err(Error::from));
        count(Waiter::new(kernel).map_err(Error::from));
        count(system.sleep(Duration::from_millis(1)));
        count(system.context("made in a filter", ()).build());
        count(system.context("made in a filter", ()).on_failure(OnFailure::Ignore).build());
        false
    })?;
    let signal = system.signal(SignalMode::Counter).on(bystander, move |_: &mut u32, _| {
        kernel.activate(event, 1).expect("registered");
    })?;
    signal.fire()?;
    assert_eq!(REFUSED.load(Relaxed), 8);
    assert!(system.stopped(owner.id()).is_err(), "it has not failed");
    Ok(())
}

/// Data that a filter fails in the middle of changing is not looked at again by anybody, and counted.
#[reflex::test(group = "failures")]
fn data_that_a_failing_filter_was_changing_is_forgotten(system: System) -> Result<(), Error> {
    static DROPS: [AtomicU32; 12] = [const { AtomicU32::new(0) }; 12];
    struct Piece {
        number: usize,
        _memory: Box<u32>,
    }
    impl Drop for Piece {
        fn drop(&mut self) {
            DROPS[self.number].fetch_add(1, Relaxed);
        }
    }
    impl Clone for Piece {
        fn clone(&self) -> Self {
            unreachable!("there is one registration")
        }
    }
    let owner = supervised(system, "owner")?;
    let source: Source<RefCell<Vec<Piece>>> = system.source()?;
    let subscription = system.subscribe(source.clone()).filter(|data: &RefCell<Vec<Piece>>| {
        let mut compared = 0;
        data.borrow_mut().sort_by(|one, other| {
            compared += 1;
            assert!(compared < 20, "in a comparison");
            one.number.cmp(&other.number)
        });
        true
    });
    subscription.on(owner, |(), _| {})?;
    let pieces = (0..12).rev().map(|number| Piece { number, _memory: Box::new(0) }).collect();
    assert!(source.deliver(RefCell::new(pieces)).is_ok());
    until(|| system.stopped(owner.id()).is_ok());
    assert!(DROPS.iter().all(|drops| drops.load(Relaxed) == 0), "{DROPS:?}");
    let stopped = system.stopped(owner.id())?;
    assert_eq!((stopped.reason, stopped.forgotten), (Reason::Panic, 1), "{stopped:?}");
    assert_eq!(source.registrations(), 0);
    Ok(())
}

/// A filter that never returns ends its owner, whatever it does meanwhile and wherever it is asked; the
/// others go on.
#[reflex::test(group = "failures")]
fn a_filter_that_takes_for_ever_ends_its_owner_alone(system: System) -> Result<(), Error> {
    static BEHIND: AtomicU32 = AtomicU32::new(0);
    static TICKS: AtomicU32 = AtomicU32::new(0);
    const WAYS: [fn(System, EventId); 5] = [
        |_, _| spin(),
        |system, _| {
            loop {
                system.section(spin_loop);
            }
        },
        |system, _| {
            loop {
                raw::kernel(system).guarded(spin_loop);
            }
        },
        // Another filter is asked all the time, the owner of which is not to blame.
        |system, innocent| {
            loop {
                let _ = system.activate(innocent, 1);
            }
        },
        |system, _| {
            let _ = system.context("made in a filter", ()).build();
            spin()
        },
    ];
    let kernel = raw::kernel(system);
    let bystander = system.context("bystander", ()).priority(Priority::HIGH).build()?;
    let clock = system.context("clock", ()).build()?;
    let timer = system.every(Duration::from_millis(1)).on(clock, |(), tick: reflex::Tick| {
        TICKS.fetch_add(tick.count, Relaxed);
    })?;
    let spared = supervised(system, "spared")?;
    let innocent = filtered(system, spared, || false)?;
    for (number, way) in (0..).zip(WAYS) {
        for budget in [None, Some(Duration::from_millis(5))] {
            let owner = system.context("endless", ()).on_failure(OnFailure::Ignore);
            let owner = match budget {
                Some(budget) => owner.budget(budget).build()?,
                None => owner.build()?,
            };
            let event = filtered(system, owner, move || {
                way(system, innocent);
                true
            })?;
            if number % 2 == 0 {
                // On the stack of a context.
                let before = BEHIND.load(Relaxed);
                let signal = system.signal(SignalMode::Counter).on(bystander, move |(), _| {
                    let _ = system.activate(event, 1);
                    BEHIND.fetch_add(1, Relaxed);
                })?;
                signal.fire()?;
                assert_eq!(BEHIND.load(Relaxed), before + 1);
                signal.registration().unregister()?;
            } else {
                // In the timer's job, on the stack of whatever it interrupts.
                let timer = kernel.timer(event)?;
                kernel.arm(timer, system.now() + Duration::from_millis(1), None)?;
            }
            until(|| system.stopped(owner.id()).is_ok());
            let stopped = system.stopped(owner.id())?;
            assert_eq!(stopped.reason, Reason::Overrun, "way {number}: {stopped:?}");
            assert_eq!(kernel.activate(event, 1), Err(EventError::Stale));
            let ticks = TICKS.load(Relaxed);
            until(|| TICKS.load(Relaxed) > ticks);
        }
    }
    assert!(system.stopped(spared.id()).is_err(), "it has not failed");
    timer.remove()?;
    Ok(())
}

/// A filter that uses up its stack is to blame itself, in code of its own and in the kernel's, whatever
/// context has activated the event, and however often.
#[reflex::test(group = "failures")]
fn a_filter_that_overflows_a_stack_ends_its_owner(system: System) -> Result<(), Error> {
    static BEHIND: AtomicU32 = AtomicU32::new(0);
    for bystander in [supervised(system, "supervised")?, system.context("not", ()).build()?] {
        for fault in [Fault::Overflow, Fault::OverflowInKernel].into_iter().cycle().take(8) {
            let owner = supervised(system, "deep")?;
            let event = filtered(system, owner, move || fault.commit(system))?;
            let signal = system.signal(SignalMode::Counter).on(bystander, move |(), _| {
                let _ = system.activate(event, 1);
                BEHIND.fetch_add(1, Relaxed);
            })?;
            signal.fire()?;
            until(|| system.stopped(owner.id()).is_ok());
            let stopped = system.stopped(owner.id())?;
            assert_eq!(stopped.reason, Reason::StackOverflow, "{fault:?}: {stopped:?}");
            assert!(system.stopped(bystander.id()).is_err(), "it was not its own doing");
            signal.registration().unregister()?;
        }
    }
    assert_eq!(BEHIND.load(Relaxed), 16);
    Ok(())
}

/// Filters may be called in one another, as deep as there are stacks for them; what is deeper is refused,
/// has not been called, and is there afterwards.
#[reflex::test(group = "failures")]
fn filters_nest_as_deep_as_there_are_stacks(system: System) -> Result<(), Error> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    let owner = supervised(system, "owner")?;
    let last = filtered(system, owner, || {
        CALLS.fetch_add(1, Relaxed);
        false
    })?;
    let mut event = last;
    for _ in 0..4 {
        let next = event;
        event = filtered(system, owner, move || {
            CALLS.fetch_add(1, Relaxed);
            match system.activate(next, 1) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error, Error::Event(EventError::LimitReached));
                    REFUSED.fetch_add(1, Relaxed);
                }
            }
            false
        })?;
    }
    for round in 1..=3 {
        system.activate(event, 1)?;
        assert_eq!((CALLS.load(Relaxed), REFUSED.load(Relaxed)), (5 * round - 1, round));
        system.activate(last, 1)?;
        assert_eq!(CALLS.load(Relaxed), 5 * round);
    }
    assert!(system.stopped(owner.id()).is_err(), "it has not failed");
    Ok(())
}
