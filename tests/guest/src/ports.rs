//! What is kept for a handler that cannot keep pace, and what is done when there is no room
//!

use crate::kinds::wait;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::kind::{Shortage, Source};
use reflex::{DisabledPolicy, Error, Priority, Registered, System, Trouble};

/// A handler gets each of what fits; the source is held up for the rest, its owner is told so,
/// and it goes on as soon as the handler has taken one. Nothing is lost, nothing comes twice.
#[reflex::test(group = "kinds")]
fn a_full_registration_holds_its_source_up_and_loses_nothing(system: System) -> Result<(), Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static TROUBLES: AtomicU32 = AtomicU32::new(0);
    static RESUMED: AtomicU32 = AtomicU32::new(0);
    let source: Source<u32> = system.exclusive(|| {
        RESUMED.fetch_add(1, Relaxed);
    })?;
    let context = system.context("slow", ()).build()?;
    system
        .on_trouble(context, |(), trouble, count| {
            assert_eq!(trouble, Trouble::SourceThrottled);
            TROUBLES.fetch_add(count, Relaxed);
        })?
        .set_priority(Priority::HIGH)?;
    let registering = system.subscribe(source.clone()).each::<1>();
    registering.priority(Priority::LOW).on(context, |(), event| {
        assert_eq!((event.data, event.count), (NEXT.fetch_add(1, Relaxed), 1));
    })?;
    for round in 0..10 {
        let refused = system.section(|| {
            assert_eq!(source.deliver(2 * round), Ok(()));
            [(); 3].map(|()| source.deliver(2 * round + 1))
        });
        assert_eq!(refused, [Err(2 * round + 1); 3]);
        wait(|| RESUMED.load(Relaxed) == round + 1);
        assert_eq!(source.deliver(2 * round + 1), Ok(()));
        wait(|| NEXT.load(Relaxed) == 2 * round + 2);
    }
    assert_eq!((RESUMED.load(Relaxed), TROUBLES.load(Relaxed)), (10, 10));
    Ok(())
}

/// The owner, told of trouble, may decide otherwise: from then on what finds no room is shed.
#[reflex::test(group = "kinds")]
fn the_owner_may_choose_to_shed_when_told_of_trouble(system: System) -> Result<(), Error> {
    struct Owner {
        own: Option<Registered<u32>>,
    }
    static SUM: AtomicU32 = AtomicU32::new(0);
    static LIMITS: AtomicU32 = AtomicU32::new(0);
    let source: Source<u32> = system.exclusive(|| {})?;
    let context = system.context("owner", Owner { own: None }).build()?;
    system
        .on_trouble(context, |owner: &mut Owner, trouble, count| match trouble {
            Trouble::SourceThrottled => {
                owner.own.as_ref().expect("registered").set_shortage(Shortage::Shed);
            }
            _ => drop(LIMITS.fetch_add(count, Relaxed)),
        })?
        .set_priority(Priority::HIGHEST)?;
    let subscribed = system.subscribe(source.clone()).each::<1>().priority(Priority::LOW).on(
        context,
        |_: &mut Owner, event| {
            SUM.fetch_add(event.data, Relaxed);
        },
    )?;
    let given = subscribed.clone();
    let start = system.signal(reflex::SignalMode::Counter);
    let start = start.on(context, move |owner: &mut Owner, _| owner.own = Some(given.clone()))?;
    start.fire()?;
    system.section(|| {
        assert_eq!(source.deliver(1), Ok(()));
        assert_eq!(source.deliver(10), Err(10));
    });
    wait(|| SUM.load(Relaxed) == 1);
    system.section(|| {
        for data in [100, 1_000, 10_000] {
            assert_eq!(source.deliver(data), Ok(()));
        }
    });
    wait(|| SUM.load(Relaxed) == 101 && LIMITS.load(Relaxed) == 2);
    assert_eq!(subscribed.shed(), 2);
    Ok(())
}

/// The last data is told with the number of occurrences, also when it is replaced between the
/// activation and the run; and data in between is dropped where it lies.
#[reflex::test(group = "kinds")]
fn the_latest_is_told_with_the_number_of_occurrences(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let source: Source<u32> = system.source()?;
    let context = system.context("latest", ()).priority(Priority::HIGH).build()?;
    system.subscribe(source.clone()).on(context, |(), event| {
        TOLD.store(event.data, Relaxed);
        COUNT.fetch_add(event.count, Relaxed);
        RUNS.fetch_add(1, Relaxed);
    })?;
    // From above: the handler is due, and the data is replaced before it runs.
    let above = system.context("above", ()).priority(Priority::HIGHEST).build()?;
    let signal = system.signal(reflex::SignalMode::Counter);
    let producer = source.clone();
    let burst = signal.on(above, move |(), _| {
        for data in 1..=5 {
            producer.deliver(data).expect("it takes everything");
        }
    })?;
    burst.fire()?;
    assert_eq!((TOLD.load(Relaxed), COUNT.load(Relaxed), RUNS.load(Relaxed)), (5, 5, 1));
    Ok(())
}

/// A disabled registration keeps, counts or forgets, for every way of keeping occurrences.
#[reflex::test(group = "kinds")]
fn disabled_registrations_keep_count_or_forget(system: System) -> Result<(), Error> {
    static SUM: AtomicU32 = AtomicU32::new(0);
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let source: Source<u32> = system.source()?;
    let context = system.context("disabled", ()).build()?;
    let each = system.subscribe(source.clone()).each::<4>();
    let each = each.on(context, |(), event| {
        SUM.fetch_add(event.data, Relaxed);
    })?;
    let counted = system.subscribe(source.clone()).counted();
    let counted = counted.on(context, |(), event| {
        RUNS.fetch_add(event.count, Relaxed);
    })?;
    let told = || {
        crate::kinds::pass(system, core::time::Duration::from_micros(200));
        (SUM.swap(0, Relaxed), RUNS.swap(0, Relaxed))
    };
    let both = [&each, &counted];
    for (meanwhile, expected, missed) in [
        (DisabledPolicy::Keep, (12, 3), 0),
        (DisabledPolicy::Count, (0, 0), 3),
        (DisabledPolicy::Discard, (0, 0), 0),
    ] {
        system.section(|| {
            source.deliver(3).expect("it takes everything");
        });
        assert_eq!(told(), (3, 1));
        both.iter().try_for_each(|one| one.disable(meanwhile))?;
        for data in 3..=5 {
            source.deliver(data).expect("it takes everything");
            assert_eq!(told(), (0, 0));
        }
        for one in both {
            assert_eq!(one.look_up()?.disabled, Some(meanwhile));
            assert_eq!(one.enable()?, missed, "{meanwhile:?}");
        }
        assert_eq!(told(), expected, "{meanwhile:?}");
    }
    // What waits at that time is treated alike.
    each.set_priority(Priority::LOW)?;
    let pending = system.section(|| {
        source.deliver(3).expect("it takes everything");
        // The two are told by the relay, which cannot run here.
        each.look_up().map(|info| info.pending)
    })?;
    assert_eq!((pending, told()), (0, (3, 1)));
    let direct: Source<u32> = system.source()?;
    let alone = system.subscribe(direct.clone()).each::<4>().on(context, |(), event| {
        SUM.fetch_add(event.data, Relaxed);
    })?;
    system.section(|| {
        direct.deliver(1).expect("it takes everything");
        direct.deliver(2).expect("it takes everything");
        assert_eq!(alone.look_up().map(|info| info.pending), Ok(2));
        alone.disable(DisabledPolicy::Count)?;
        direct.deliver(3).expect("it takes everything");
        assert_eq!(alone.enable(), Ok(3));
        direct.deliver(4).expect("it takes everything");
        assert_eq!(alone.clean(), Ok(1));
        direct.deliver(5).expect("it takes everything");
        Ok::<_, Error>(())
    })?;
    assert_eq!(told(), (5, 0));
    Ok(())
}

/// Data in the owner's memory, and no call of the heap on the way.
#[reflex::test(group = "kinds")]
fn data_lies_in_its_owners_memory_and_never_in_the_heap(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let source: Source<[u32; 32]> = system.source()?;
    let mut pools = [None; 3];
    for pool in &mut pools {
        let context = system.context("told", ()).build()?;
        let before = system.pool(context)?.stats().allocated;
        system.subscribe(source.clone()).each::<8>().on(context, |(), event| {
            TOLD.fetch_add(event.data[31], Relaxed);
        })?;
        let own = system.pool(context)?;
        assert!(own.stats().allocated - before >= 8 * size_of::<[u32; 32]>());
        *pool = Some(own);
    }
    let heap = system.heap();
    for _ in 0..100 {
        source.deliver([1; 32]).expect("it takes everything");
    }
    wait(|| TOLD.load(Relaxed) == 300);
    assert_eq!(system.heap(), heap);
    Ok(())
}
