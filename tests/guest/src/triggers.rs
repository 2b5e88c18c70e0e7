//! When a handler runs: by edge or level, once or always, at once or in time (K-2, K-3, K-5,
//!

use crate::kinds::{pass, wait};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::kind::{Kind, Latest, Line, Source};
use reflex::{Error, EventError, InTime, Registered, Runtime, Submission, System};

/// By edge the handler runs once for each time a line is asserted; by level as long as it is.
#[reflex::test(group = "kinds")]
fn by_level_until_deasserted_by_edge_once(system: System) -> Result<(), Error> {
    static EDGES: AtomicU32 = AtomicU32::new(0);
    static LEVELS: AtomicU32 = AtomicU32::new(0);
    let line = Line::new(system)?;
    let context = system.context("level", line.clone()).build()?;
    system.subscribe(line.clone()).level().on(context, |line: &mut Line, _| {
        if LEVELS.fetch_add(1, Relaxed) % 5 == 4 {
            line.deassert();
        }
    })?;
    let other = system.context("edge", ()).build()?;
    system.subscribe(line.clone()).on(other, |(), _| {
        EDGES.fetch_add(1, Relaxed);
    })?;
    for round in 1..=3 {
        line.assert();
        wait(|| LEVELS.load(Relaxed) == 5 * round && EDGES.load(Relaxed) == round);
        pass(system, Duration::from_micros(200));
        assert_eq!((LEVELS.load(Relaxed), EDGES.load(Relaxed)), (5 * round, round));
        assert!(!line.is_asserted());
    }
    // Deasserted before the handler came to run: what has occurred is told, and then no more.
    system.section(|| {
        line.assert();
        line.deassert();
    });
    pass(system, Duration::from_micros(200));
    assert_eq!((LEVELS.load(Relaxed), EDGES.load(Relaxed)), (16, 4));
    Ok(())
}

/// A registration by level is served for what is there already.
#[reflex::test(group = "kinds")]
fn a_line_that_is_up_is_told_at_registration(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let line = Line::new(system)?;
    line.assert();
    let context = system.context("level", line.clone()).build()?;
    system.subscribe(line).level().on(context, |line: &mut Line, _| {
        if RUNS.fetch_add(1, Relaxed) == 2 {
            line.deassert();
        }
    })?;
    wait(|| RUNS.load(Relaxed) == 3);
    pass(system, Duration::from_micros(200));
    assert_eq!(RUNS.load(Relaxed), 3);
    Ok(())
}

/// A registration for one occurrence ends with it, and its handler may look at it meanwhile.
#[reflex::test(group = "kinds")]
fn once_is_once(system: System) -> Result<(), Error> {
    static SUM: AtomicU32 = AtomicU32::new(0);
    let source: Source<u32> = system.source()?;
    let registered = system.registered();
    let context = system.context("once", ()).build()?;
    let subscribed = system.subscribe(source.clone()).once().on(context, |(), event| {
        let own = event.registration();
        assert_eq!(own.unregister(), Err(Error::Event(EventError::Stale)));
        SUM.fetch_add(event.data, Relaxed);
    })?;
    system.section(|| {
        source.deliver(1).expect("it takes everything");
        source.deliver(10).expect("it takes everything");
    });
    source.deliver(100).expect("it takes everything");
    assert_eq!(SUM.load(Relaxed), 1);
    assert_eq!(subscribed.look_up().err(), Some(Error::Event(EventError::Stale)));
    assert_eq!((source.registrations(), source.unheard()), (0, 1));
    assert_eq!(system.registered(), registered);
    Ok(())
}

/// What does not occur in time is told as such, once, until it occurs again; what occurs in time is
/// not.
#[reflex::test(group = "kinds")]
fn a_time_out_is_told_once_and_begins_anew(system: System) -> Result<(), Error> {
    static DATA: AtomicU32 = AtomicU32::new(0);
    static LATE: AtomicU32 = AtomicU32::new(0);
    let source: Source<u32> = system.source()?;
    let context = system.context("in time", ()).build()?;
    let within = Duration::from_millis(2);
    let subscribed = system.subscribe(source.clone()).within(within).on(
        context,
        |(), told: InTime<'_, u32>| match told {
            InTime::Occurred(event) => {
                DATA.fetch_add(event.data, Relaxed);
            }
            InTime::TimedOut(registration) => {
                assert_eq!(registration.look_up().expect("it is there").pending, 0);
                LATE.fetch_add(1, Relaxed);
            }
        },
    )?;
    wait(|| LATE.load(Relaxed) == 1);
    pass(system, 3 * within);
    assert_eq!((DATA.load(Relaxed), LATE.load(Relaxed)), (0, 1));
    source.deliver(5).expect("it takes everything");
    assert_eq!(DATA.load(Relaxed), 5);
    wait(|| LATE.load(Relaxed) == 2);
    // Both at once, before the handler can run: it is told of what has occurred.
    source.deliver(5).expect("it takes everything");
    system.section(|| {
        pass(system, 2 * within);
        source.deliver(5).expect("it takes everything");
    });
    assert_eq!(DATA.load(Relaxed), 15);
    subscribed.set_time_out(None)?;
    let late = LATE.load(Relaxed);
    pass(system, 3 * within);
    assert_eq!(LATE.load(Relaxed), late);
    subscribed.unregister()?;
    Ok(())
}

/// Filters are asked for the data where it is delivered, may be changed, and may end their own
/// registration.
#[reflex::test(group = "kinds")]
fn filters_choose_by_data_and_may_end_their_registration(system: System) -> Result<(), Error> {
    static SUM: AtomicU32 = AtomicU32::new(0);
    let source: Source<u32> = system.source()?;
    let context = system.context("filtered", ()).build()?;
    let subscribed = system.subscribe(source.clone()).filter(|data| data % 2 == 0).on(
        context,
        |(), event| {
            SUM.fetch_add(event.data, Relaxed);
        },
    )?;
    for data in 1..=4 {
        source.deliver(data).expect("it takes everything");
    }
    assert_eq!(SUM.load(Relaxed), 6);
    subscribed.set_filter(|data| *data > 100)?;
    source.deliver(100).expect("it takes everything");
    subscribed.lift_filter()?;
    source.deliver(1).expect("it takes everything");
    assert_eq!(SUM.load(Relaxed), 7);
    let own = subscribed.clone();
    subscribed.set_filter(move |_| {
        own.unregister().expect("once");
        true
    })?;
    source.deliver(50).expect("it takes everything");
    source.deliver(50).expect("nobody is there");
    assert_eq!((SUM.load(Relaxed), source.registrations(), source.unheard()), (7, 0, 1));
    Ok(())
}

/// What is there at submission is the answer, with no run of the handler; unless that is wanted. What
/// is not can be cancelled.
#[reflex::test(group = "kinds")]
fn what_is_ready_at_submission_is_the_answer(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let timer = system.after(Duration::from_micros(100)).shared()?;
    wait(|| timer.ready().is_some());
    let context = system.context("waits", ()).build()?;
    let operation = || system.subscribe(timer.clone());
    let run = |(): &mut (), _: reflex::Event<'_, reflex::kind::Expired>| {
        RUNS.fetch_add(1, Relaxed);
    };
    assert!(matches!(operation().submit(context, run)?, Submission::Ready(_)));
    assert_eq!((RUNS.load(Relaxed), timer.source().registrations()), (0, 0));
    assert!(matches!(operation().always_queue().submit(context, run)?, Submission::Pending(_)));
    wait(|| RUNS.load(Relaxed) == 1);
    // A filter that does not let it pass leaves the operation waiting.
    let Submission::Pending(waiting) = operation().filter(|_| false).submit(context, run)? else {
        panic!("it does not count");
    };
    assert_eq!(waiting.cancel()?, 0);
    assert_eq!(waiting.cancel(), Err(Error::Event(EventError::Stale)));
    assert_eq!(RUNS.load(Relaxed), 1);
    Ok(())
}

/// A batch says how many were ready at once and with what result; the others can be cancelled,
/// which says whether they had occurred.
#[reflex::test(group = "kinds")]
fn a_batch_tells_what_was_ready(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let (up, down) = (Line::new(system)?, Line::new(system)?);
    up.assert();
    let data: Source<u32> = system.source()?;
    let context = system.context("waits", ()).build()?;
    let line = |line: &Line| {
        system.subscribe(line.clone()).prepare(context, |(), _| {
            TOLD.fetch_add(1, Relaxed);
        })
    };
    let word = system.subscribe(data.clone()).prepare(context, |(), event| {
        TOLD.fetch_add(event.data, Relaxed);
    });
    let submitted = system.submit((line(&up), line(&down), word, line(&up)));
    assert_eq!(submitted.ready, 2);
    let (first, second, third, fourth) = submitted.results;
    assert!(matches!(first?, Submission::Ready(())));
    assert!(matches!(fourth?, Submission::Ready(())));
    let pending = |result: Result<Submission<()>, Error>| match result {
        Ok(Submission::Pending(subscribed)) => subscribed,
        _ => panic!("nothing has occurred"),
    };
    let second: Registered<()> = pending(second);
    let Submission::Pending(third) = third? else { panic!("nothing has occurred") };
    // It has occurred, and is cancelled before its handler has run.
    let untold = system.section(|| {
        data.deliver(1000).expect("it takes everything");
        third.cancel()
    });
    assert_eq!(untold, Ok(1));
    assert_eq!(second.cancel(), Ok(0));
    down.assert();
    data.deliver(1000).expect("it takes everything");
    assert_eq!(TOLD.load(Relaxed), 0);
    let lines = [&down, &up, &down].map(line);
    let submitted = system.submit(lines);
    assert_eq!((submitted.ready, submitted.results.len()), (3, 3));
    Ok(())
}

/// Exclusive kinds are not taken from their handler, not even when they are ready.
#[reflex::test(group = "kinds")]
fn what_is_ready_is_not_taken_from_its_owner(system: System) -> Result<(), Error> {
    #[derive(Clone)]
    struct Once(Source<u32>);

    impl Kind<Runtime> for Once {
        const NAME: &str = "once";
        type Data = u32;
        type Accumulation = Latest;

        fn source(&self) -> &Source<u32> {
            &self.0
        }

        fn ready(&self) -> Option<u32> {
            Some(1)
        }
    }

    let kind = Once(system.exclusive(|| {})?);
    let context = system.context("first", ()).build()?;
    system.subscribe(kind.clone()).each::<2>().on(context, |(), _| {})?;
    let second = system.subscribe(kind).submit(context, |(), _| {});
    assert_eq!(second.err().map(|error| error == Error::Event(EventError::Exclusive)), Some(true));
    Ok(())
}
