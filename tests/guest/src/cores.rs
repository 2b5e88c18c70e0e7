//! Several processors.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use reflex::bench::raise;
use reflex::prelude::*;
use reflex::{DisabledPolicy, EventError, LockError, SignalMode, Vector, log};

#[reflex::test(group = "cores-2")]
fn two_processors_run(system: System) {
    assert_eq!(system.machine().processors.len(), 2);
    assert_eq!((system.cores(), system.core()), (2, 0));
}

#[reflex::test(group = "cores-4")]
fn four_processors_run_and_each_has_its_own_identifier(system: System) {
    let mut ids = system.machine().processors.to_vec();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert_eq!((system.cores(), system.core()), (4, 0));
}

/// What one core tells another comes in order, and nothing of it is lost: more than rings and lists between them hold.
fn count_on(system: System, core: u32) {
    const MESSAGES: u32 = 20_000;
    let counted: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
    let context = system.context("counter", 0_u32).core(core).build().unwrap();
    assert_eq!(context.id().core(), core);
    let signal = system.signal(SignalMode::Counter).on(context, move |sum: &mut u32, fired| {
        assert_eq!(system.core(), core, "it runs where its context lives");
        *sum += fired.count;
        counted.store(*sum, Relaxed);
    });
    let signal = signal.unwrap();
    assert_eq!(signal.event().core(), core);
    let mut refused = 0;
    for _ in 0..MESSAGES {
        while let Err(error) = signal.fire() {
            assert_eq!(error, EventError::CoreBusy);
            refused += 1;
            spin_loop();
        }
    }
    while counted.load(Relaxed) != MESSAGES {
        spin_loop();
    }
    log::info!("{refused} messages had to be sent again");
    signal.registration().unregister().unwrap();
    assert!(signal.registration().look_up().is_err());
}

#[reflex::test(group = "cores-2")]
fn another_core_is_activated_as_often_as_is_said(system: System) {
    for core in 0..system.cores() {
        count_on(system, core);
    }
}

#[reflex::test(group = "cores-4")]
fn every_core_is_activated_as_often_as_is_said(system: System) {
    for core in 0..system.cores() {
        count_on(system, core);
    }
}

/// What interrupts have to tell another core waits until that has room for it.
#[reflex::test(group = "cores-2")]
fn interrupts_for_a_core_that_is_full_are_kept(system: System) {
    let counted: &'static AtomicU32 = Box::leak(Box::default());
    let [held, go]: &'static [AtomicBool; 2] = Box::leak(Box::default());
    let context = system.context("other", ()).core(1).build().unwrap();
    let signal = system.signal(SignalMode::Counter).on(context, move |(), fired| {
        counted.fetch_add(fired.count, Relaxed);
    });
    let signal = signal.unwrap();
    let standstill = system.signal(SignalMode::Semaphore).on(context, move |(), _| {
        system.section(|| {
            held.store(true, Relaxed);
            while !go.load(Relaxed) {
                spin_loop();
            }
        });
    });
    let vector = Vector::reserve().unwrap();
    vector.activate(signal.event(), None);
    standstill.unwrap().fire().unwrap();
    while !held.load(Relaxed) {
        spin_loop();
    }
    let mut fired = 0;
    while signal.fire().is_ok() {
        fired += 1;
    }
    for _ in 0..3 {
        raise(vector);
        system.section(|| raise(vector));
        fired += 2;
    }
    go.store(true, Relaxed);
    while counted.load(Relaxed) < fired {
        spin_loop();
    }
    // Behind whatever else was sent.
    signal.registration().unregister().unwrap();
    assert_eq!(counted.load(Relaxed), fired);
}

/// Each core has its own timers, and runs handlers by them while the others do as they please.
#[reflex::test(group = "cores-4")]
fn each_core_has_timers_of_its_own(system: System) {
    const TICKS: u32 = 50;
    let ticks: &'static [AtomicU32; 4] = Box::leak(Box::default());
    let contexts = system.on_every_core(move |core, system| {
        let context = system.context("ticker", ()).build()?;
        system.every(millis(2)).on(context, move |(), _| {
            assert_eq!(system.core(), core);
            ticks[core as usize].fetch_add(1, Relaxed);
        })?;
        Ok(context)
    });
    let cores: Vec<u32> = contexts.unwrap().iter().map(|context| context.id().core()).collect();
    assert_eq!(cores, [0, 1, 2, 3]);
    let waiter = system.waiter().unwrap();
    while ticks.iter().any(|ticks| ticks.load(Relaxed) < TICKS) {
        waiter.sleep(millis(5)).unwrap();
    }
}

#[reflex::test(group = "cores-2")]
fn work_is_done_on_another_core_and_its_result_comes_back(system: System) {
    assert_eq!(system.on_core(1, |system| system.core()), Ok(1));
    assert_eq!(system.on_core(0, |system| system.core()), Ok(0));
    assert_eq!(system.on_core(2, |_| ()), Err(Error::Event(EventError::NoCore)));
    let nested = system.on_core(1, |system| system.on_core(0, |_| ()));
    assert_eq!(nested, Ok(Err(Error::Event(EventError::Busy))), "two could wait for each other");
    let deferred = system.section(|| system.on_core(1, |_| ()));
    assert_eq!(deferred, Err(Error::Event(EventError::Busy)));
    for round in 0..1_000_u32 {
        assert_eq!(system.on_core(1, move |_| round + 1), Ok(round + 1));
    }
}

/// Control of what lives on another core is done there, and has been done when the call returns.
#[reflex::test(group = "cores-2")]
fn what_lives_on_another_core_is_controlled_from_here(system: System) {
    let runs: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
    let context = system.context("other", ()).core(1).build().unwrap();
    let signal = system.signal(SignalMode::Counter).on(context, move |(), _| {
        runs.fetch_add(1, Relaxed);
    });
    let signal = signal.unwrap();
    let registration = signal.registration();
    registration.disable(DisabledPolicy::Count).unwrap();
    signal.fire().unwrap();
    // Behind the firing, on the same way.
    assert_eq!(registration.look_up().unwrap().disabled, Some(DisabledPolicy::Count));
    assert_eq!(runs.load(Relaxed), 0);
    registration.set_priority(Priority::HIGH).unwrap();
    assert_eq!(registration.look_up().unwrap().registration.priority, Priority::HIGH);
    assert_eq!(registration.enable(), Ok(1), "what was fired meanwhile");
    signal.fire().unwrap();
    while runs.load(Relaxed) == 0 {
        spin_loop();
    }
    registration.unregister().unwrap();
    signal.fire().unwrap();
    assert!(registration.look_up().is_err());
    assert_eq!(runs.load(Relaxed), 1);
}

#[reflex::test(group = "cores-2")]
fn a_mutex_belongs_to_its_core(system: System) {
    let here = system.context("here", ()).build().unwrap();
    let mutex = system.mutex(here, Priority::HIGH, 7_u32).unwrap();
    let there = mutex.clone();
    let locked = system.on_core(1, move |_| there.lock(|value| *value));
    assert_eq!(locked, Ok(Err(LockError::OtherCore)));
    assert_eq!(mutex.lock(|value| *value), Ok(7));
}
