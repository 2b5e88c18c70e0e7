//! A name, an index or an address that is used again never stands for what it stood for before.

use alloc::sync::Arc;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Cloner, Error, EventError, EventId, OnFailure, Pending, Priority, Registration,
    ReplaceError, System, Trouble, log,
};

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };

fn failed(error: ReplaceError) -> Error {
    log::error!("{error}");
    Error::Application("the context was not replaced")
}

/// A place in the table of registrations serves one after the other; the name of one that has ended
/// reaches none of those that come later.
#[reflex::test(group = "sound")]
fn the_name_of_an_ended_registration_reaches_nobody(system: System) -> Result<(), Error> {
    static CALLED: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("places", ()).build()?;
    let first = kernel.register(context.handle(), EACH, |(), _| {})?;
    kernel.unregister(first)?;
    for life in 0..1000 {
        let event = kernel.register(context.handle(), EACH, |(), _| {
            CALLED.fetch_add(1, Relaxed);
        })?;
        assert_eq!(kernel.activate(first, 1), Err(EventError::Stale), "in life {life}");
        assert_eq!(kernel.unregister(first), Err(EventError::Stale), "in life {life}");
        kernel.unregister(event)?;
    }
    assert_eq!(CALLED.load(Relaxed), 0);
    Ok(())
}

/// The name of a cloner's child stays dead however often its place is given to another.
#[reflex::test(group = "sound")]
fn the_name_of_a_dead_child_stays_dead(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let children: Cloner<u32> = system.cloner("children", ()).children(1).with(|(), _| {
        LIVES.fetch_add(1, Relaxed);
    })?;
    let begin = |life| children.start(life).map_err(|_| Error::Application("no child is idle"));
    let first = begin(0)?;
    for life in 1..=70_000 {
        assert_eq!(kernel.failures(first), Err(EventError::NoContext), "after {life} lives");
        let next = begin(life)?;
        assert_eq!((next.index, next.generation()), (first.index, u64::from(life)));
    }
    assert_eq!(LIVES.load(Relaxed), 70_001);
    Ok(())
}

struct Old(u64);
struct New(u64);

fn new(old: Old) -> Result<New, Old> {
    Ok(New(old.0 + 1))
}

/// A deadline that was set before a replacement is kept by the new handler, and lifting it leaves the
/// new handler in place.
#[reflex::test(group = "sound")]
fn a_deadline_outlives_the_handler_it_was_set_for(system: System) -> Result<(), Error> {
    static OLD: AtomicU32 = AtomicU32::new(0);
    static NEW: AtomicU32 = AtomicU32::new(0);
    const SHORT: Duration = Duration::from_micros(10);
    for budget in [None, Some(Duration::from_secs(1))] {
        OLD.store(0, Relaxed);
        NEW.store(0, Relaxed);
        let kernel = raw::kernel(system);
        let context = system.context("timed", Old(0)).on_failure(OnFailure::Ignore);
        let context = match budget {
            Some(budget) => context.budget(budget).build()?,
            None => context.build()?,
        };
        let event = kernel.register(context.handle(), EACH, |_: &mut Old, _| {
            OLD.fetch_add(1, Relaxed);
        })?;
        kernel.set_deadline(event, Some(SHORT))?;
        let replaced = system
            .replace::<New>(context)
            .bind(event, move |new: &mut New, _| {
                NEW.fetch_add(new.0 as u32, Relaxed);
                let end = system.now() + Duration::from_millis(2);
                while system.now() < end {
                    spin_loop();
                }
            })
            .apply(new)
            .map_err(failed)?;
        let missed = || {
            kernel.activate(event, 1)?;
            let troubles = kernel.take_troubles(replaced.id())?;
            Ok::<_, Error>(troubles.count(Trouble::DeadlineMissed))
        };
        assert_eq!(missed()?, 1, "the deadline is the registration's");
        kernel.set_deadline(event, None)?;
        assert_eq!(missed()?, 0);
        kernel.set_deadline(event, Some(SHORT))?;
        assert_eq!(missed()?, 1);
        assert_eq!((OLD.load(Relaxed), NEW.load(Relaxed)), (0, 3));
    }
    Ok(())
}

/// Neither a new handler nor an end can be given to a registration of another context.
#[reflex::test(group = "sound")]
fn a_replacement_refuses_an_event_of_another_context(system: System) -> Result<(), Error> {
    static RAN: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let one = system.context("one", Old(1)).build()?;
    let other = system.context("other", 5_u32).build()?;
    let event = kernel.register(other.handle(), EACH, |number: &mut u32, _| {
        RAN.fetch_add(*number, Relaxed);
    })?;
    let pool = system.pool(one)?;
    let free = pool.available();
    let foreign = Err(ReplaceError::Event(EventError::Foreign));
    let bound = system.replace::<New>(one).bind(event, |_: &mut New, _| {
        RAN.fetch_add(1_000, Relaxed);
    });
    assert_eq!(bound.apply(new).map(|_| ()), foreign);
    let ended = system.replace::<New>(one).end(event);
    assert_eq!(ended.apply(new).map(|_| ()), foreign);
    kernel.activate(event, 1)?;
    assert_eq!(RAN.load(Relaxed), 5, "it is as it was");
    assert_eq!(pool.available(), free);
    // Nor can it be named as what one context is told of its trouble by.
    assert_eq!(kernel.set_notice(one.id(), Some(event)), Err(EventError::Foreign));
    system.replace::<New>(one).apply(new).map_err(failed)?;
    Ok(())
}

/// A replacement has to serve what its context served, and nothing of another's.
#[reflex::test(group = "sound")]
fn a_replacement_refuses_a_listener_of_another_context(system: System) -> Result<(), Error> {
    struct Mute;
    impl reflex::net::TcpService for Mute {
        fn received(&mut self, _: &reflex::net::Connection) {}
    }
    let one = system.context("one", 1_u8).build()?;
    let other = system.context("other", Mute).build()?;
    let listener = system.tcp(4007).connections(1).serve(other)?;
    let taken = system.replace::<Mute>(one).serve(&listener).apply(|_: u8| Ok(Mute));
    assert_eq!(taken.map(|_| ()), Err(ReplaceError::Event(EventError::Foreign)));
    listener.close();
    Ok(())
}

/// Neither a cloner's event nor a ring's can be given a handler: none is ever run there.
#[reflex::test(group = "sound")]
fn contexts_without_handlers_are_not_replaced(system: System) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let cloner = system.cloner("children", 1_u8).on(|_, _| {})?;
    let ring = system.completions::<4>("ring")?;
    let event = ring.register(EACH)?;
    for event in [cloner.event(), event] {
        let context = kernel.look_up(event)?.context;
        let refused = kernel.replacement::<New>(context).map(|_| ());
        assert_eq!(refused, Err(EventError::NotAllowed));
    }
    Ok(())
}

/// States of one size, which are told apart by nothing but their type and their content.
struct Form<const TAG: u64>(u64);

impl<const TAG: u64> Form<TAG> {
    fn next<const NEXT: u64>(self) -> Result<Form<NEXT>, Self> {
        Ok(Form(NEXT))
    }
}

/// A handler that is being registered while its context is replaced, twice, so that the state's cell
/// is where the first one's was: it is refused, or ended, and never sees a state of another type.
#[reflex::test(group = "icount")]
fn a_handler_registered_meanwhile_sees_its_own_state_or_none(system: System) -> Result<(), Error> {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    static CALLED: AtomicU32 = AtomicU32::new(0);
    static REPLACED: AtomicU32 = AtomicU32::new(0);
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("subject", Form::<1>(1)).build()?;
    let replacer = system.context("replacer", ()).priority(Priority::HIGH).build()?;
    let high = Registration { priority: Priority::HIGH, ..EACH };
    let replace = kernel.register(replacer.handle(), high, move |(), _| {
        let second = system.replace::<Form<2>>(context).end_others().priority(Priority::HIGH);
        let second = second.apply(Form::<1>::next).expect("nobody keeps it");
        let third = system.replace::<Form<3>>(second).end_others().priority(Priority::HIGH);
        third.apply(Form::<2>::next).expect("nobody keeps it");
        REPLACED.fetch_add(1, Relaxed);
    })?;
    let timer = kernel.timer(replace)?;
    for delay in (0..3_000).step_by(7) {
        let before = REPLACED.load(Relaxed);
        kernel.arm(timer, system.now() + Duration::from_nanos(delay), None)?;
        while REPLACED.load(Relaxed) == before {
            let registered = kernel.register(context.handle(), EACH, |form: &mut Form<1>, _| {
                CALLED.fetch_add(1, Relaxed);
                SEEN.fetch_max(form.0, Relaxed);
            });
            match registered {
                Ok(event) => {
                    // Stale, if the replacement has found and ended it.
                    let _ = kernel.activate(event, 1);
                    let _ = kernel.unregister(event);
                }
                Err(error) => {
                    assert_eq!(error, EventError::WrongState);
                    REFUSED.fetch_add(1, Relaxed);
                }
            }
        }
        assert!(SEEN.load(Relaxed) <= 1, "a handler was given a state of another type");
        let again = system.replace::<Form<1>>(context).end_others();
        again.apply(Form::<3>::next).map_err(failed)?;
    }
    log::info!("called {CALLED:?}, replaced {REPLACED:?}, refused {REFUSED:?}");
    assert!(REFUSED.load(Relaxed) > 0, "none was caught in the middle");
    Ok(())
}

/// A replacement is told to have been stopped when its context is given up before it has begun: a caller that
/// waits for it does not wait for ever. One that is refused is told so, also when its context fails at dropping
/// what is not needed any more.
#[reflex::test(group = "sound")]
fn a_caller_that_waits_for_a_replacement_is_told_that_its_context_was_given_up(
    system: System,
) -> Result<(), Error> {
    struct Bad(Arc<()>);
    impl Drop for Bad {
        fn drop(&mut self) {
            if Arc::strong_count(&self.0) == 1 {
                panic!("while it is dropped");
            }
        }
    }
    let kernel = raw::kernel(system);
    for drops in [false, true] {
        let context = system.context("subject", Old(1)).on_failure(OnFailure::Ignore).build()?;
        let bad = drops.then(|| Bad(Arc::new(())));
        let pending: Pending<New> = system.section(|| -> Result<_, Error> {
            let replacement = system.replace::<New>(context);
            let replacement = if drops {
                // Refused, and so what its conversion has captured is dropped.
                kernel.register(context.handle(), EACH, |_: &mut Old, _| {})?;
                replacement
            } else {
                replacement.end_others()
            };
            let pending = replacement.submit(move |old: Old| {
                let _bad = &bad;
                new(old)
            })?;
            if !drops {
                kernel.give_up(context.id())?;
            }
            assert!(pending.outcome().is_none());
            Ok(pending)
        })?;
        match pending.wait().map(|_| ()) {
            Err(ReplaceError::Stopped) => assert!(!drops),
            Err(ReplaceError::Unnamed(_)) => assert!(drops),
            other => panic!("{other:?}"),
        }
        while system.stopped(context.id()).is_err() {
            spin_loop();
        }
    }
    Ok(())
}

/// What was registered while the state was being handed over, and is not known to the replacement, is
/// ended; and that is told.
#[reflex::test(group = "sound")]
fn a_registration_that_a_replacement_ends_unasked_is_told_as_lost(
    system: System,
) -> Result<(), Error> {
    static LATE: AtomicU64 = AtomicU64::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("subject", Old(1)).build()?;
    let event = kernel.register(context.handle(), EACH, |_: &mut Old, _| {})?;
    let replaced = system
        .replace::<New>(context)
        .bind(event, |_: &mut New, _| {})
        .apply(move |old: Old| {
            let late = kernel.register(context.handle(), EACH, |_: &mut Old, _| {});
            LATE.store(late.expect("the state is of this type still").into_word(), Relaxed);
            new(old)
        })
        .map_err(failed)?;
    let late = EventId::from_word(LATE.load(Relaxed));
    assert_eq!(kernel.activate(late, 1), Err(EventError::Stale));
    let troubles = kernel.take_troubles(replaced.id())?;
    assert_eq!(troubles.count(Trouble::RegistrationLost), 1);
    kernel.activate(event, 1)?;
    Ok(())
}
