//! Registrations under control: unregistered, stale, of another priority (A-3.1.4, A-3.1.5,
//!

use crate::trace::Trace;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::{
    Accumulation, Activation, Context, DisabledPolicy, Error, EventError, EventId, Kernel,
    Priority, Registration, SignalMode, System,
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
    let kernel = system.kernel();
    let registered = kernel.registered();
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
    kernel.section(|| kernel.activate(event, 5))?;
    assert_eq!((RUNS.load(Relaxed), ENDED.load(Relaxed)), (1, 1));
    assert_eq!(kernel.activate(event, 1), Err(EventError::Stale));
    assert_eq!(kernel.registered(), registered);
    Ok(())
}

/// Names of what is gone are refused, and never reach what has the place now.
#[reflex::test]
fn stale_names_are_refused(system: System) -> Result<(), Error> {
    static OLD: AtomicU32 = AtomicU32::new(0);
    static NEW: AtomicU32 = AtomicU32::new(0);
    let kernel = system.kernel();
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
    let kernel = system.kernel();
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
    let kernel = system.kernel();
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
    let make = |own: Context<Own>| {
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

/// Timers and signals are controlled by the same calls, which say the same.
#[reflex::test]
fn one_set_of_controls_serves_timers_and_signals(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let before = system.registered();
    let context = system.context("controlled", ()).priority(Priority::HIGH).build()?;
    let add = |count| RUNS.store(RUNS.load(Relaxed) + count, Relaxed);
    let timer = system.timer().on(context, move |(), tick| add(tick.count))?;
    let signal = system.signal(SignalMode::Counter);
    let signal = signal.on(context, move |(), fired| add(fired.count))?;
    let both = [timer.registration(), system.registration(signal.event())];
    for registered in both {
        let runs = RUNS.load(Relaxed);
        let occur = || system.kernel().activate(registered.event(), 2);
        registered.disable(DisabledPolicy::Keep)?;
        occur()?;
        assert_eq!((registered.look_up()?.pending, RUNS.load(Relaxed)), (2, runs));
        assert_eq!(registered.clean()?, 2);
        registered.enable()?;
        registered.set_filter(|count| count > 2)?;
        occur()?;
        assert_eq!(RUNS.load(Relaxed), runs);
        registered.lift_filter()?;
        registered.set_priority(Priority::HIGHEST)?;
        assert_eq!(registered.look_up()?.registration.priority, Priority::HIGHEST);
        occur()?;
        assert_eq!(RUNS.load(Relaxed), runs + 2);
        registered.disable(DisabledPolicy::Count)?;
        occur()?;
        assert_eq!((registered.enable()?, RUNS.load(Relaxed)), (2, runs + 2));
        assert_eq!(registered.cancel()?, 0);
        assert_eq!(registered.unregister().err(), Some(Error::Event(EventError::Stale)));
        assert_eq!(registered.look_up().err(), Some(Error::Event(EventError::Stale)));
    }
    assert_eq!(system.registered(), before);
    Ok(())
}
