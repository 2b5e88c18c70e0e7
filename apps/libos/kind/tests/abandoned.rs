//! Filters, copies and destructors of data that fail: each is the failure of the context on behalf
//! of which it runs, and no other's. What it was changing is forgotten.

mod common;

use common::{Log, Registering, Teller, kernel, told};
use reflex_event::EventSystem;
use reflex_kind::{Each, Latest, Source};
use reflex_testkit::{Random, SimKernel};
use std::cell::Cell;
use std::sync::{Arc, Mutex};

/// What goes wrong next: after so many calls.
#[derive(Clone, Default)]
struct Fuse(Arc<Mutex<[Option<u32>; 3]>>);

const CLONE: usize = 0;
const DROP: usize = 1;
const FILTER: usize = 2;

impl Fuse {
    fn set(&self, what: usize, calls: Option<u32>) {
        self.0.lock().unwrap()[what] = calls;
    }

    fn burn(&self, what: usize) {
        let blown = match &mut self.0.lock().unwrap()[what] {
            None => false,
            Some(0) => true,
            Some(calls) => {
                *calls -= 1;
                false
            }
        };
        if blown {
            self.set(what, None);
            panic!("told to panic: {what}");
        }
    }
}

/// Data that has something to be dropped, and fails as its fuse says.
struct Data {
    number: u32,
    fuse: Fuse,
    /// It may be dropped: not a second time.
    whole: Box<Cell<bool>>,
}

impl Data {
    fn new(number: u32, fuse: &Fuse) -> Self {
        Self { number, fuse: fuse.clone(), whole: Box::new(Cell::new(true)) }
    }
}

impl Clone for Data {
    fn clone(&self) -> Self {
        self.fuse.burn(CLONE);
        Self::new(self.number, &self.fuse)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        assert!(self.whole.replace(false), "dropped twice");
        if !std::thread::panicking() {
            self.fuse.burn(DROP);
        }
    }
}

/// What `teller`'s handler has been told since this was last asked.
fn numbers(log: &Log<Data>, fuse: &Fuse) -> Vec<(u32, u32)> {
    let spare = fuse.0.lock().unwrap()[DROP].take();
    let told = told(log).into_iter().map(|(name, data, _)| (name, data.expect("kept").number));
    let told = told.collect();
    fuse.set(DROP, spare);
    told
}

fn subscribe(
    kernel: &SimKernel,
    source: &Source<SimKernel, Data>,
    log: &Log<Data>,
    name: u32,
    each: bool,
    fuse: &Fuse,
) -> Teller<Data> {
    let asked = fuse.clone();
    let filter = Some(move |_: &Data| {
        asked.burn(FILTER);
        true
    });
    let registering = Registering::new(kernel, source, log).priority(10 + name as u8 % 3);
    let subscribed = match each {
        true => registering.filtered::<Each<4>>(name, filter, |_| {}),
        false => registering.filtered::<Latest>(name, filter, |_| {}),
    };
    subscribed.unwrap()
}

fn failed(teller: &Teller<Data>) -> bool {
    teller.kernel.failures(teller.context.id()).unwrap() > 0
}

#[test]
fn a_copy_that_fails_ends_its_owner_and_the_others_go_on() {
    let (kernel, relay) = kernel();
    let (log, fuse) = (Log::default(), Fuse::default());
    let source = Source::queued(&kernel, relay, 4, || {}).unwrap();
    let tellers = [0, 3, 6].map(|name| subscribe(&kernel, &source, &log, name, true, &fuse));
    fuse.set(CLONE, Some(1));
    assert!(source.deliver(Data::new(1, &fuse)).is_ok());
    kernel.run_until_idle();
    // The first has its copy; the second's has failed, and there is nothing left to copy.
    assert_eq!(numbers(&log, &fuse), [(0, 1)]);
    assert_eq!(tellers.each_ref().map(failed), [false, true, false]);
    assert_eq!((source.registrations(), kernel.forgotten()), (2, 1));
    for number in 2..20 {
        assert!(source.deliver(Data::new(number, &fuse)).is_ok(), "the lost one holds nobody up");
        kernel.run_until_idle();
        assert_eq!(numbers(&log, &fuse), [(0, number), (6, number)]);
    }
}

#[test]
fn data_that_fails_when_it_is_dropped_ends_the_context_it_was_kept_for() {
    let (kernel, relay) = kernel();
    let (log, fuse) = (Log::default(), Fuse::default());
    let source = Source::latest(&kernel, relay).unwrap();
    let teller = subscribe(&kernel, &source, &log, 0, false, &fuse);
    assert!(source.deliver(Data::new(1, &fuse)).is_ok());
    fuse.set(DROP, Some(0));
    // The one before is dropped for it.
    assert!(source.deliver(Data::new(2, &fuse)).is_ok());
    kernel.run_until_idle();
    assert!(failed(&teller));
    assert_eq!(source.registrations(), 0);
}

/// Data without anything to be dropped, but with copies that do anything.
struct Plain {
    number: u32,
    copied: fn(&Plain),
    shown: &'static Mutex<Option<Source<SimKernel, Plain>>>,
}

impl Clone for Plain {
    fn clone(&self) -> Self {
        (self.copied)(self);
        Self { ..*self }
    }
}

/// The source is not borrowed while data is copied: what copies it may use the source.
#[test]
fn a_copy_may_use_the_source_that_it_is_made_for() {
    static SHOWN: Mutex<Option<Source<SimKernel, Plain>>> = Mutex::new(None);
    let (kernel, relay) = kernel();
    let log = Log::default();
    for queued in [false, true] {
        let source = match queued {
            true => Source::queued(&kernel, relay, 4, || {}).unwrap(),
            false => Source::latest(&kernel, relay).unwrap(),
        };
        *SHOWN.lock().unwrap() = Some(source.clone());
        let on = |name| Registering::new(&kernel, &source, &log).on::<Each<4>>(name).unwrap();
        let tellers = [0, 1, 2].map(on);
        let copied = |data: &Plain| {
            let source = data.shown.lock().unwrap().clone().unwrap();
            assert_eq!((source.registrations(), source.sole().is_none()), (3, true));
        };
        assert!(source.deliver(Plain { number: 7, copied, shown: &SHOWN }).is_ok());
        kernel.run_until_idle();
        let mut all = told(&log);
        all.sort_by_key(|told| told.0);
        let all = all.into_iter().map(|(name, data, _)| (name, data.unwrap().number));
        assert_eq!(all.collect::<Vec<_>>(), [(0, 7), (1, 7), (2, 7)]);
        tellers.iter().for_each(Teller::unregister);
    }
}

/// A copy that fails ends the context that it is made for, whatever it is a copy of.
#[test]
fn a_copy_of_plain_data_that_fails_ends_its_owner_alone() {
    static SHOWN: Mutex<Option<Source<SimKernel, Plain>>> = Mutex::new(None);
    let (kernel, relay) = kernel();
    let log = Log::default();
    let source = Source::latest(&kernel, relay).unwrap();
    let on = |name| Registering::new(&kernel, &source, &log).on::<Latest>(name).unwrap();
    let tellers: [Teller<Plain>; 3] = [0, 1, 2].map(on);
    let copied = |_: &Plain| panic!("told to panic");
    assert!(source.deliver(Plain { number: 1, copied, shown: &SHOWN }).is_ok());
    kernel.run_until_idle();
    let ended = |teller: &Teller<Plain>| teller.kernel.failures(teller.context.id()).unwrap();
    assert_eq!(tellers.iter().map(ended).sum::<u64>(), 1);
    assert_eq!((kernel.failures(relay.id()), kernel.forgotten()), (Ok(0), 1));
    assert!(source.deliver(Plain { number: 2, copied: |_| {}, shown: &SHOWN }).is_ok());
    kernel.run_until_idle();
    assert_eq!(told(&log).len(), 2, "the others go on");
}

/// Random failures in everything that a source calls of an application's: the code that delivers
/// goes on, each failure ends one owner, and the others are told all that they were before, in
/// order, and once.
#[test]
fn random_failures_end_their_owners_alone() {
    let seed = std::env::var("REFLEX_SEED").map_or(11, |seed| seed.parse().unwrap());
    for seed in seed..seed + 60 {
        println!("seed {seed}");
        run(seed, 200);
    }
}

fn run(seed: u64, steps: u32) {
    let mut random = Random::new(seed);
    let (kernel, relay) = kernel();
    let (log, fuse) = (Log::default(), Fuse::default());
    let source = match seed % 2 {
        0 => Source::latest(&kernel, relay).unwrap(),
        _ => Source::queued(&kernel, relay, 3, || {}).unwrap(),
    };
    let mut tellers: Vec<(u32, Teller<Data>)> = Vec::new();
    let (mut names, mut failures) = (0, 0);
    for step in 0..steps {
        let at = format!("seed {seed}, step {step}");
        while tellers.len() < 1 + random.below(4) as usize {
            let each = random.below(2) == 0;
            tellers.push((names, subscribe(&kernel, &source, &log, names, each, &fuse)));
            names += 1;
        }
        for what in [CLONE, DROP, FILTER] {
            let calls = random.below(4) as u32;
            fuse.set(what, (random.below(6) == 0).then_some(calls));
        }
        // Sometimes several wait before anybody runs.
        for _ in 0..1 + random.below(3) {
            if source.registrations() == 0 {
                // Data that is nobody's is dropped by the code that delivers it.
                break;
            }
            if let Err(refused) = source.deliver(Data::new(step, &fuse)) {
                fuse.set(DROP, None);
                drop(refused);
            }
        }
        kernel.run_until_idle();
        for what in [CLONE, DROP, FILTER] {
            fuse.set(what, None);
        }
        let before = tellers.len();
        tellers.retain(|(_, teller)| !failed(teller));
        failures += before - tellers.len();
        assert_eq!(source.registrations() as usize, tellers.len(), "{at}");
        // With nothing failing, all that are left are told.
        numbers(&log, &fuse);
        let last = Data::new(1_000_000 + step, &fuse);
        assert!(source.deliver(last).is_ok(), "{at}: held up by the failed");
        kernel.run_until_idle();
        let mut told: Vec<u32> = numbers(&log, &fuse)
            .into_iter()
            .filter_map(|(name, number)| (number == 1_000_000 + step).then_some(name))
            .collect();
        told.sort_unstable();
        let names: Vec<u32> = tellers.iter().map(|(name, _)| *name).collect();
        assert_eq!(told, names, "{at}");
    }
    assert!(failures > 5, "seed {seed}: {failures} failures try nothing");
}
