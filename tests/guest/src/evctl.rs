//! Control of what is registered, on the machine: disabled, cleaned, filtered, timed out (A-3.1.7,
//! K-5).

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Activation, DisabledPolicy, Error, EventError, EventId, Priority, Registration,
    Runtime, System,
};

/// Runs of a handler, and the occurrences it was told of.
struct Told {
    runs: AtomicU32,
    count: AtomicU32,
}

impl Told {
    const fn new() -> Self {
        Self { runs: AtomicU32::new(0), count: AtomicU32::new(0) }
    }

    fn note(&self, activation: Activation) {
        self.runs.fetch_add(1, Relaxed);
        self.count.fetch_add(activation.count, Relaxed);
    }

    fn take(&self) -> (u32, u32) {
        (self.runs.swap(0, Relaxed), self.count.swap(0, Relaxed))
    }
}

fn event(
    system: System,
    accumulation: Accumulation,
    told: &'static Told,
) -> Result<(Runtime, EventId), Error> {
    let kernel = raw::kernel(system);
    let context = system.context("controlled", ()).build()?.handle();
    let registration = Registration { priority: Priority::DEFAULT, accumulation };
    let event = kernel.register(context, registration, |(), activation| told.note(activation))?;
    Ok((kernel, event))
}

/// What occurs while an event is disabled is kept, counted or forgotten, as its owner chose.
#[reflex::test]
fn a_disabled_event_keeps_counts_or_forgets(system: System) -> Result<(), Error> {
    static TOLD: Told = Told::new();
    let (kernel, event) = event(system, Accumulation::Each, &TOLD)?;
    for (meanwhile, delivered, counted) in [
        (DisabledPolicy::Keep, 3, 0),
        (DisabledPolicy::Count, 0, 3),
        (DisabledPolicy::Discard, 0, 0),
    ] {
        kernel.disable(event, meanwhile)?;
        assert_eq!(kernel.look_up(event)?.disabled, Some(meanwhile));
        kernel.activate(event, 2)?;
        kernel.activate(event, 1)?;
        assert_eq!(TOLD.take(), (0, 0), "{meanwhile:?}");
        assert_eq!(kernel.enable(event)?, counted);
        assert_eq!(TOLD.take(), (delivered, delivered), "{meanwhile:?}");
        kernel.activate(event, 1)?;
        assert_eq!(TOLD.take(), (1, 1), "enabled");
    }
    // What is pending when it is disabled is treated alike.
    system.section(|| {
        kernel.activate(event, 4).expect("registered");
        kernel.disable(event, DisabledPolicy::Count).expect("registered");
    });
    assert_eq!((TOLD.take(), kernel.enable(event)?), ((0, 0), 4));
    Ok(())
}

/// Cleaning drops what is pending and says how much; cancelling ends the registration as well.
#[reflex::test]
fn what_is_pending_can_be_cleaned_and_cancelled(system: System) -> Result<(), Error> {
    static TOLD: Told = Told::new();
    let (kernel, event) = event(system, Accumulation::Count, &TOLD)?;
    let cleaned = system.section(|| {
        kernel.activate(event, 5).expect("registered");
        assert_eq!(kernel.look_up(event).map(|info| info.pending), Ok(5));
        kernel.clean(event)
    })?;
    assert_eq!((cleaned, TOLD.take()), (5, (0, 0)));
    let cancelled = system.section(|| {
        kernel.activate(event, 2).expect("registered");
        kernel.cancel(event)
    })?;
    assert_eq!((cancelled, TOLD.take()), (2, (0, 0)));
    assert_eq!(kernel.cancel(event), Err(EventError::Stale));
    assert_eq!(kernel.look_up(event).map(|_| ()), Err(EventError::Stale));
    Ok(())
}

/// A filter is asked at the activation; it may end its own registration.
#[reflex::test]
fn a_filter_decides_at_the_activation(system: System) -> Result<(), Error> {
    static TOLD: Told = Told::new();
    static OPEN: AtomicBool = AtomicBool::new(false);
    let (kernel, event) = event(system, Accumulation::Count, &TOLD)?;
    kernel.filter(event, |count| OPEN.load(Relaxed) && count > 1)?;
    kernel.activate(event, 2)?;
    assert_eq!(TOLD.take(), (0, 0), "closed");
    OPEN.store(true, Relaxed);
    kernel.activate(event, 1)?;
    kernel.activate(event, 2)?;
    assert_eq!(TOLD.take(), (1, 2), "two at once pass, one does not");
    kernel.lift_filter(event)?;
    kernel.activate(event, 1)?;
    assert_eq!(TOLD.take(), (1, 1), "without a filter");
    kernel.filter(event, move |_| {
        kernel.unregister(event).expect("still registered");
        true
    })?;
    assert_eq!(kernel.activate(event, 1), Err(EventError::Stale));
    assert_eq!(TOLD.take(), (0, 0));
    Ok(())
}

/// An event that does not occur in time runs its handler with a count of 0; one that does puts
/// that off. With instructions counted: a busy host could let the time pass before it occurs.
#[reflex::test(group = "icount")]
fn an_event_that_does_not_occur_in_time_is_told(system: System) -> Result<(), Error> {
    static TOLD: Told = Told::new();
    let (kernel, event) = event(system, Accumulation::Count, &TOLD)?;
    const WITHIN: Duration = Duration::from_millis(5);
    let began = system.now();
    kernel.set_time_out(event, Some(WITHIN))?;
    while TOLD.runs.load(Relaxed) == 0 {
        core::hint::spin_loop();
    }
    assert!(system.now().since(began) >= WITHIN, "too early");
    assert_eq!(TOLD.take(), (1, 0), "a count of 0");
    // Once: the time begins anew with an occurrence.
    kernel.activate(event, 1)?;
    assert_eq!(TOLD.take(), (1, 1));
    while TOLD.runs.load(Relaxed) == 0 {
        core::hint::spin_loop();
    }
    assert_eq!(TOLD.take(), (1, 0));
    kernel.activate(event, 1)?;
    kernel.set_time_out(event, None)?;
    assert_eq!(TOLD.take(), (1, 1));
    let later = system.now() + 2 * WITHIN;
    while system.now() < later {
        core::hint::spin_loop();
    }
    assert_eq!(TOLD.take(), (0, 0), "lifted");
    Ok(())
}
