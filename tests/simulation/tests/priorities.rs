//! Preemption: a better handler runs in the middle of another one.

use reflex::SignalMode;
use reflex::prelude::*;
use reflex::testing::Simulation;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Trace = Arc<Mutex<Vec<&'static str>>>;

fn note(trace: &Trace, what: &'static str) {
    trace.lock().unwrap().push(what);
}

#[test]
fn the_urgent_one_runs_within_the_other_and_the_lazy_one_after_it() {
    let trace = Trace::default();
    let (outer, urgent, lazy) = (trace.clone(), trace.clone(), trace.clone());
    let mut sim = Simulation::new(move |system: System| {
        let contexts = ["outer", "urgent", "lazy"].map(|name| system.context(name, ()).build());
        let [a, b, c] = contexts;
        let signal = |priority| system.signal(SignalMode::Counter).priority(priority);
        let first = signal(Priority::HIGH).on(b?, move |_, _| note(&urgent, "urgent"))?;
        let last = signal(Priority::LOW).on(c?, move |_, _| note(&lazy, "lazy"))?;
        system.after(secs(1)).on(a?, move |_, _| {
            note(&outer, "begins");
            last.fire().unwrap();
            first.fire().unwrap();
            note(&outer, "ends");
        })?;
        Ok::<_, Error>(())
    })
    .unwrap();
    sim.advance(secs(2));
    assert_eq!(*trace.lock().unwrap(), ["begins", "urgent", "ends", "lazy"]);
}

#[test]
fn a_timer_goes_off_in_the_middle_of_a_handler_that_waits() {
    let trace = Trace::default();
    let (busy, timer) = (trace.clone(), trace.clone());
    let mut sim = Simulation::new(move |system: System| {
        let (a, b) = (system.context("busy", ()).build()?, system.context("timer", ()).build()?);
        let waits = move |_: &mut (), _| {
            note(&busy, "waits");
            let start = system.now();
            while system.now().since(start) < millis(1) {}
            note(&busy, "has waited");
        };
        system.after(millis(10)).priority(Priority::LOW).on(a, waits)?;
        let due = system.after(Duration::from_micros(10_500)).priority(Priority::HIGH);
        due.on(b, move |_, _| note(&timer, "due"))?;
        Ok::<_, Error>(())
    })
    .unwrap();
    sim.advance(secs(1));
    assert_eq!(*trace.lock().unwrap(), ["waits", "due", "has waited"]);
}
