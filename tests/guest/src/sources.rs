//! Several handlers for one occurrence, in the machine (A-3.1.1, A-3.6.5, G-3).

use crate::kinds::wait;
use crate::trace::Trace;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::kind::Source;
use reflex::{Error, Priority, Registered, SignalMode, System};

fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

/// Ten and a hundred handlers, in as many registrations of ten contexts, are told each occurrence
/// exactly once, with its data.
#[reflex::test(group = "kinds")]
fn a_hundred_handlers_are_each_told_once(system: System) -> Result<(), Error> {
    static COUNTS: [AtomicU32; 100] = [const { AtomicU32::new(0) }; 100];
    for handlers in [1, 10, 100] {
        let source: Source<u32> = system.source()?;
        let mut contexts = Vec::new();
        for place in 0..10 {
            contexts.push(system.context("told", ()).priority(level(10 + place)).build()?);
        }
        COUNTS.iter().for_each(|count| count.store(0, Relaxed));
        let mut all = Vec::new();
        for place in 0..handlers {
            all.push(system.subscribe(source.clone()).each::<4>().on(
                contexts[place % 10],
                move |(), event| {
                    assert_eq!((event.data, event.count), (COUNTS[place].load(Relaxed), 1));
                    COUNTS[place].fetch_add(1, Relaxed);
                },
            )?);
        }
        for data in 0..20 {
            source.deliver(data).expect("it takes everything");
            wait(|| COUNTS[..handlers].iter().all(|count| count.load(Relaxed) == data + 1));
        }
        all.iter().try_for_each(|one| one.unregister())?;
        assert_eq!(source.registrations(), 0);
    }
    Ok(())
}

/// Occurrences are told by priority: the highest first and, preempting whatever runs, a new
/// occurrence to it before the last one to the lower.
#[reflex::test(group = "kinds")]
fn the_higher_do_not_wait_for_the_lower(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let source: Source<u32> = system.source()?;
    let mut contexts = Vec::new();
    for (name, priority) in [('a', 10), ('b', 50), ('c', 30)] {
        let context = system.context("told", ()).priority(level(priority)).build()?;
        let again = source.clone();
        system.subscribe(source.clone()).on(context, move |(), event| {
            TRACE.note(name);
            if name == 'c' && event.data == 1 {
                again.deliver(2).expect("it takes everything");
            }
            TRACE.note(char::from(b'0' + event.data as u8));
        })?;
        contexts.push(context);
    }
    source.deliver(1).expect("it takes everything");
    // `b` is told of the second while `c` still is at the first.
    TRACE.expect("b1cb21c2a2");
    Ok(())
}

/// The same handler may be registered twice, in one context or several, and is told twice.
#[reflex::test(group = "kinds")]
fn a_handler_may_be_registered_twice(system: System) -> Result<(), Error> {
    static SUM: AtomicU32 = AtomicU32::new(0);
    let source: Source<u32> = system.source()?;
    let context = system.context("twice", ()).build()?;
    let handler = |(): &mut (), event: reflex::Event<'_, u32>| {
        SUM.fetch_add(event.data, Relaxed);
    };
    let first = system.subscribe(source.clone()).on(context, handler)?;
    let second = system.subscribe(source.clone()).on(context, handler)?;
    assert_ne!(first.event(), second.event());
    source.deliver(1).expect("it takes everything");
    wait(|| SUM.load(Relaxed) == 2);
    first.unregister()?;
    source.deliver(1).expect("it takes everything");
    wait(|| SUM.load(Relaxed) == 3);
    Ok(())
}

/// Handlers that end registrations, their own and others', while an occurrence is being told.
#[reflex::test(group = "kinds")]
fn handlers_may_end_registrations_while_all_are_told(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    struct Ender {
        others: Vec<Registered<u32>>,
    }
    let source: Source<u32> = system.source()?;
    let low = system.context("low", ()).priority(level(10)).build()?;
    let mut others = Vec::new();
    for name in ['x', 'y', 'z'] {
        others.push(system.subscribe(source.clone()).on(low, move |(), _| TRACE.note(name))?);
    }
    others.pop();
    let high = system.context("high", Ender { others }).priority(level(50)).build()?;
    system.subscribe(source.clone()).on(high, |ender: &mut Ender, event| {
        TRACE.note('e');
        ender.others.drain(..).for_each(|other| other.unregister().expect("once"));
        event.registration().unregister().expect("once");
    })?;
    source.deliver(1).expect("it takes everything");
    TRACE.expect("ez");
    source.deliver(2).expect("it takes everything");
    TRACE.expect("ezz");
    assert_eq!(source.registrations(), 1);
    Ok(())
}

/// A priority that is changed while an occurrence is being told counts at once, and disabled
/// registrations are passed over.
#[reflex::test(group = "kinds")]
fn priorities_and_gates_change_while_all_are_told(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let source: Source<u32> = system.source()?;
    let mut all = Vec::new();
    for (name, priority) in [('a', 10), ('b', 20), ('c', 30)] {
        let context = system.context("told", ()).priority(level(priority)).build()?;
        let note = move |(): &mut (), _: reflex::Event<'_, u32>| TRACE.note(name);
        all.push(system.subscribe(source.clone()).on(context, note)?);
    }
    let (low, middle) = (all[0].clone(), all[1].clone());
    let above = system.context("above", ()).priority(Priority::HIGHEST).build()?;
    let start = system.signal(SignalMode::Counter).on(above, {
        let source = source.clone();
        move |(), _| {
            source.deliver(1).expect("it takes everything");
            low.set_priority(level(40)).expect("registered");
            middle.disable(reflex::DisabledPolicy::Discard).expect("registered");
        }
    })?;
    start.fire()?;
    TRACE.expect("ac");
    all[1].enable()?;
    source.deliver(1).expect("it takes everything");
    TRACE.expect("acacb");
    Ok(())
}
