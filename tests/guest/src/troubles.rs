//! Trouble is an event that no limit keeps back.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::kind::Source;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Error, EventError, Lent, Priority, Registration, Scarcity, System, Trouble};

/// A report reaches the owner, with how often, also while its queue is at its limit.
#[reflex::test]
fn trouble_reaches_its_owner_past_a_full_queue(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static LIMIT: AtomicU32 = AtomicU32::new(0);
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let limits = reflex::Limits { activations: 2, ..reflex::Limits::NONE };
    let context = system.context("owner", ()).limits(limits).build()?;
    system
        .on_trouble(context, |(), trouble, count| {
            match trouble {
                Trouble::SourceThrottled => TOLD.fetch_add(count, Relaxed),
                Trouble::LimitReached => LIMIT.fetch_add(count, Relaxed),
                other => panic!("{other:?} was not brought about"),
            };
        })?
        .set_priority(Priority::HIGH)?;
    let mut events = [None; 5];
    for event in &mut events {
        *event = Some(kernel.register(context.handle(), Registration::default(), |(), _| {
            RUNS.fetch_add(1, Relaxed);
        })?);
    }
    system.section(|| {
        for event in events.into_iter().flatten() {
            kernel.activate(event, 1).expect("registered");
        }
        for _ in 0..3 {
            kernel.report(context.id(), Trouble::SourceThrottled).expect("it exists");
        }
    });
    assert_eq!(RUNS.load(Relaxed), 5, "those beyond the limit waited, and ran");
    assert_eq!((TOLD.load(Relaxed), LIMIT.load(Relaxed)), (3, 3));
    Ok(())
}

/// A context cannot register more than it may.
#[reflex::test]
fn the_limit_of_registrations_is_a_precise_error(system: System) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let limits = reflex::Limits { registrations: 3, ..reflex::Limits::NONE };
    let context = system.context("modest", ()).limits(limits).build()?.handle();
    let mut last = None;
    for _ in 0..3 {
        last = Some(kernel.register(context, Registration::default(), |(), _| {})?);
    }
    let one_more = kernel.register(context, Registration::default(), |(), _| {});
    assert_eq!(one_more, Err(EventError::LimitReached));
    kernel.unregister(last.expect("three were made"))?;
    kernel.register(context, Registration::default(), |(), _| {})?;
    Ok(())
}

/// Every activation is in the histogram of its priority: begun on the spot, or after a wait.
#[reflex::test]
fn latencies_count_every_activation(system: System) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let priority = Priority::new(37).expect("below 64");
    let context = system.context("timed", ()).build()?.handle();
    let registration = Registration { priority, ..Registration::default() };
    let event = kernel.register(context, registration, |(), _| {})?;
    let before = system.latency(priority);
    for _ in 0..10 {
        kernel.activate(event, 1)?;
    }
    for _ in 0..7 {
        system.section(|| kernel.activate(event, 1))?;
    }
    let after = system.latency(priority);
    assert_eq!(after.at_once - before.at_once, 10);
    assert_eq!(after.total() - before.total(), 17);
    Ok(())
}

/// A handler that ends after its deadline is told of as trouble; one that ends in time is not, and
/// neither is one with a deadline that was lifted. With instructions counted: on a busy
/// host no handler is sure to end in time.
#[reflex::test(group = "icount")]
fn a_missed_deadline_is_told(system: System) -> Result<(), Error> {
    static MISSED: AtomicU32 = AtomicU32::new(0);
    static SLOW: AtomicBool = AtomicBool::new(false);
    const WITHIN: Duration = Duration::from_millis(20);
    let kernel = raw::kernel(system);
    let context = system.context("punctual", ()).build()?;
    system
        .on_trouble(context, |(), trouble, count| {
            assert_eq!(trouble, Trouble::DeadlineMissed);
            MISSED.fetch_add(count, Relaxed);
        })?
        .set_priority(Priority::HIGH)?;
    let event = kernel.register(context.handle(), Registration::default(), move |(), _| {
        let end = system.now() + 2 * WITHIN;
        while SLOW.load(Relaxed) && system.now() < end {
            core::hint::spin_loop();
        }
    })?;
    kernel.set_deadline(event, Some(WITHIN))?;
    kernel.activate(event, 1)?;
    assert_eq!(MISSED.load(Relaxed), 0, "in time");
    SLOW.store(true, Relaxed);
    kernel.activate(event, 1)?;
    assert_eq!(MISSED.load(Relaxed), 1, "too slow");
    SLOW.store(false, Relaxed);
    // What counts is the time since the activation, not that the handler takes.
    kernel.exclude(&[context.id()], || {
        kernel.activate(event, 1).expect("registered");
        let end = system.now() + 2 * WITHIN;
        while system.now() < end {
            core::hint::spin_loop();
        }
    })?;
    assert_eq!(MISSED.load(Relaxed), 2, "begun too late");
    kernel.set_deadline(event, None)?;
    SLOW.store(true, Relaxed);
    kernel.activate(event, 1)?;
    assert_eq!(MISSED.load(Relaxed), 2, "no deadline any more");
    Ok(())
}

/// A pool that has become scarce is told of once, and again after it was not; so is the machine's
/// memory.
#[reflex::test]
fn scarce_memory_is_trouble(system: System) -> Result<(), Error> {
    static LOW: AtomicU32 = AtomicU32::new(0);
    static PRESSURE: AtomicU32 = AtomicU32::new(0);
    const PERIOD: Duration = Duration::from_millis(1);
    let context = system.context("watched", ()).build()?;
    system
        .on_trouble(context, |(), trouble, count| {
            match trouble {
                Trouble::PoolLow => LOW.fetch_add(count, Relaxed),
                Trouble::MemoryPressure => PRESSURE.fetch_add(count, Relaxed),
                other => panic!("{other:?} was not brought about"),
            };
        })?
        .set_priority(Priority::HIGH)?;
    let pool = system.pool(context)?;
    let scarcity = Scarcity { pool: pool.available() / 2, machine: usize::MAX };
    let timer = system.watch_memory(context, scarcity, PERIOD)?;
    for round in 1..=3 {
        system.sleep(5 * PERIOD)?;
        assert_eq!(LOW.load(Relaxed), round - 1, "there is enough");
        let mut taken = Vec::new();
        while pool.available() >= scarcity.pool {
            taken.push(pool.bytes(1_000).map_err(|_| "there was enough")?);
        }
        while LOW.load(Relaxed) < round {
            core::hint::spin_loop();
        }
        system.sleep(5 * PERIOD)?;
        assert_eq!(LOW.load(Relaxed), round, "told once");
    }
    assert_eq!(PRESSURE.load(Relaxed), 1, "there never was as much as that");
    timer.remove()
}

/// Whatever allocates event memory that is not there, the owner is told: of a registration, of an
/// event with data, of a filter, of its own box. It chooses what to do about it.
#[reflex::test]
fn exhausted_event_memory_is_trouble_whatever_needs_it(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("small", ()).memory(4 << 10).build()?;
    system
        .on_trouble(context, |(), trouble, count| {
            assert_eq!(trouble, Trouble::PoolExhausted);
            TOLD.fetch_add(count, Relaxed);
        })?
        .set_priority(Priority::HIGH)?;
    let register = || kernel.register(context.handle(), Registration::default(), |(), _| {});
    let (event, pool) = (register()?, system.pool(context)?);
    let source: Source<u32> = system.source()?;
    let mut kept = Vec::new();
    let mut size = 2_048;
    while size >= 16 {
        match pool.bytes(size) {
            Ok(taken) => kept.push(taken),
            Err(_) => size /= 2,
        }
    }
    // From 2,048 to 16 bytes, one of each size was refused.
    assert_eq!(TOLD.swap(0, Relaxed), 8);
    assert_eq!(register(), Err(EventError::OutOfMemory));
    assert_eq!(TOLD.swap(0, Relaxed), 1);
    let captured = [0u32; 4];
    let filter = kernel.filter(event, move |count| count != captured[0]);
    assert_eq!(filter, Err(EventError::OutOfMemory));
    assert_eq!(TOLD.swap(0, Relaxed), 1);
    assert!(kernel.timer(event).is_err());
    assert_eq!(TOLD.swap(0, Relaxed), 1);
    assert!(system.subscribe(source).each::<4>().on(context, |(), _| {}).is_err());
    assert_eq!(TOLD.swap(0, Relaxed), 1);
    // Deferred: told when the section ends, with how often.
    system.section(|| {
        assert_eq!((register().is_err(), register().is_err()), (true, true));
        assert_eq!(TOLD.load(Relaxed), 0);
    });
    assert_eq!(TOLD.swap(0, Relaxed), 2);
    drop(kept);
    register()?;
    assert_eq!(TOLD.load(Relaxed), 0);
    Ok(())
}

/// The owner that is told of exhausted memory may have what finds no room wait, tried again, shed or
/// abort its registration: here, memory it gives back when it is told.
#[reflex::test]
fn an_owner_may_make_room_when_told(system: System) -> Result<(), Error> {
    struct Owner {
        reserve: Option<Lent<[u8]>>,
    }
    let kernel = raw::kernel(system);
    let context = system.context("thrifty", Owner { reserve: None }).memory(4 << 10).build()?;
    system
        .on_trouble(context, |owner: &mut Owner, trouble, _| {
            assert_eq!(trouble, Trouble::PoolExhausted);
            assert!(owner.reserve.take().is_some(), "told once");
        })?
        .set_priority(Priority::HIGH)?;
    let pool = system.pool(context)?;
    let register = || {
        let registration = Registration::default();
        kernel.register(context.handle(), registration, |owner: &mut Owner, _| {
            drop(owner.reserve.take());
        })
    };
    let fill = kernel.register(
        context.handle(),
        Registration { priority: Priority::HIGHEST, ..Registration::default() },
        move |owner: &mut Owner, _| {
            owner.reserve = pool.bytes(1_024).ok();
            assert!(owner.reserve.is_some());
        },
    )?;
    kernel.activate(fill, 1)?;
    let mut refused = 0;
    let mut made = 0;
    while refused < 1 {
        match register() {
            Ok(_) => made += 1,
            Err(_) => refused += 1,
        }
    }
    // It was told at once, and has made room.
    assert!(made > 10, "{made}");
    register()?;
    Ok(())
}
