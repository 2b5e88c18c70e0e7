//! Events with handlers that run in contexts of their own: cloners, their children, and what those
//! inherit.

use crate::trace::Trace;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Activation, Cloner, ContextId, ContextState, Error, EventError, EventId, Lent, Limits,
    Priority, SignalMode, System, Trouble, Waiter,
};

fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

/// Children that wait until they are let go on, one by one.
struct Halted {
    events: [AtomicU64; 8],
    begun: AtomicUsize,
}

impl Halted {
    const fn new() -> Self {
        Self { events: [const { AtomicU64::new(0) }; 8], begun: AtomicUsize::new(0) }
    }

    /// Waits, in a child.
    fn wait(&self, system: System) {
        let waiter: Waiter = system.waiter().expect("there is room for one");
        let number = self.begun.fetch_add(1, Relaxed);
        self.events[number].store(waiter.event().into_word(), Relaxed);
        waiter.wait().expect("nothing else can happen");
    }

    fn begun(&self) -> usize {
        self.begun.load(Relaxed)
    }

    /// Lets the child go on that began so many after the first.
    fn go_on(&self, system: System, number: usize) {
        let event = EventId::from_word(self.events[number].load(Relaxed));
        raw::kernel(system).activate(event, 1).expect("it waits");
    }
}

/// Each occurrence has a child of its own, which begins as the template is, whatever others have
/// made of theirs; and each has a name of its own.
#[reflex::test(group = "contexts")]
fn each_occurrence_makes_a_child_from_the_template(system: System) -> Result<(), Error> {
    static SEEN: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
    static NAMES: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let cloner = system.cloner("fresh", 7u32).children(2).on(move |state, activation| {
        let run = RUNS.fetch_add(1, Relaxed);
        assert_eq!(activation.count, 1);
        SEEN[run].store(*state, Relaxed);
        *state += 1;
        NAMES[run].store(system.running().expect("a child").into_word(), Relaxed);
    })?;
    let signal = cloner.signal();
    for _ in 0..4 {
        signal.fire()?;
    }
    assert_eq!(RUNS.load(Relaxed), 4);
    assert!(SEEN.iter().all(|seen| seen.load(Relaxed) == 7));
    for (at, name) in NAMES.iter().enumerate() {
        let name = name.load(Relaxed);
        assert!(NAMES[..at].iter().all(|before| before.load(Relaxed) != name));
    }
    Ok(())
}

/// While all children are busy occurrences wait: counted, in order, and none is lost.
#[reflex::test(group = "contexts")]
fn occurrences_wait_for_a_child(system: System) -> Result<(), Error> {
    static HALTED: Halted = Halted::new();
    static ENDED: AtomicU32 = AtomicU32::new(0);
    let cloner = system.cloner("busy", ()).children(2).on(move |(), _| {
        HALTED.wait(system);
        ENDED.fetch_add(1, Relaxed);
    })?;
    let signal = cloner.signal();
    for _ in 0..6 {
        signal.fire()?;
    }
    assert_eq!(HALTED.begun(), 2);
    assert_eq!(cloner.registration().look_up()?.pending, 4);
    // The second ends first; its place is taken at once.
    HALTED.go_on(system, 1);
    assert_eq!((HALTED.begun(), ENDED.load(Relaxed)), (3, 1));
    assert_eq!(cloner.registration().look_up()?.pending, 3);
    for number in [0, 2, 3, 4, 5] {
        HALTED.go_on(system, number);
    }
    assert_eq!((HALTED.begun(), ENDED.load(Relaxed)), (6, 6));
    assert_eq!(cloner.registration().look_up()?.pending, 0);
    Ok(())
}

/// The waiting occurrences are the event's own: they can be looked up, cleaned and disabled.
#[reflex::test(group = "contexts")]
fn what_waits_is_under_control(system: System) -> Result<(), Error> {
    static HALTED: Halted = Halted::new();
    let kernel = raw::kernel(system);
    let cloner = system.cloner("controlled", ()).on(move |(), _| HALTED.wait(system))?;
    kernel.activate(cloner.event(), 5)?;
    assert_eq!((HALTED.begun(), kernel.look_up(cloner.event())?.pending), (1, 4));
    assert_eq!(kernel.clean(cloner.event())?, 4);
    HALTED.go_on(system, 0);
    assert_eq!(HALTED.begun(), 1);
    kernel.disable(cloner.event(), reflex::DisabledPolicy::Keep)?;
    kernel.activate(cloner.event(), 2)?;
    assert_eq!(HALTED.begun(), 1);
    kernel.enable(cloner.event())?;
    assert_eq!(HALTED.begun(), 2);
    HALTED.go_on(system, 1);
    HALTED.go_on(system, 2);
    cloner.registration().unregister()?;
    assert_eq!(kernel.activate(cloner.event(), 1), Err(EventError::Stale));
    Ok(())
}

/// Accumulated occurrences make one child, if that is asked for.
#[reflex::test(group = "contexts")]
fn a_counting_cloner_makes_one_child_for_all(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let cloner = system.cloner("counted", ()).counted().on(|(), activation: Activation| {
        TOLD.fetch_add(activation.count << 8 | 1, Relaxed);
    })?;
    let signal = cloner.signal();
    system.section(|| (0..5).try_for_each(|_| signal.fire()))?;
    assert_eq!(TOLD.load(Relaxed), 5 << 8 | 1);
    Ok(())
}

/// What a child is told.
struct Parcel {
    body: Lent<[u8]>,
}

/// Data is built once, in the memory of the child that gets it, and is gone with the child.
#[reflex::test(group = "contexts")]
fn data_is_built_in_the_childs_memory(system: System) -> Result<(), Error> {
    static BUILT: AtomicUsize = AtomicUsize::new(0);
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    static OWN: AtomicBool = AtomicBool::new(false);
    let cloner: Cloner<Parcel> = system.cloner("built", ()).with(move |(), parcel: Parcel| {
        let this = system.this::<()>().expect("its state");
        let pool = system.pool(this).expect("its own");
        FOUND.store(parcel.body.as_ptr().addr(), Relaxed);
        OWN.store(pool.contains(parcel.body.as_ptr()) && parcel.body[..] == *b"parcel", Relaxed);
    })?;
    let mut free = None;
    for _ in 0..3 {
        cloner.start_with(|pool| {
            // Whole again each time.
            assert_eq!(*free.get_or_insert(pool.available()), pool.available());
            let mut body = pool.bytes(6).map_err(|_| EventError::OutOfMemory)?;
            body.copy_from_slice(b"parcel");
            BUILT.store(body.as_ptr().addr(), Relaxed);
            Ok(Parcel { body })
        })?;
        assert!(OWN.load(Relaxed));
        assert_eq!(BUILT.load(Relaxed), FOUND.load(Relaxed));
    }
    // What fails to build its data gives the child back.
    for _ in 0..3 {
        assert_eq!(
            cloner.start_with(|_| Err(EventError::OutOfMemory)),
            Err(EventError::OutOfMemory)
        );
    }
    assert!(cloner.start_with(|pool| Ok(Parcel { body: pool.bytes(6).expect("room") })).is_ok());
    Ok(())
}

/// A source that finds no child gets its data back, and is told once when it may go on.
#[reflex::test(group = "contexts")]
fn a_source_is_told_when_a_child_is_idle(system: System) -> Result<(), Error> {
    static HALTED: Halted = Halted::new();
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let cloner = system.cloner("throttled", 0u32).children(2).with(move |state, data: u32| {
        *state += data;
        HALTED.wait(system);
        assert_eq!(*state, data);
    })?;
    let source = system.context("source", ()).build()?;
    let resume = system.signal(SignalMode::Semaphore).on(source, |(), _| {
        TOLD.fetch_add(1, Relaxed);
    })?;
    cloner.on_idle(Some(resume.event()));
    assert!(cloner.start(1).is_ok());
    assert!(cloner.start(2).is_ok());
    assert_eq!(cloner.start(3), Err(3));
    assert_eq!(cloner.start(4), Err(4));
    assert_eq!(cloner.start_with(|_| unreachable!("nobody is idle")), Err(EventError::Busy));
    assert_eq!(TOLD.load(Relaxed), 0);
    HALTED.go_on(system, 0);
    assert_eq!(TOLD.load(Relaxed), 1);
    HALTED.go_on(system, 1);
    // Nobody has been refused since.
    assert_eq!(TOLD.load(Relaxed), 1);
    assert!(cloner.start(5).is_ok());
    HALTED.go_on(system, 2);
    assert_eq!(TOLD.load(Relaxed), 1);
    Ok(())
}

/// A child that registers something lives on, and ends with its last registration; then its name is
/// refused, and the next child has its own.
#[reflex::test(group = "contexts")]
fn a_child_with_registrations_lives_on(system: System) -> Result<(), Error> {
    static CHILD: AtomicU64 = AtomicU64::new(0);
    static TICKS: AtomicU32 = AtomicU32::new(0);
    static EVENT: AtomicU64 = AtomicU64::new(0);
    let kernel = raw::kernel(system);
    let cloner = system.cloner("living", 10u32).on(move |state, _| {
        *state += 1;
        let this = system.this::<u32>().expect("its state");
        CHILD.store(this.id().into_word(), Relaxed);
        let event = kernel.register(this.handle(), Default::default(), |state: &mut u32, _| {
            *state += 1;
            TICKS.store(*state, Relaxed);
        });
        EVENT.store(event.expect("there is room").into_word(), Relaxed);
    })?;
    for round in 0..3 {
        kernel.activate(cloner.event(), 1)?;
        let child = ContextId::from_word(CHILD.load(Relaxed));
        let event = EventId::from_word(EVENT.load(Relaxed));
        // Its handler has returned, and it has kept its state.
        kernel.activate(event, 1)?;
        kernel.activate(event, 1)?;
        assert_eq!(TICKS.load(Relaxed), 13);
        let seen = system.contexts().find(|seen| seen.id == child).expect("it lives");
        assert_eq!((seen.name, seen.state, seen.registrations), ("living", ContextState::Idle, 2));
        // Another occurrence has to wait for it.
        kernel.activate(cloner.event(), 1)?;
        assert_eq!(CHILD.load(Relaxed), child.into_word());
        if round == 1 {
            kernel.unregister(event)?;
        } else {
            system.end(child)?;
        }
        let next = ContextId::from_word(CHILD.load(Relaxed));
        assert_ne!(next, child);
        assert_eq!(next.index, child.index);
        assert_eq!(kernel.report(child, Trouble::PoolLow), Err(EventError::NoContext));
        assert_eq!(system.end(child), Err(Error::Event(EventError::NoContext)));
        system.end(next)?;
    }
    Ok(())
}

/// A child that ends in its own handler what it has registered there ends as any other.
#[reflex::test(group = "contexts")]
fn a_registration_within_one_handler_does_not_keep_a_child(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let cloner = system.cloner("brief", ()).on(move |(), _| {
        let this = system.this::<()>().expect("its state").handle();
        let event = kernel.register(this, Default::default(), |(), _| {}).expect("room");
        kernel.unregister(event).expect("registered");
        RUNS.fetch_add(1, Relaxed);
    })?;
    kernel.activate(cloner.event(), 100)?;
    assert_eq!(RUNS.load(Relaxed), 100);
    Ok(())
}

/// Children run at their event's priority: they preempt, and are preempted, like all others; also
/// after that was changed.
#[reflex::test(group = "contexts")]
fn children_run_at_the_events_priority(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let (low, high) = (system.context("low", ()).build()?, system.context("high", ()).build()?);
    let high = system.signal(SignalMode::Semaphore).priority(level(50)).on(high, |(), _| {
        TRACE.note('h');
    })?;
    let cloner = system.cloner("middle", ()).children(2).priority(level(40)).on(move |(), _| {
        TRACE.note('(');
        high.fire().expect("registered");
        TRACE.note(')');
    })?;
    let child = cloner.signal();
    let low = system.signal(SignalMode::Semaphore).priority(level(30)).on(low, move |(), _| {
        TRACE.note('[');
        child.fire().expect("registered");
        TRACE.note(']');
    })?;
    low.fire()?;
    cloner.set_priority(level(20))?;
    low.fire()?;
    cloner.set_priority(level(60))?;
    low.fire()?;
    TRACE.expect("[(h)][](h)[()h]");
    Ok(())
}

/// Parents and children are visible; a child's limits are no more than its parent's.
#[reflex::test(group = "contexts")]
fn descent_is_visible(system: System) -> Result<(), Error> {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let limits = Limits { registrations: 3, ..Limits::NONE };
    let parent = system.context("parent", ()).limits(limits).build()?;
    let cloner = system.cloner("offspring", ()).child_of(parent).on(move |(), _| {
        let this = system.this::<()>().expect("its state");
        let parent =
            system.contexts().find(|seen| seen.id == this.id()).and_then(|seen| seen.parent);
        SEEN.store(parent.map_or(0, ContextId::into_word), Relaxed);
        // One registration is what starts it; so two are left.
        let kernel = raw::kernel(system);
        for _ in 0..2 {
            kernel.register(this.handle(), Default::default(), |(), _| {}).expect("within limits");
        }
        let refused = kernel.register(this.handle(), Default::default(), |(), _| {});
        assert_eq!(refused, Err(EventError::LimitReached));
        system.end(this).expect("a cloner's child");
    })?;
    cloner.signal().fire()?;
    assert_eq!(SEEN.load(Relaxed), parent.id().into_word());
    let main = system.running();
    let seen = system.contexts().find(|seen| seen.id == parent.id()).expect("it exists");
    assert_eq!((seen.parent, seen.name), (main, "parent"));
    Ok(())
}

struct Heir {
    ticks: u32,
}

/// A child inherits what its parent has made inheritable and still has, bound to its own state; or
/// it starts without.
#[reflex::test(group = "contexts")]
fn registrations_are_inherited_or_not(system: System) -> Result<(), Error> {
    static PARENTS: AtomicU32 = AtomicU32::new(0);
    static CHILDS: AtomicU32 = AtomicU32::new(0);
    // More than the parent's ticks, however long they go on.
    const FAR: u32 = 1 << 31;
    let kernel = raw::kernel(system);
    let parent = system.context("testator", Heir { ticks: 0 }).build()?;
    let timer = system.every(Duration::from_millis(1)).on(parent, |heir: &mut Heir, tick| {
        heir.ticks += tick.count;
        PARENTS.store(heir.ticks, Relaxed);
    })?;
    let gone = kernel.register(parent.handle(), Default::default(), |_: &mut Heir, _| {})?;
    system.make_inheritable(timer.event(), move |child| {
        let timer = system.every(Duration::from_millis(1));
        timer.on(child, |heir: &mut Heir, tick| {
            heir.ticks += tick.count;
            CHILDS.store(heir.ticks, Relaxed);
        })?;
        Ok(())
    })?;
    system.make_inheritable(gone, |_: reflex::Context<Heir>| Err("it has ended".into()))?;
    kernel.unregister(gone)?;
    let fresh = system.context("fresh", Heir { ticks: 0 }).child_of(parent).build()?;
    let heir = system.context("heir", Heir { ticks: FAR }).inherit(parent).build()?;
    while PARENTS.load(Relaxed) < 5 || CHILDS.load(Relaxed) < FAR + 5 {}
    // Its own state, and its own registration.
    assert!(PARENTS.load(Relaxed) < FAR);
    let registrations =
        |id| system.contexts().find(|seen| seen.id == id).map(|seen| seen.registrations);
    assert_eq!((registrations(fresh.id()), registrations(heir.id())), (Some(0), Some(1)));
    timer.remove()?;
    let late = system.context("late", Heir { ticks: 0 }).inherit(parent).build()?;
    assert_eq!(registrations(late.id()), Some(0));
    Ok(())
}

/// A cloner's children inherit when they begin, and live as long as what they have inherited.
#[reflex::test(group = "contexts")]
fn cloned_children_inherit(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static EVENTS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    let kernel = raw::kernel(system);
    let parent = system.context("ancestor", 5u32).build()?;
    let event = kernel.register(parent.handle(), Default::default(), |_: &mut u32, _| {})?;
    system.make_inheritable(event, move |child| {
        let count = |state: &mut u32, _| {
            *state += 1;
            RUNS.fetch_add(*state, Relaxed);
        };
        let event = kernel.register(child.handle(), Default::default(), count)?;
        EVENTS[BEGUN.fetch_add(1, Relaxed)].store(event.into_word(), Relaxed);
        Ok(())
    })?;
    let cloner = system.cloner("heirs", 100u32).children(2).inherit(parent).on(|state, _| {
        *state += 1;
    })?;
    kernel.activate(cloner.event(), 2)?;
    for event in &EVENTS {
        kernel.activate(EventId::from_word(event.load(Relaxed)), 1)?;
    }
    assert_eq!(RUNS.load(Relaxed), 102 * 2);
    for event in &EVENTS {
        kernel.unregister(EventId::from_word(event.load(Relaxed)))?;
    }
    assert!(system.contexts().filter(|seen| seen.name == "heirs").all(|seen| {
        seen.registrations == 1 && matches!(seen.state, ContextState::Idle | ContextState::Taken)
    }));
    Ok(())
}

/// A child that fails ends, and nothing else: another is under way meanwhile, and its own place is
/// taken by the next child, which begins as the template is, with its pool whole.
#[reflex::test(group = "contexts")]
fn a_child_that_fails_ends_alone(system: System) -> Result<(), Error> {
    static HALTED: Halted = Halted::new();
    static ENDED: AtomicU32 = AtomicU32::new(0);
    static NAMES: [AtomicU64; 9] = [const { AtomicU64::new(0) }; 9];
    let cloner = system.cloner("failing", 0u32).children(2).contained();
    // SAFETY: nothing that runs in a child leaves a pointer to its stack or its memory anywhere.
    let cloner = cloner.after_failure(unsafe { reflex::Reuse::at_once() });
    let cloner: Cloner<u32> = cloner.with(move |state, what: u32| {
        assert_eq!(*state, 0, "as the template is");
        *state = what;
        let this = system.this::<u32>().expect("its state");
        NAMES[what as usize].store(this.id().into_word(), Relaxed);
        let kernel = raw::kernel(system);
        kernel.register(this.handle(), Default::default(), |_: &mut u32, _| {}).expect("room");
        match what {
            0 => HALTED.wait(system),
            what if what % 2 == 0 => panic!("as child {what} was told"),
            _ => {}
        }
        ENDED.fetch_add(1, Relaxed);
        system.end(this).expect("a cloner's child");
    })?;
    assert!(cloner.start(0).is_ok());
    let mut whole = None;
    for what in 1..9 {
        // The place of the one that failed is free again in a while.
        while cloner
            .start_with(|pool| {
                assert_eq!(*whole.get_or_insert(pool.available()), pool.available());
                Ok(what)
            })
            .is_err()
        {}
        let name = |what: u32| NAMES[what as usize].load(Relaxed);
        assert!((0..what).all(|before| name(before) != name(what)));
    }
    HALTED.go_on(system, 0);
    assert_eq!(ENDED.load(Relaxed), 5);
    Ok(())
}

/// Twenty thousand children a second, and none of them costs a call of the global heap.
#[reflex::test(group = "icount")]
fn a_storm_of_children_balances(system: System) -> Result<(), Error> {
    static BORN: AtomicU32 = AtomicU32::new(0);
    const CHILDREN: u32 = 20_000;
    let cloner = system.cloner("storm", [0u64; 4]).children(3).priority(Priority::HIGH).on(
        |state, activation| {
            assert_eq!(*state, [0; 4]);
            *state = [u64::from(activation.count); 4];
            BORN.fetch_add(activation.count, Relaxed);
        },
    )?;
    cloner.every(Duration::from_micros(50))?;
    let signal = cloner.signal();
    let before = system.heap();
    let mut fired = 0;
    while BORN.load(Relaxed) < CHILDREN {
        signal.fire()?;
        fired += 1;
    }
    let after = system.heap();
    cloner.registration().unregister()?;
    assert!(fired > 0 && BORN.load(Relaxed) >= fired);
    assert_eq!(before.allocations, after.allocations);
    Ok(())
}

/// From the occurrence to the child's handler, and the whole life: in guest instructions.
#[reflex::test(group = "icount")]
fn a_childs_life_is_short(system: System) -> Result<(), Error> {
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    let cloner = system.cloner("costs", 0u64).children(4).on(|state, _| {
        *state = reflex::bench::timestamp();
        BEGUN.store(*state, Relaxed);
    })?;
    let event = cloner.event();
    let (mut to_handler, mut whole) = (u64::MAX, u64::MAX);
    for _ in 0..100 {
        let before = reflex::bench::timestamp();
        system.activate(event, 1)?;
        let after = reflex::bench::timestamp();
        to_handler = to_handler.min(BEGUN.load(Relaxed) - before);
        whole = whole.min(after - before);
    }
    reflex::log::info!("a child's handler after {to_handler}, its life {whole} instructions");
    assert!(to_handler <= 550, "{to_handler}");
    assert!(whole <= 1_100, "{whole}");
    Ok(())
}
