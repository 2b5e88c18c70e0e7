//! Registrations under control: unregistered, stale, of another priority (A-3.1.4, A-3.1.5,
//!

use crate::trace::Trace;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::kind::Source;
use reflex::net::{Datagram, UdpService, UdpSocket};
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Activation, Context, DeadlineRefused, DisabledPolicy, Error, EventError, EventId,
    KeyedTimers, Priority, Registered, Registration, SignalMode, System, raw,
};

fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };

/// A handler that unregisters itself ends its run, and the occurrences that were pending are
/// dropped with the registration.
#[reflex::test]
fn a_handler_may_unregister_itself(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static ENDED: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let registered = system.registered();
    let context = system.context("own", [7u64; 8]).build()?;
    let captured = [9u64; 8];
    let event =
        kernel.register(context.handle(), EACH, move |state: &mut [u64; 8], activation| {
            RUNS.fetch_add(1, Relaxed);
            kernel.unregister(activation.event).expect("still registered");
            assert_eq!(kernel.unregister(activation.event), Err(EventError::Stale));
            assert_eq!(kernel.activate(activation.event, 1), Err(EventError::Stale));
            // What the handler has is still its own.
            assert_eq!((captured, *state), ([9; 8], [7; 8]));
            ENDED.fetch_add(1, Relaxed);
        })?;
    system.section(|| kernel.activate(event, 5))?;
    assert_eq!((RUNS.load(Relaxed), ENDED.load(Relaxed)), (1, 1));
    assert_eq!(kernel.activate(event, 1), Err(EventError::Stale));
    assert_eq!(system.registered(), registered);
    Ok(())
}

/// Names of what is gone are refused, and never reach what has the place now.
#[reflex::test]
fn stale_names_are_refused(system: System) -> Result<(), Error> {
    static OLD: AtomicU32 = AtomicU32::new(0);
    static NEW: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("stale", ()).build()?.handle();
    let mut before: Option<EventId> = None;
    for _ in 0..1_000 {
        let old = kernel.register(context, EACH, |(), _| {
            OLD.fetch_add(1, Relaxed);
        })?;
        kernel.unregister(old)?;
        let new = kernel.register(context, EACH, |(), _| {
            NEW.fetch_add(1, Relaxed);
        })?;
        for gone in before.into_iter().chain([old]) {
            assert_ne!(gone, new);
            assert_eq!(kernel.activate(gone, 1), Err(EventError::Stale));
            assert_eq!(kernel.set_priority(gone, Priority::HIGH), Err(EventError::Stale));
            assert_eq!(kernel.unregister(gone), Err(EventError::Stale));
            assert_eq!(kernel.timer(gone).map(|_| ()), Err(EventError::Stale));
        }
        kernel.activate(new, 1)?;
        kernel.unregister(new)?;
        before = Some(new);
    }
    assert_eq!((OLD.load(Relaxed), NEW.load(Relaxed)), (0, 1_000));
    Ok(())
}

/// Pending activations move with their registration's priority, up and down.
#[reflex::test]
fn a_priority_changes_while_activations_are_pending(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let kernel = raw::kernel(system);
    let mut events = [None; 3];
    for (place, event) in events.iter_mut().enumerate() {
        // In contexts of their own, so that it is contexts that have to change their order.
        let context = system.context("one of three", ()).build()?;
        let priority = level(10 + place as u8);
        let name = char::from(b'a' + place as u8);
        let note = move |(): &mut (), _: Activation| TRACE.note(name);
        *event =
            Some(kernel.register(context.handle(), Registration { priority, ..EACH }, note)?);
    }
    let [a, b, c] = events.map(|event| event.expect("registered"));
    let top = system.context("top", ()).priority(Priority::HIGHEST).build()?;
    let pending = system.signal(SignalMode::Counter).on(top, move |(), _| {
        for event in [a, b, c] {
            kernel.activate(event, 2).expect("registered");
        }
        kernel.set_priority(a, level(40)).expect("registered");
        kernel.set_priority(c, level(1)).expect("registered");
        TRACE.note('-');
    })?;
    pending.fire()?;
    // And it belongs to the registration: it stays.
    pending.fire()?;
    TRACE.expect("-aabbcc-aabbcc");
    Ok(())
}

/// A priority raised above the running handler's takes effect at once.
#[reflex::test]
fn a_raised_priority_preempts(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    let kernel = raw::kernel(system);
    let low = system.context("low", ()).build()?;
    let event =
        kernel.register(low.handle(), Registration { priority: level(5), ..EACH }, |(), _| {
            TRACE.note('l')
        })?;
    let middle = system.context("middle", ()).build()?;
    let start = system.signal(SignalMode::Counter).on(middle, move |(), _| {
        kernel.activate(event, 1).expect("registered");
        TRACE.note('m');
        kernel.set_priority(event, Priority::HIGH).expect("registered");
        TRACE.note('M');
    })?;
    start.fire()?;
    TRACE.expect("mlM");
    Ok(())
}

/// Counts runs, and can register more with its own handle.
struct Own {
    own: Context<Self>,
    runs: u32,
}

impl Own {
    fn count(&mut self, count: u32) {
        self.runs += count;
    }
}

/// A state is made of its context's handle, with which nothing can be registered before it is there.
#[reflex::test]
fn a_state_has_its_own_handle(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let make = move |own: Context<Own>| {
        assert_eq!(own.priority(), Priority::HIGH);
        let early = system.signal(SignalMode::Counter).on(own, |_: &mut Own, _| {});
        assert_eq!(early.err(), Some(Error::Event(EventError::WrongState)));
        Own { own, runs: 0 }
    };
    let context = system.context_by("own handle", make).priority(Priority::HIGH).build()?;
    let again = system.signal(SignalMode::Counter).on(context, move |state: &mut Own, _| {
        let tell = system.signal(SignalMode::Counter).on(state.own, |state: &mut Own, fired| {
            state.count(fired.count);
            RUNS.store(state.runs, Relaxed);
        });
        tell.and_then(|tell| Ok(tell.fire()?)).expect("its own handle");
    })?;
    again.fire()?;
    assert_eq!(RUNS.load(Relaxed), 1);
    Ok(())
}

static RUNS: AtomicU32 = AtomicU32::new(0);

fn ran(count: u32) {
    RUNS.fetch_add(count, Relaxed);
}

/// Puts a registration through all of its controls; `occur` brings two occurrences about, and each that is told is
/// counted by [`ran`].
fn is_controlled<T: Send>(registered: &Registered<T>, occur: &dyn Fn()) -> Result<(), Error> {
    let runs = RUNS.load(Relaxed);
    registered.disable(DisabledPolicy::Keep)?;
    occur();
    assert_eq!((registered.look_up()?.pending, RUNS.load(Relaxed)), (2, runs));
    assert_eq!(registered.look_up()?.disabled, Some(DisabledPolicy::Keep));
    assert_eq!(registered.clean()?, 2);
    registered.enable()?;
    registered.set_filter(|_| false)?;
    occur();
    assert_eq!(RUNS.load(Relaxed), runs);
    registered.lift_filter()?;
    registered.set_priority(Priority::HIGHEST)?;
    assert_eq!(registered.look_up()?.registration.priority, Priority::HIGHEST);
    registered.set_deadline(Some(Duration::from_secs(1)))?;
    occur();
    assert_eq!(RUNS.load(Relaxed), runs + 2);
    registered.set_deadline(None)?;
    registered.disable(DisabledPolicy::Count)?;
    occur();
    assert_eq!((registered.enable()?, RUNS.load(Relaxed)), (2, runs + 2));
    registered.disable(DisabledPolicy::Keep)?;
    occur();
    assert_eq!((registered.clone().cancel()?, registered.shed()), (2, 0));
    assert_eq!(registered.unregister().err(), Some(Error::Event(EventError::Stale)));
    assert_eq!(registered.look_up().err(), Some(Error::Event(EventError::Stale)));
    Ok(())
}

/// Timers, signals, kinds with data and kinds without are controlled by the same calls, which say the same.
#[reflex::test]
fn one_set_of_controls_serves_all_registrations(system: System) -> Result<(), Error> {
    let source: Source<[u8; 3]> = system.exclusive(|| {})?;
    let before = system.registered();
    let context = system.context("controlled", ()).priority(Priority::HIGH).build()?;
    let timer = system.timer().on(context, |(), tick| ran(tick.count))?;
    let signal = system.signal(SignalMode::Counter).on(context, |(), fired| ran(fired.count))?;
    for registered in [timer.registration(), signal.registration()] {
        let event = registered.event();
        is_controlled(&registered, &|| system.activate(event, 2).expect("it is there"))?;
    }
    let twice = || [[1; 3], [2; 3]].into_iter().for_each(|data| _ = source.deliver(data));
    let each = system.subscribe(source.clone()).each::<4>();
    is_controlled(&each.on(context, |(), event| ran(event.count))?, &twice)?;
    let counted = system.subscribe(source.clone()).counted();
    is_controlled(&counted.on(context, |(), event| ran(event.count))?, &twice)?;
    assert_eq!(system.registered(), before);
    Ok(())
}

/// Whatever else has a registration gives the same handle of it.
#[reflex::test]
fn sockets_channels_keyed_timers_and_cloners_have_registrations(
    system: System,
) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let context = system.context("controlled", ()).priority(Priority::HIGH).build()?;
    let channel = system.channel::<u32>(4).on(context, |(), number| {
        TOLD.fetch_add(number, Relaxed);
    })?;
    let receiver = channel.receiver().ok_or("it is attached")?;
    receiver.disable(DisabledPolicy::Discard)?;
    channel.send(1).map_err(|_| "there is room")?;
    assert_eq!((receiver.clean()?, TOLD.load(Relaxed)), (0, 0));
    receiver.enable()?;
    // Messages wait, whatever was to become of occurrences.
    assert_eq!(TOLD.load(Relaxed), 1);
    let deadlines: KeyedTimers<u32> = system.timers(4).on(context, |(), _, number| {
        TOLD.fetch_add(number, Relaxed);
    })?;
    deadlines.set(7, system.now() + Duration::from_secs(3600), 10)?;
    assert_eq!(deadlines.registration().look_up()?.context, context.id());
    deadlines.registration().unregister()?;
    let late = deadlines.set(8, system.now(), 100);
    assert_eq!(late, Err(DeadlineRefused::Ended));
    let cloner = system.cloner("child", ()).on(|(), _| {
        TOLD.fetch_add(1_000, Relaxed);
    })?;
    cloner.registration().disable(DisabledPolicy::Discard)?;
    cloner.signal().fire()?;
    assert_eq!((cloner.registration().enable()?, TOLD.load(Relaxed)), (0, 1));
    let socket = system.udp(4_001).serve(system.context("socket", Ignores).build()?)?;
    let registered = socket.registration().ok_or("it is served")?;
    registered.set_priority(Priority::LOW)?;
    assert_eq!(registered.look_up()?.registration.priority, Priority::LOW);
    let only = system.udp(0).send_only(context)?;
    assert_ne!(only.registration(), None);
    Ok(())
}

struct Ignores;

impl UdpService for Ignores {
    fn datagram(&mut self, _: &UdpSocket, _: Datagram<'_>) {}
}
