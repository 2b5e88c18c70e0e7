//! What contexts may do, and how much of it: kinds of events, executors, protected sections, limits,
//! and that children have no more than their parents.

use crate::trace::Trace;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Context, Error, EventError, Executor, Executors, Limits, Priority, SignalMode, System, Trouble,
};

const NOT_ALLOWED: Error = Error::Event(EventError::NotAllowed);
const LIMIT_REACHED: Error = Error::Event(EventError::LimitReached);

fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

/// Runs `work` in a handler of `context`.
fn inside<S, F>(system: System, context: Context<S>, work: F) -> Result<(), Error>
where
    S: Send + 'static,
    F: Fn(&mut S) + Send + 'static,
{
    static DONE: AtomicBool = AtomicBool::new(false);
    DONE.store(false, Relaxed);
    let kernel = raw::kernel(system);
    let event =
        kernel.register(context.handle(), Default::default(), move |state: &mut S, _| {
            work(state);
            DONE.store(true, Relaxed);
        })?;
    kernel.activate(event, 1)?;
    kernel.unregister(event)?;
    assert!(DONE.load(Relaxed));
    Ok(())
}

/// A context registers for the kinds of events that it may, and for no other.
#[reflex::test(group = "contexts")]
fn kinds_that_are_not_allowed_are_refused(system: System) -> Result<(), Error> {
    let context = system.context("signals only", ()).kinds(&["signal", "own kind"]).build()?;
    assert!(system.signal(SignalMode::Counter).on(context, |(), _| {}).is_ok());
    let timer = system.every(Duration::from_secs(1)).on(context, |(), _| {});
    assert_eq!(timer.err(), Some(NOT_ALLOWED));
    let kernel = raw::kernel(system);
    let event = kernel.register(context.handle(), Default::default(), |(), _| {})?;
    assert_eq!(kernel.timer(event).err(), Some(EventError::NotAllowed));
    assert_eq!(kernel.permit(context.id(), "own kind"), Ok(()));
    assert_eq!(kernel.permit(context.id(), "another kind"), Err(EventError::NotAllowed));
    let none = system.context("nothing", ()).kinds(&[]).build()?;
    let signal = system.signal(SignalMode::Counter).on(none, |(), _| {});
    assert_eq!(signal.err(), Some(NOT_ALLOWED));
    let free = system.context("everything", ()).build()?;
    assert_eq!(kernel.permit(free.id(), "another kind"), Ok(()));
    Ok(())
}

/// Each executor is refused to a context that may not name it.
#[reflex::test(group = "contexts")]
fn executors_that_are_not_allowed_are_refused(system: System) -> Result<(), Error> {
    let all_but = |forbidden: Executor| {
        let others = Executor::ALL.into_iter().filter(move |executor| *executor != forbidden);
        others.fold(Executors::NONE, Executors::with)
    };
    let context = |name, forbidden| system.context(name, ()).executors(all_but(forbidden)).build();
    let ring = context("takes nothing", Executor::Ring)?;
    inside(system, ring, move |()| {
        assert_eq!(system.completions::<4>("ring").err(), Some(NOT_ALLOWED));
        assert!(system.waiter().is_ok());
    })?;
    let waiting = context("never waits", Executor::Waiting)?;
    inside(system, waiting, move |()| {
        assert_eq!(system.waiter().err(), Some(NOT_ALLOWED));
    })?;
    let cloning = context("childless", Executor::NewContext)?;
    let cloner = |parent: Context<()>| system.cloner("child", ()).child_of(parent).on(|(), _| {});
    assert_eq!(cloner(cloning).err(), Some(NOT_ALLOWED));
    assert!(cloner(waiting).is_ok());
    let direct = context("not called", Executor::Direct)?;
    let signal = system.signal(SignalMode::Counter).on(direct, |(), _| {});
    assert_eq!(signal.err(), Some(NOT_ALLOWED));
    // A child of its runs, and may not have itself called, either.
    let child = system.cloner("child", ()).child_of(direct).on(move |(), _| {
        let this = system.this::<()>().expect("its state").handle();
        let refused = raw::kernel(system).register(this, Default::default(), |(), _| {});
        assert_eq!(refused, Err(EventError::NotAllowed));
    })?;
    system.activate(child.event(), 1)?;
    Ok(())
}

/// The limit on registrations is a precise error, and is told to the owner; a registration that
/// has ended makes room.
#[reflex::test(group = "contexts")]
fn the_limit_on_registrations_holds_and_is_told(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let limits = Limits { registrations: 3, ..Limits::NONE };
    let context = system.context("limited", ()).limits(limits).build()?;
    system
        .on_trouble(context, |(), trouble, count| {
            assert_eq!(trouble, Trouble::LimitReached);
            TOLD.fetch_add(count, Relaxed);
        })?
        .set_priority(Priority::HIGH)?;
    let register = || kernel.register(context.handle(), Default::default(), |(), _| {});
    let (first, _) = (register()?, register()?);
    let free = system.pool(context)?.available();
    for refusals in 1..=3 {
        assert_eq!(register(), Err(EventError::LimitReached));
        assert_eq!(TOLD.load(Relaxed), refusals);
    }
    assert_eq!(system.pool(context)?.available(), free);
    kernel.unregister(first)?;
    register()?;
    assert_eq!(TOLD.load(Relaxed), 3);
    Ok(())
}

/// A protected section is not interrupted by contexts with a policy that says so, and by all
/// others.
#[reflex::test(group = "contexts")]
fn protected_sections_are_not_interrupted(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let (settle, other) = (system.protected("settle")?, system.protected("other")?);
    assert_eq!(settle, system.protected("settle")?);
    assert_ne!(settle, other);
    let marking = |name: &'static str, sections: &[reflex::Protected]| {
        // A context that may interrupt is above the priority that the others lend to the work.
        let context = system.context(name, ()).priority(level(60 - 10 * sections.len() as u8));
        let context = sections.iter().fold(context, |to, section| to.not_during(*section));
        let mark = name.as_bytes()[0] as char;
        system.signal(SignalMode::Semaphore).on(context.build()?, move |(), _| TRACE.note(mark))
    };
    let polite = marking("polite", &[settle])?;
    let both = marking("both", &[settle, other])?;
    let rude = marking("rude", &[])?;
    let fire = || [polite, both, rude].iter().for_each(|signal| signal.fire().expect("registered"));
    system.protect(settle, || {
        TRACE.note('[');
        fire();
        TRACE.note(']');
    })?;
    TRACE.note(' ');
    system.protect(other, || {
        TRACE.note('[');
        fire();
        TRACE.note(']');
    })?;
    TRACE.note(' ');
    fire();
    TRACE.expect("[r]pb [pr]b pbr");
    Ok(())
}

/// A context with handlers that do the protected work is not in its own way.
#[reflex::test(group = "contexts")]
fn the_owner_of_the_work_may_be_one_of_them(system: System) -> Result<(), Error> {
    static DONE: AtomicBool = AtomicBool::new(false);
    let section = system.protected("own")?;
    let context = system.context("owner", ()).not_during(section).build()?;
    inside(system, context, move |()| {
        system.protect(section, || DONE.store(true, Relaxed)).expect("nobody else is in the way");
    })?;
    assert!(DONE.load(Relaxed));
    Ok(())
}

/// What a context's handlers make are its children, which have no more than it has, whatever they
/// ask for; and there are no more of them than it may have.
#[reflex::test(group = "contexts")]
fn children_have_no_more_than_their_parent(system: System) -> Result<(), Error> {
    let limits = Limits { registrations: 2, activations: 5, ..Limits::NONE };
    let section = system.protected("guarded")?;
    let parent = system
        .context("strict", ())
        .memory(16 << 10)
        .limits(limits)
        .kinds(&["signal"])
        .executors(Executors::NONE.with(Executor::Direct).with(Executor::Waiting))
        .not_during(section)
        .budget(Duration::from_millis(50))
        .children(2)
        .build()?;
    let kernel = raw::kernel(system);
    inside(system, parent, move |()| {
        let child = system
            .context("greedy", ())
            .memory(1 << 20)
            .limits(Limits::NONE)
            .budget(Duration::from_secs(5))
            .children(1_000)
            .build()
            .expect("the first");
        let (own, parents) = (kernel.policy(child.id()), kernel.policy(parent.id()));
        let (own, parents) = (own.expect("it exists"), parents.expect("it exists"));
        assert_eq!(own.within(parents), own);
        assert_eq!((own.budget, own.children), (Some(Duration::from_millis(50)), 2));
        assert!(system.pool(child).expect("its own").stats().capacity <= 16 << 10);
        let signal = || system.signal(SignalMode::Counter).on(child, |(), _| {});
        assert!(signal().is_ok() && signal().is_ok());
        assert_eq!(signal().err(), Some(LIMIT_REACHED));
        let timer = system.every(Duration::from_secs(1)).on(child, |(), _| {});
        assert!(timer.is_err());
        assert!(system.context("second", ()).build().is_ok());
        assert_eq!(system.context("third", ()).build().err(), Some(LIMIT_REACHED));
    })?;
    // From outside, too; and nobody gets more by naming somebody else as its parent.
    let third = system.context("third", ()).child_of(parent).build();
    assert_eq!(third.err(), Some(LIMIT_REACHED));
    let rich = system.context("rich", ()).memory(1 << 20).build()?;
    let poor = system.context("poor", ()).memory(8 << 10).build()?;
    inside(system, poor, move |()| {
        let adopted = system.context("adopted", ()).memory(1 << 20).child_of(rich).build();
        let pool = kernel.pool(adopted.expect("there is room").handle()).expect("its own");
        assert!(pool.stats().capacity <= 8 << 10);
    })?;
    Ok(())
}

/// Children of cloners count as children, and as many as there may be are set aside.
#[reflex::test(group = "contexts")]
fn a_cloner_keeps_to_its_parents_children(system: System) -> Result<(), Error> {
    let parent = system.context("small family", ()).children(3).build()?;
    let cloner =
        |children| system.cloner("of three", ()).children(children).child_of(parent).on(|(), _| {});
    // One place is the cloner's own.
    assert_eq!(cloner(3).err(), Some(LIMIT_REACHED));
    let seen = system.contexts().filter(|seen| seen.parent == Some(parent.id())).count();
    assert_eq!(seen, 3);
    let parent = system.context("another", ()).children(3).build()?;
    let cloner = system.cloner("of three", ()).children(2).child_of(parent).on(|(), _| {})?;
    cloner.event();
    Ok(())
}

/// What the command line says has the last word. `e2e` boots this image with limits for this
/// context, and without.
#[reflex::test(group = "contexts")]
fn the_command_line_has_the_last_word(system: System) -> Result<(), Error> {
    let limits = Limits { registrations: 7, ..Limits::NONE };
    let context = system
        .context("configured", ())
        .limits(limits)
        .memory(64 << 10)
        .priority(level(20))
        .kinds(&["signal", "timer"])
        .build()?;
    let said = |key: &str| system.machine().arguments.get(key).is_some();
    let most = if said("context.configured.registrations") { 4 } else { 7 };
    let level = if said("context.configured.priority") { 44 } else { 20 };
    let memory = if said("context.configured.memory") { 16 << 10 } else { 64 << 10 };
    assert_eq!(context.priority().level(), level);
    let capacity = system.pool(context)?.stats().capacity;
    assert!(capacity <= memory && capacity > memory * 3 / 4, "{capacity}");
    let timer = system.after(Duration::from_secs(9)).on(context, |(), _| {});
    let timers = if said("context.configured.kinds") { 0 } else { 1 };
    assert_eq!(u32::from(timer.is_ok()), timers);
    for _ in timers..most {
        system.signal(SignalMode::Counter).on(context, |(), _| {})?;
    }
    let signal = system.signal(SignalMode::Counter).on(context, |(), _| {});
    assert_eq!(signal.err(), Some(LIMIT_REACHED));
    Ok(())
}
