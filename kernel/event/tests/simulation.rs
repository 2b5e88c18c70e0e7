//! Random programs of everything the core can do, with occurrences between any two steps, against
//! a naive model: no activation lost or made up, arrival order kept within a priority, one handler
//! at a time in a context, always the best context running, inheritance and turns included, none
//! running that is held, no name misdirected, limits kept to, and every account balanced at the end
//!
//! `REFLEX_SEED=N` repeats a run.

mod model;

use model::Program;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::cell::Cell;
use std::panic;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

const PROGRAMS: u32 = 6_000;

/// The seed given, or one nobody has chosen. It is printed, and shown when the test fails.
fn seed() -> u64 {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap_or_default().as_nanos() as u64 % 1_000_000_000
    });
    println!("seed {seed} (repeat with REFLEX_SEED={seed})");
    seed
}

fn program() -> impl Strategy<Value = Program> {
    prop::collection::vec(any::<u8>(), 0..6_400).prop_map(|bytes| Program::decode(&bytes))
}

#[test]
fn every_interleaving_keeps_the_promises() {
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let given = Config::default();
    // `shorten` has to do with steps, not bytes; where shrinking is forbidden, so is that.
    let shortens = given.max_shrink_iters != 0;
    let config =
        Config { cases: PROGRAMS, max_shrink_iters: 0, failure_persistence: None, ..given };
    let mut runner = TestRunner::new_with_rng(config, random);
    let steps = Cell::new(0);
    // A failing program fails again and again while it is made shorter: the last is worth reading.
    let said = Arc::new(Mutex::new(String::new()));
    let hook = said.clone();
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |why| *hook.lock().unwrap() = why.to_string()));
    let result = runner.run(&program(), |program| {
        steps.set(steps.get() + program.run());
        Ok(())
    });
    let failed = match result {
        Err(TestError::Fail(_, program)) if shortens => Some(shorten(program)),
        Err(TestError::Fail(_, program)) => Some(program),
        other => other.map(|()| None).unwrap(),
    };
    panic::set_hook(loud);
    if let Some(program) = failed {
        panic!("REFLEX_SEED={seed}: {}\n{program:?}", said.lock().unwrap());
    }
    let resumed = model::occurrences::RESUMED.load(Relaxed);
    println!("{} steps; {resumed} times a context went on on the spot", steps.get());
    assert_ne!(resumed, 0, "no program has had a context go on on the spot");
    let yielded = model::occurrences::YIELDED.load(Relaxed);
    println!("{yielded} times a handler has yielded to an equal");
    assert_ne!(yielded, 0, "no program has had a handler yield to an equal");
    assert!(steps.get() >= 1_000_000, "{} steps are no million", steps.get());
}

/// Takes steps out of a failing program, many at once and then fewer, as long as it fails.
fn shorten(mut program: Program) -> Program {
    let fails = |program: &Program| panic::catch_unwind(|| program.run()).is_err();
    let mut piece = program.steps.len().max(1);
    loop {
        let before = program.steps.len();
        let mut from = 0;
        while from < program.steps.len() {
            let mut less = program.clone();
            less.steps.drain(from..(from + piece).min(less.steps.len()));
            if fails(&less) { program = less } else { from += piece }
        }
        if piece == 1 && program.steps.len() == before {
            // So that what is said last is about the shortest.
            fails(&program);
            return program;
        }
        piece = (piece / 2).max(1);
    }
}
