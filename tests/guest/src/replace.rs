//! One context replaced by another implementation while the others serve: its state is
//! handed over, and nothing that occurred for it is lost.

use crate::trace::Trace;
use core::hint::spin_loop;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::net::{Connection, ConnectionError, Connector, TcpService};
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Activation, Context, Error, EventError, EventId, Pending, Priority, Registration, ReplaceError,
    System,
};

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: reflex::Accumulation::Each };

/// The first implementation, and the second.
struct One {
    total: u32,
}

struct Two {
    before: u32,
    after: u32,
}

fn two(one: One) -> Result<Two, One> {
    Ok(Two { before: one.total, after: 0 })
}

fn count_one(one: &mut One, activation: Activation) {
    one.total += activation.count;
}

fn count_two(two: &mut Two, activation: Activation) {
    two.after += activation.count;
}

/// What a context's state says, asked by an event of its own.
fn ask<S: 'static>(
    system: System,
    context: Context<S>,
    question: fn(&S) -> u32,
) -> Result<u32, Error> {
    static ANSWER: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let asked = move |state: &mut S, _| ANSWER.store(question(state), Relaxed);
    let event = kernel.register(context.handle(), EACH, asked)?;
    kernel.activate(event, 1)?;
    kernel.unregister(event)?;
    Ok(ANSWER.load(Relaxed))
}

fn failed(error: ReplaceError) -> Error {
    reflex::log::error!("{error}");
    Error::Application("the context was not replaced")
}

/// The state is handed over, what is pending is for the new handlers, and old handles are refused.
#[reflex::test(group = "contexts")]
fn state_and_pending_activations_are_handed_over(system: System) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let context = system.context("one", One { total: 100 }).build()?;
    let event = kernel.register(context.handle(), EACH, count_one)?;
    let other = kernel.register(context.handle(), EACH, count_one)?;
    kernel.activate(event, 2)?;
    // Pending, with the replacement before, between and behind them.
    let pending: Pending<Two> = system.section(|| -> Result<_, Error> {
        kernel.activate(event, 3)?;
        let replacement = system.replace::<Two>(context);
        let replacement = replacement.bind(event, count_two).bind(other, count_two);
        let pending = replacement.submit(two)?;
        kernel.activate(other, 4)?;
        kernel.activate(event, 1)?;
        assert!(pending.outcome().is_none());
        Ok(pending)
    })?;
    let replaced = pending.outcome().expect("nobody keeps it waiting").map_err(failed)?;
    assert_eq!(replaced.id(), context.id());
    kernel.activate(event, 1)?;
    let context_two = Context::from_handle(replaced, context.priority());
    let before = ask(system, context_two, |two: &Two| two.before)?;
    let after = ask(system, context_two, |two: &Two| two.after)?;
    assert!(before >= 102);
    assert_eq!(before - 100 + after, 2 + 3 + 4 + 1 + 1);
    let refused = kernel.register(context.handle(), EACH, count_one);
    assert_eq!(refused, Err(EventError::WrongState));
    Ok(())
}

/// A registration that nobody has named is named by the error, and nothing has changed; or it is
/// ended, if that is wanted.
#[reflex::test(group = "contexts")]
fn a_registration_that_was_forgotten_is_named(system: System) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let context = system.context("forgetful", One { total: 0 }).build()?;
    let event = kernel.register(context.handle(), EACH, count_one)?;
    let forgotten = kernel.register(context.handle(), EACH, count_one)?;
    let refused = system.replace::<Two>(context).bind(event, count_two).apply(two);
    assert_eq!(refused.err(), Some(ReplaceError::Unnamed(forgotten)));
    kernel.activate(event, 1)?;
    kernel.activate(forgotten, 1)?;
    assert_eq!(ask(system, context, |one| one.total)?, 2);

    let replaced = system.replace::<Two>(context).bind(event, count_two).end_others().apply(two);
    let replaced = replaced.map_err(failed)?;
    assert_eq!(kernel.activate(forgotten, 1), Err(EventError::Stale));
    kernel.activate(event, 1)?;
    assert_eq!(ask(system, replaced, |two| two.before * 10 + two.after)?, 21);
    Ok(())
}

/// A replacement that declines leaves the old implementation in place, with its state.
#[reflex::test(group = "contexts")]
fn a_replacement_may_decline(system: System) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let context = system.context("unwilling", One { total: 5 }).build()?;
    let event = kernel.register(context.handle(), EACH, count_one)?;
    let pool = system.pool(context)?;
    let free = pool.available();
    for _ in 0..3 {
        let refused =
            system.replace::<Two>(context).bind(event, count_two).apply(|mut one: One| {
                one.total += 1;
                Err::<Two, _>(one)
            });
        assert_eq!(refused.err(), Some(ReplaceError::Declined));
        kernel.activate(event, 1)?;
    }
    assert_eq!(ask(system, context, |one| one.total)?, 11);
    assert_eq!(pool.available(), free);
    // Of another type than was said.
    let refused = system.replace::<Two>(context).bind(event, count_two).apply(Ok::<Two, Two>);
    assert_eq!(refused.err(), Some(ReplaceError::Event(EventError::WrongState)));
    assert_eq!(pool.available(), free);
    Ok(())
}

/// A handler under way is let finish: with the old state, before that is handed over.
#[reflex::test(group = "contexts")]
fn a_handler_under_way_finishes_first(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    static EVENT: AtomicU64 = AtomicU64::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("waiting", One { total: 0 }).build()?;
    let event = kernel.register(context.handle(), EACH, move |one: &mut One, _| {
        TRACE.note('(');
        let waiter = system.waiter().expect("there is room");
        EVENT.store(waiter.event().into_word(), Relaxed);
        waiter.wait().expect("nothing else can happen");
        one.total += 1;
        TRACE.note(')');
    })?;
    kernel.activate(event, 2)?;
    let pending = system
        .replace::<Two>(context)
        .bind(event, |two: &mut Two, _| {
            two.after += 1;
            TRACE.note('!');
        })
        .end_others()
        .submit(|one: One| {
            TRACE.note('>');
            two(one)
        })?;
    TRACE.note('.');
    assert!(pending.outcome().is_none());
    kernel.activate(EventId::from_word(EVENT.load(Relaxed)), 1)?;
    TRACE.note('.');
    let finished = TRACE.text();
    if pending.outcome().is_none() {
        // The second activation had waited longer than the replacement.
        kernel.activate(EventId::from_word(EVENT.load(Relaxed)), 1)?;
    }
    let replaced = pending.wait().map_err(failed)?;
    kernel.activate(event, 1)?;
    assert!(finished.starts_with("(.)"), "{finished}");
    let context = Context::from_handle(replaced, Priority::DEFAULT);
    assert_eq!(ask(system, context, |two| two.before + two.after)?, 3);
    Ok(())
}

/// A context may have itself replaced, by one of its own handlers; it cannot wait for it.
#[reflex::test(group = "contexts")]
fn a_context_replaces_itself(system: System) -> Result<(), Error> {
    static AFTER: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("self", One { total: 7 }).build()?;
    let event = kernel.register(context.handle(), EACH, move |one: &mut One, own| {
        one.total += 1;
        let replacement = system.replace::<Two>(context).bind(own.event, count_two);
        assert_eq!(replacement.apply(two).err(), Some(ReplaceError::Event(EventError::Busy)));
        let replacement = system.replace::<Two>(context).bind(own.event, |two: &mut Two, _| {
            two.after += 1;
            AFTER.store(two.before * 10 + two.after, Relaxed);
        });
        drop(replacement.submit(two).expect("there is room"));
        one.total += 1;
    })?;
    kernel.activate(event, 1)?;
    kernel.activate(event, 1)?;
    assert_eq!(AFTER.load(Relaxed), 91);
    Ok(())
}

/// Timers and time-outs belong to the registrations and go on.
#[reflex::test(group = "contexts")]
fn timers_go_on(system: System) -> Result<(), Error> {
    static TICKS: AtomicU32 = AtomicU32::new(0);
    /// More than the ticks, however long they go on.
    const FAR: u32 = 10_000_000;
    let kernel = raw::kernel(system);
    let context = system.context("timed", One { total: 0 }).build()?;
    let started = system.now();
    let timer = system.every(Duration::from_millis(1)).on(context, |one: &mut One, tick| {
        one.total += tick.count;
        TICKS.store(one.total, Relaxed);
    })?;
    let watched = kernel.register(context.handle(), EACH, |_: &mut One, _| {})?;
    kernel.filter(watched, |count| count < 10)?;
    while TICKS.load(Relaxed) < 3 {
        spin_loop();
    }
    let replaced = system
        .replace::<Two>(context)
        .bind(timer.event(), |two: &mut Two, tick| {
            two.after += tick.count;
            TICKS.store(two.before + two.after, Relaxed);
        })
        .bind(watched, |two: &mut Two, activation| two.after += FAR * activation.count)
        .apply(two)
        .map_err(failed)?;
    kernel.activate(watched, 5)?;
    kernel.activate(watched, 50)?;
    while TICKS.load(Relaxed) % FAR < 20 {
        spin_loop();
    }
    // No earlier than they were due.
    let ticks = TICKS.load(Relaxed) % FAR;
    assert!(system.now() - started >= Duration::from_millis(1) * ticks, "{ticks}");
    let ticks = ask(system, replaced, |two| two.before + two.after)?;
    assert!((5 * FAR + 20..6 * FAR).contains(&ticks), "{ticks}");
    timer.stop()?;
    timer.remove()?;
    Ok(())
}

struct Odd(u64);
struct Even(u64);

/// Replaced hundreds of times under a storm of timers and of signals from handlers of all
/// priorities: every occurrence is counted once, by one implementation or the other, another
/// context serves on, and the event memory is as it was.
#[reflex::test(group = "icount")]
fn nothing_is_lost_in_a_storm(system: System) -> Result<(), Error> {
    static FIRED: AtomicU32 = AtomicU32::new(0);
    static SERVED: AtomicU32 = AtomicU32::new(0);
    const OCCURRENCES: u32 = 3_000;
    let kernel = raw::kernel(system);
    let context = system.context("storm", Odd(0)).build()?;
    let count = |odd: &mut Odd, activation: Activation| odd.0 += u64::from(activation.count);
    let level = |level| Priority::new(level).expect("below 64");
    let mut events = [None; 3];
    for (place, event) in events.iter_mut().enumerate() {
        let registration = Registration { priority: level(10 + 20 * place as u8), ..EACH };
        *event = Some(kernel.register(context.handle(), registration, count)?);
    }
    let [low, middle, high] = events.map(|event| event.expect("registered"));
    let source = system.context("source", ()).priority(Priority::HIGH).build()?;
    let storm = system.every(Duration::from_micros(50)).on(source, move |(), tick| {
        for event in [low, middle, high] {
            kernel.activate(event, tick.count).expect("registered");
        }
        FIRED.fetch_add(3 * tick.count, Relaxed);
    })?;
    let bystander = system.context("bystander", ()).priority(level(20)).build()?;
    let serving = system.every(Duration::from_millis(1)).on(bystander, |(), tick| {
        SERVED.fetch_add(tick.count, Relaxed);
    })?;
    let pool = system.pool(context)?;
    let mut odd = context;
    let mut free = None;
    let mut times = 0;
    while FIRED.load(Relaxed) < OCCURRENCES {
        times += 1;
        let even_count =
            |even: &mut Even, activation: Activation| even.0 += u64::from(activation.count);
        let even = [low, middle, high]
            .into_iter()
            .fold(system.replace::<Even>(odd), |to, event| to.bind(event, even_count))
            .apply(|Odd(count)| Ok(Even(count)))
            .map_err(failed)?;
        odd = [low, middle, high]
            .into_iter()
            .fold(system.replace::<Odd>(even), |to, event| to.bind(event, count))
            .apply(|Even(count)| Ok(Odd(count)))
            .map_err(failed)?;
        assert_eq!(*free.get_or_insert(pool.available()), pool.available());
    }
    storm.remove()?;
    serving.remove()?;
    static TOTAL: AtomicU64 = AtomicU64::new(0);
    let told =
        kernel.register(odd.handle(), EACH, |odd: &mut Odd, _| TOTAL.store(odd.0, Relaxed))?;
    kernel.set_priority(told, level(1))?;
    kernel.activate(told, 1)?;
    while TOTAL.load(Relaxed) == 0 {
        spin_loop();
    }
    assert!(times > 100, "{times}");
    assert_eq!(TOTAL.load(Relaxed), u64::from(FIRED.load(Relaxed)));
    assert!(SERVED.load(Relaxed) > 0);
    Ok(())
}

/// Nobody listens there.
const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 1);

/// Opens a connection as soon as it is told that the last one was refused.
struct Caller {
    connector: Option<Connector>,
    refused: u32,
}

struct Successor(Caller);

static REFUSED: AtomicU32 = AtomicU32::new(0);
static BY_SUCCESSOR: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

impl Caller {
    fn go_on(&mut self) {
        self.refused += 1;
        REFUSED.store(self.refused, Relaxed);
        if let Some(connector) = self.connector.as_ref().filter(|_| !STOP.load(Relaxed)) {
            connector.connect(NOBODY).expect("an attempt");
        }
    }
}

impl TcpService for Caller {
    fn received(&mut self, _: &Connection) {}

    fn failed(&mut self, _: &Connection, _: ConnectionError) {
        self.go_on();
    }
}

impl TcpService for Successor {
    fn received(&mut self, _: &Connection) {}

    fn failed(&mut self, _: &Connection, _: ConnectionError) {
        BY_SUCCESSOR.fetch_add(1, Relaxed);
        self.0.go_on();
    }
}

/// A context with connections that come and go all the time is replaced again and again; each
/// connection's end is told, by whichever implementation is there by then.
#[reflex::test(group = "contexts")]
fn connections_are_served_on(system: System) -> Result<(), Error> {
    const CHAINS: u32 = 4;
    let kernel = raw::kernel(system);
    let net = system.net()?;
    while net.address().is_none() {
        spin_loop();
    }
    let caller = Caller { connector: None, refused: 0 };
    let mut context = system.context("dialer", caller).build()?;
    let connector = system.connector().serve(context)?;
    let (begin, start) = (connector.clone(), context.handle());
    let event = kernel.register(start, EACH, move |caller: &mut Caller, _| {
        caller.connector = Some(begin.clone());
        for _ in 0..CHAINS {
            begin.connect(NOBODY).expect("an attempt");
        }
    })?;
    kernel.activate(event, 1)?;
    kernel.unregister(event)?;
    for round in 1..=20 {
        let successor = system
            .replace::<Successor>(context)
            .serve(&connector)
            .apply(|caller: Caller| Ok(Successor(caller)))
            .map_err(failed)?;
        let so_far = BY_SUCCESSOR.load(Relaxed);
        while BY_SUCCESSOR.load(Relaxed) == so_far {
            spin_loop();
        }
        context = system
            .replace::<Caller>(successor)
            .serve(&connector)
            .apply(|Successor(caller): Successor| Ok(caller))
            .map_err(failed)?;
        let so_far = REFUSED.load(Relaxed);
        while REFUSED.load(Relaxed) < so_far + round % 3 {
            spin_loop();
        }
    }
    STOP.store(true, Relaxed);
    Ok(())
}
