//! What handlers and filters have captured is dropped in their own context, outside of any section, and what
//! goes wrong there is that context's failure alone.

use crate::faults::spin;
use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Context, Error, EventError, EventId, Limits, OnFailure, OverflowPolicy, Priority,
    Reason, Registration, SignalMode, System,
};

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };
const BUDGET: Duration = Duration::from_millis(20);

fn until(done: impl Fn() -> bool) {
    while !done() {
        spin_loop();
    }
}

/// Tells where it is dropped, and then does as it is told.
struct Told {
    system: System,
    at: &'static Place,
    then: fn(),
}

/// Where something has been dropped: how often, in which context, and how often where nobody could wait.
struct Place {
    drops: AtomicU32,
    context: AtomicU64,
    deferred: AtomicU32,
}

impl Place {
    const fn new() -> Self {
        Self {
            drops: AtomicU32::new(0),
            context: AtomicU64::new(u64::MAX),
            deferred: AtomicU32::new(0),
        }
    }

    /// Drops since this was last asked, all of them in `context`, where it could wait.
    fn drops_in<S>(&self, context: Context<S>) -> u32 {
        let drops = self.drops.swap(0, Relaxed);
        if drops > 0 {
            assert_eq!(self.context.load(Relaxed), u64::from(context.id().index));
        }
        assert_eq!(self.deferred.load(Relaxed), 0, "dropped with dispatch deferred");
        drops
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let running = self.system.running();
        self.at.context.store(running.map_or(u64::MAX, |id| u64::from(id.index)), Relaxed);
        let waits = self.system.sleep(Duration::from_nanos(1));
        self.at.deferred.fetch_add(waits.is_err().into(), Relaxed);
        self.at.drops.fetch_add(1, Relaxed);
        (self.then)();
    }
}

fn supervised(system: System) -> Result<Context<u32>, Error> {
    let owner = system.context("owner", 0_u32).on_failure(OnFailure::Ignore).budget(BUDGET);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    owner.after_failure(unsafe { reflex::Reuse::at_once() }).build()
}

/// A registration with a handler that has captured `told`.
fn holding(system: System, owner: Context<u32>, told: Told) -> Result<EventId, Error> {
    let kernel = raw::kernel(system);
    Ok(kernel.register(owner.handle(), EACH, move |_: &mut u32, _| {
        black_box(&told);
    })?)
}

/// The ways in which a registration can come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Its handler ends it.
    ByItself,
    /// Another handler of its context does.
    AtHome,
    /// One of another context, of higher priority.
    FromAbove,
    /// `main`, in a section.
    InSection,
    /// The filter of a third context.
    InFilter,
    /// A guarded call of its own context.
    Guarded,
}

const ENDS: [End; 6] =
    [End::ByItself, End::AtHome, End::FromAbove, End::InSection, End::InFilter, End::Guarded];

/// Ends a registration of `owner` that has captured `told`; when this returns that is done.
fn end(system: System, owner: Context<u32>, how: End, told: Told) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    if how == End::ByItself {
        let event = kernel.register(owner.handle(), EACH, move |_: &mut u32, activation| {
            black_box(&told);
            kernel.unregister(activation.event).expect("it runs");
        })?;
        return Ok(kernel.activate(event, 1)?);
    }
    let event = holding(system, owner, told)?;
    let ends = move || kernel.unregister(event).expect("registered");
    let above = system.context("above", ()).priority(Priority::HIGHEST).build()?;
    match how {
        End::ByItself => unreachable!("done above"),
        End::AtHome => {
            let signal =
                system.signal(SignalMode::Counter).on(owner, move |_: &mut u32, _| ends())?;
            signal.fire()?;
        }
        End::Guarded => {
            let signal = system.signal(SignalMode::Counter).on(owner, move |_: &mut u32, _| {
                kernel.guarded(ends);
            })?;
            signal.fire()?;
        }
        End::FromAbove => {
            let signal = system.signal(SignalMode::Counter).on(above, move |(), _| ends())?;
            signal.fire()?;
        }
        End::InSection => system.section(ends),
        End::InFilter => {
            let asks = kernel.register(above.handle(), EACH, |(), _| {})?;
            kernel.filter(asks, move |_| {
                ends();
                false
            })?;
            kernel.activate(asks, 1)?;
        }
    }
    assert_eq!(kernel.unregister(event), Err(EventError::Stale));
    Ok(())
}

/// However a registration ends, and whichever context ends it, what it has captured is dropped once, in its
/// owner's context, where that could even wait.
#[reflex::test(group = "failures")]
fn captures_are_dropped_at_home(system: System) -> Result<(), Error> {
    static AT: Place = Place::new();
    let owner = supervised(system)?;
    let pool = system.pool(owner)?;
    for round in 0..3 {
        let mut before = None;
        for how in ENDS {
            end(system, owner, how, Told { system, at: &AT, then: || {} })?;
            until(|| AT.drops.load(Relaxed) > 0);
            assert_eq!(AT.drops_in(owner), 1, "{how:?}");
            if how != End::ByItself && how != End::AtHome && how != End::Guarded {
                // Nothing is left of it.
                let blocks = pool.stats().blocks;
                assert_eq!(*before.get_or_insert(blocks), blocks, "{how:?} in round {round}");
            }
        }
    }
    assert!(system.stopped(owner.id()).is_err(), "it has not failed");
    Ok(())
}

/// When that panics, or never ends, its owner is given up, and nobody else.
#[reflex::test(group = "failures")]
fn what_fails_when_it_is_dropped_ends_its_owner_alone(system: System) -> Result<(), Error> {
    static AT: Place = Place::new();
    let rest = system.registered();
    for (then, reason) in [
        ((|| panic!("when dropped")) as fn(), Reason::Panic),
        ((|| spin()) as fn(), Reason::Overrun),
    ] {
        for how in ENDS {
            let owner = supervised(system)?;
            end(system, owner, how, Told { system, at: &AT, then })?;
            until(|| system.stopped(owner.id()).is_ok());
            assert_eq!(AT.drops_in(owner), 1, "{how:?}");
            let stopped = system.stopped(owner.id())?;
            assert_eq!(stopped.reason, reason, "{how:?}: {stopped:?}");
            let pool = system.pool(owner)?;
            // The state and its cell, for which nobody has a constructor, stay.
            assert!(pool.stats().blocks <= 2, "{how:?}: {:?}", pool.stats());
        }
    }
    // Those of the contexts above that ask filters or have signals.
    assert!(system.registered() <= rest + 8);
    Ok(())
}

/// So is a filter, when its event ends, and when it is replaced by another context or by itself.
#[reflex::test(group = "failures")]
fn filters_are_dropped_at_home(system: System) -> Result<(), Error> {
    static AT: Place = Place::new();
    static REPLACED: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let owner = supervised(system)?;
    let filter = move |then| {
        let told = Told { system, at: &AT, then };
        move |_| {
            black_box(&told);
            true
        }
    };
    let event = kernel.register(owner.handle(), EACH, |_: &mut u32, _| {})?;
    kernel.filter(event, filter(|| {}))?;
    kernel.unregister(event)?;
    assert_eq!(AT.drops_in(owner), 1);
    // It replaces itself: it is dropped where it was asked, as its owner's code.
    struct Fails;
    impl Drop for Fails {
        fn drop(&mut self) {
            REPLACED.fetch_add(1, Relaxed);
            panic!("a filter that is no more");
        }
    }
    let event = kernel.register(owner.handle(), EACH, |_: &mut u32, _| {})?;
    let fails = Fails;
    kernel.filter(event, move |_| {
        black_box(&fails);
        kernel.lift_filter(event).expect("registered");
        true
    })?;
    kernel.activate(event, 1)?;
    until(|| system.stopped(owner.id()).is_ok());
    assert_eq!(REPLACED.load(Relaxed), 1);
    // One that fails in its owner's place.
    let owner = supervised(system)?;
    let event = kernel.register(owner.handle(), EACH, |_: &mut u32, _| {})?;
    kernel.filter(event, filter(|| panic!("a filter is dropped")))?;
    kernel.unregister(event)?;
    until(|| system.stopped(owner.id()).is_ok());
    assert_eq!(AT.drops_in(owner), 1);
    // Another context lifts one that fails then: it goes on.
    let owner = supervised(system)?;
    let event = kernel.register(owner.handle(), EACH, |_: &mut u32, _| {})?;
    let fails = Fails;
    kernel.filter(event, move |_| {
        black_box(&fails);
        true
    })?;
    kernel.lift_filter(event)?;
    until(|| system.stopped(owner.id()).is_ok());
    assert_eq!(REPLACED.load(Relaxed), 2);
    Ok(())
}

/// A context that sheds what is too much for it does not lose what is to be dropped there.
#[reflex::test(group = "failures")]
fn nothing_is_shed_that_is_to_be_dropped(system: System) -> Result<(), Error> {
    static DROPS: AtomicU32 = AtomicU32::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    let kernel = raw::kernel(system);
    let limits = Limits { activations: 1, overload: OverflowPolicy::Shed, ..Limits::NONE };
    let owner = system.context("narrow", ()).limits(limits).build()?;
    let events = [(); 4].map(|()| {
        let counted = Counted;
        kernel.register(owner.handle(), EACH, move |(), _| {
            black_box(&counted);
        })
    });
    let above = system.context("above", ()).priority(Priority::HIGHEST).build()?;
    let signal = system.signal(SignalMode::Counter).on(above, move |(), _| {
        for event in events {
            kernel.unregister(event.expect("there is room")).expect("registered");
        }
    })?;
    signal.fire()?;
    assert_eq!(DROPS.load(Relaxed), 4);
    Ok(())
}

/// What the old handlers of a replaced context have captured is dropped there when all is done; so is what
/// was captured for a replacement that is not made.
#[reflex::test(group = "failures")]
fn old_handlers_are_dropped_when_their_context_has_been_replaced(
    system: System,
) -> Result<(), Error> {
    static AT: Place = Place::new();
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let told = move |then| Told { system, at: &AT, then };
    let owner = supervised(system)?;
    let events = [holding(system, owner, told(|| {}))?, holding(system, owner, told(|| {}))?];
    let given_up = told(|| {});
    let unused = system.replace::<u64>(owner).bind(events[0], move |_: &mut u64, _| {
        black_box(&given_up);
    });
    drop(unused);
    assert_eq!(AT.drops_in(owner), 1);
    let failed = |_| Error::Application("it was not replaced");
    let count = |_: &mut u64, _| {
        RUNS.fetch_add(1, Relaxed);
    };
    let replacement = system.replace::<u64>(owner).bind(events[0], count).bind(events[1], count);
    let new = replacement.apply(|old: u32| Ok(u64::from(old))).map_err(failed)?;
    until(|| AT.drops.load(Relaxed) == 2);
    assert_eq!(AT.drops_in(new), 2);
    kernel.activate(events[0], 1)?;
    kernel.activate(events[1], 1)?;
    until(|| RUNS.load(Relaxed) == 2);
    // One that fails then ends its context, which is the new one.
    let owner = supervised(system)?;
    let event = holding(system, owner, told(|| panic!("an old handler")))?;
    let new = system
        .replace::<u64>(owner)
        .bind(event, |_: &mut u64, _| {})
        .apply(|old: u32| Ok(u64::from(old)))
        .map_err(failed)?;
    until(|| system.stopped(new.id()).is_ok());
    assert_eq!(AT.drops_in(new), 1);
    // The state's conversion fails: what the new handlers have captured is dropped by the supervisor.
    let owner = supervised(system)?;
    let event = kernel.register(owner.handle(), EACH, |_: &mut u32, _| {})?;
    let captured = told(|| panic!("a new handler"));
    let stopped = system
        .replace::<u64>(owner)
        .bind(event, move |_: &mut u64, _| {
            black_box(&captured);
        })
        .apply(|_: u32| panic!("the conversion"));
    assert!(stopped.is_err());
    until(|| system.stopped(owner.id()).is_ok());
    assert_eq!(AT.drops.swap(0, Relaxed), 1);
    Ok(())
}

/// A cloner's child ends when what its handlers have captured has been dropped, in the child.
#[reflex::test(group = "failures")]
fn a_child_ends_when_its_captures_are_dropped(system: System) -> Result<(), Error> {
    static AT: Place = Place::new();
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let cloner: reflex::Cloner<u32> =
        system.cloner("child", ()).children(1).contained().with(move |(), fails| {
            LIVES.fetch_add(1, Relaxed);
            let child = kernel.this::<()>().expect("it runs");
            for number in 0..3 {
                let then: fn() = match fails {
                    1 if number == 1 => || panic!("in a child"),
                    _ => || {},
                };
                let told = Told { system, at: &AT, then };
                let registered = kernel.register(child, EACH, move |(), _| {
                    black_box(&told);
                });
                registered.expect("there is room");
            }
        })?;
    for (life, fails) in (1..).zip([0, 1, 0]) {
        let child = cloner.start(fails).map_err(|_| Error::Application("nobody is idle"))?;
        assert_eq!(LIVES.load(Relaxed), life);
        kernel.end(child)?;
        until(|| kernel.failures(child).is_err());
        // After one has failed the others are dropped by the supervisor.
        until(|| AT.drops.load(Relaxed) == 3);
        assert_eq!(AT.drops.swap(0, Relaxed), 3);
    }
    Ok(())
}
