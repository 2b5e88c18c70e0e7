//! Handlers that panic, and memory that is short.

use crate::{Echo, echo};
use reflex::net::TcpService;
use reflex::prelude::*;
use reflex::supervise::{Setup, Stopped, Verdict};
use reflex::testing::Simulation;
use reflex::{LockError, Mutex, Signal, SignalMode};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex as HostMutex};
use std::time::Duration;

/// A service that panics at the word `bad`.
struct Touchy;

impl TcpService for Touchy {
    fn received(&mut self, connection: &Connection) {
        let mut block = [0; 64];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            assert!(&block[..length] != b"bad", "a bad word");
            connection.write(&block[..length]);
        }
    }
}

#[derive(Default)]
struct Supervisor {
    failures: Vec<u32>,
}

fn touchy(system: System) -> Result {
    let supervisor = system.context("supervisor", Supervisor::default()).build()?;
    let touchy = system
        .context_with("touchy", move |setup: Setup<'_, Touchy>| {
            system.tcp(7).connections(4).serve(setup.context())?;
            Ok::<_, Error>(Touchy)
        })
        .memory(1 << 20)
        .build()?;
    let decide = |supervisor: &mut Supervisor, stopped: &Stopped| {
        supervisor.failures.push(stopped.failures);
        Verdict::Restart
    };
    system.supervise(touchy.id(), supervisor, decide)?;
    Ok(())
}

#[test]
fn a_panic_ends_its_context_alone_and_the_next_life_serves() {
    let mut sim = Simulation::new(touchy).unwrap();
    for life in 1..=5 {
        let (good, bad) = (sim.connect(7), sim.connect(7));
        good.send(b"good");
        sim.run();
        assert_eq!(good.received(), b"good");
        bad.send(b"bad");
        sim.run();
        assert!(good.is_reset() && bad.is_reset(), "its connections end with it");
        let failures = sim.state("supervisor", |it: &mut Supervisor| it.failures.clone());
        assert_eq!(failures, (1..=life).collect::<Vec<u32>>());
        assert_eq!(sim.exit_status(), None);
        // Longer than the longest back-off.
        sim.advance(secs(11));
    }
    let lines = sim.take_lines();
    assert!(lines.iter().any(|line| line.contains("a bad word")), "{lines:#?}");
    assert!(!std::thread::panicking());
}

/// A state that panics at a signal, in a context that does not fail alone.
fn fragile(system: System) -> Result {
    let fragile = system.context("fragile", ()).build()?;
    system.after(secs(1)).on(fragile, |_, _| panic!("it was fragile"))?;
    Ok(())
}

#[test]
fn a_panic_that_nothing_contains_ends_the_image_and_fails_the_test() {
    let mut sim = Simulation::new(fragile).unwrap();
    let ended = catch_unwind(AssertUnwindSafe(|| sim.advance(secs(2))));
    let payload = ended.expect_err("the panic comes through");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"it was fragile"));
    assert_eq!(sim.exit_status(), Some(101));
    // It stays off.
    sim.advance(secs(2));
    assert_eq!(sim.exit_status(), Some(101));
}

#[test]
#[should_panic(expected = "no good start")]
fn a_panic_in_main_is_the_tests() {
    let _ = Simulation::new(|_: System| -> () { panic!("no good start") });
}

#[test]
fn main_that_fails_says_with_what_status() {
    let error = Simulation::new(|_: System| Err::<(), _>("no luck")).err().unwrap();
    assert_eq!(error.to_string(), "the image ended at its start, with status 1");
    let error = Simulation::builder().command_line("ip=nonsense").start(|_: System| ()).err();
    assert!(error.unwrap().to_string().contains("expected dhcp or ADDRESS/PREFIX"));
}

struct Locker {
    shared: Mutex<u32>,
    fails: bool,
    seen: Arc<HostMutex<Vec<Option<LockError>>>>,
}

impl Locker {
    fn lock(&self) {
        let locked = self.shared.lock(|value| {
            *value += 1;
            assert!(!self.fails, "with the mutex held");
        });
        self.seen.lock().unwrap().push(locked.err());
    }
}

#[test]
fn what_a_panic_was_lent_is_given_back_and_a_mutex_is_poisoned() {
    let seen: Arc<HostMutex<Vec<Option<LockError>>>> = Arc::default();
    let told = seen.clone();
    let mut sim = Simulation::new(move |system: System| {
        let home = system.context("home", ()).build()?;
        let shared = system.mutex(home, Priority::HIGH, 0)?;
        for (name, fails, delay) in [("first", false, 1), ("failing", true, 2), ("last", false, 3)]
        {
            let (shared, seen) = (shared.clone(), told.clone());
            system
                .context_with(name, move |setup: Setup<'_, Locker>| {
                    system.after(secs(delay)).on(setup.context(), |it, _| it.lock())?;
                    Ok::<_, Error>(Locker { shared: shared.clone(), fails, seen: seen.clone() })
                })
                .build()?;
        }
        Ok::<_, Error>(())
    })
    .unwrap();
    sim.advance(secs(4));
    assert_eq!(*seen.lock().unwrap(), [None, Some(LockError::Poisoned)]);
}

#[test]
fn what_was_kept_waiting_by_work_that_panics_goes_on() {
    let ran = Arc::new(HostMutex::new(0));
    let told = ran.clone();
    let mut sim = Simulation::new(move |system: System| {
        let urgent = system.context("urgent", ()).not_during(system.protected("work")?).build()?;
        let told = told.clone();
        let signal = system.signal(SignalMode::Counter).priority(Priority::HIGH);
        let signal = signal.on(urgent, move |_, _| *told.lock().unwrap() += 1)?;
        system
            .context_with("worker", move |setup: Setup<'_, Signal>| {
                system.after(secs(1)).on(setup.context(), move |signal: &mut Signal, _| {
                    let protected = system.protected("work").unwrap();
                    let _ = system.protect(protected, || {
                        signal.fire().unwrap();
                        panic!("in protected work");
                    });
                })?;
                Ok::<_, Error>(signal)
            })
            .build()?;
        Ok::<_, Error>(())
    })
    .unwrap();
    sim.advance(Duration::from_millis(1500));
    assert_eq!(*ran.lock().unwrap(), 1);
}

#[test]
fn a_filter_that_panics_ends_its_own_context() {
    let mut sim = Simulation::new(|system: System| {
        let caller = system.context("caller", 0_u32).build()?;
        let (send, place) = (Arc::new(HostMutex::new(None)), ());
        let given = send.clone();
        system
            .context_with("watcher", move |setup: Setup<'_, ()>| {
                let signal = system.signal(SignalMode::Counter).on(setup.context(), |_, _| {})?;
                let registered = signal.registration();
                registered.set_filter(|_| panic!("in a filter"))?;
                *given.lock().unwrap() = Some(signal);
                Ok::<_, Error>(place)
            })
            .build()?;
        system.after(secs(1)).on(caller, move |count: &mut u32, _| {
            if let Some(signal) = *send.lock().unwrap() {
                signal.fire().unwrap();
            }
            *count += 1;
        })?;
        Ok::<_, Error>(())
    })
    .unwrap();
    sim.advance(secs(2));
    assert_eq!(sim.state("caller", |count: &mut u32| *count), 1);
    assert!(sim.take_lines().iter().any(|line| line.contains("in a filter")));
}

#[test]
fn memory_that_is_short_is_an_error_and_no_end() {
    let mut sim = Simulation::new(echo).unwrap();
    assert!(sim.system().available_memory() > 32 << 20);
    sim.limit_memory(100 << 10);
    assert!(sim.system().available_memory() <= 100 << 10);
    let refused = sim.system().context("large", ()).memory(1 << 20).build();
    assert!(refused.is_err());
    let client = sim.connect(7);
    client.send(b"still there");
    sim.run();
    assert_eq!(client.received(), b"still there");
    assert_eq!(sim.state("echo", |echo: &mut Echo| echo.failed.len()), 0);
    let small = Simulation::builder();
    drop(sim);
    let error = small
        .memory(0)
        .start(|system: System| system.context("large", ()).memory(64 << 20).build().map(drop));
    assert!(error.is_err());
}
