//! One registration of a source: what it keeps, what it lets in, and what it does when it is full
//! (A-3.1.2, A-3.5.1, A-3.5.2, K-2).

mod common;

use common::{Log, Registering, kernel, latest, told};
use reflex_event::{Context, DisabledPolicy, EventSystem, Trouble};
use reflex_kind::{Counted, Each, Latest, Options, Shortage, Source};
use reflex_testkit::SimKernel;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// A source that is held up by its one registration, and counts how often it is let go on.
fn held(kernel: &SimKernel, relay: Context<()>) -> (Source<SimKernel, u32>, Arc<AtomicU32>) {
    let resumed = Arc::new(AtomicU32::new(0));
    let count = resumed.clone();
    let resume = move || {
        count.fetch_add(1, Relaxed);
    };
    (Source::exclusive(kernel, relay, resume).unwrap(), resumed)
}

#[test]
fn latest_keeps_the_last_and_counts() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    Registering::new(&kernel, &source, &log).on::<Latest>(1).unwrap();
    for data in [10, 20, 30] {
        source.deliver(data).unwrap();
    }
    source.deliver_counted(40, 5).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, Some(40), 8)]);
    source.deliver(50).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, Some(50), 1)]);
}

#[test]
fn counted_keeps_the_number_only() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    let teller = Registering::new(&kernel, &source, &log).on::<Counted>(1).unwrap();
    source.deliver("a").unwrap();
    source.deliver_counted("b", 6).unwrap();
    assert!(teller.delivery.only_counts());
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, None, 7)]);
}

#[test]
fn each_keeps_all_up_to_its_capacity() {
    let (kernel, relay) = kernel();
    let ((source, _), log) = (held(&kernel, relay), Log::default());
    let teller = Registering::new(&kernel, &source, &log).on::<Each<3>>(1).unwrap();
    for data in 0..3 {
        source.deliver(data).unwrap();
    }
    assert_eq!(source.deliver(3), Err(3));
    assert_eq!(teller.delivery.pending(), 3);
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, Some(0), 1), (1, Some(1), 1), (1, Some(2), 1)]);
}

/// With room for one: the owner is told once that the source is held up, and the source once, at the
/// first run, that it may go on.
#[test]
fn a_source_is_held_up_and_resumed_exactly_once() {
    let (kernel, relay) = kernel();
    let ((source, resumed), log) = (held(&kernel, relay), Log::default());
    let teller = Registering::new(&kernel, &source, &log).on::<Each<1>>(1).unwrap();
    source.deliver(1).unwrap();
    for _ in 0..3 {
        assert_eq!(source.deliver(2), Err(2));
    }
    assert_eq!(kernel.troubles(teller.context), [Trouble::SourceThrottled]);
    assert_eq!(resumed.load(Relaxed), 0);
    kernel.run_until_idle();
    assert_eq!(resumed.load(Relaxed), 1);
    assert_eq!(told(&log), [(1, Some(1), 1)]);
    source.deliver(2).unwrap();
    kernel.run_until_idle();
    assert_eq!((told(&log), resumed.load(Relaxed)), (vec![(1, Some(2), 1)], 1));
}

#[test]
fn what_finds_no_room_is_shed_and_counted_if_the_owner_says_so() {
    let (kernel, relay) = kernel();
    let ((source, _), log) = (held(&kernel, relay), Log::default());
    let options = Options { shortage: Shortage::Shed, ..Options::default() };
    let teller =
        Registering::new(&kernel, &source, &log).options(options).on::<Each<1>>(1).unwrap();
    for data in 0..4 {
        source.deliver(data).unwrap();
    }
    assert_eq!(teller.delivery.shed(), 3);
    assert_eq!(kernel.troubles(teller.context), [Trouble::LimitReached; 3]);
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, Some(0), 1)]);
}

#[test]
fn a_registration_without_room_ends_if_the_owner_says_so() {
    let (kernel, relay) = kernel();
    let ((source, _), log) = (held(&kernel, relay), Log::default());
    let options = Options { shortage: Shortage::Abort, ..Options::default() };
    let teller =
        Registering::new(&kernel, &source, &log).options(options).on::<Each<1>>(1).unwrap();
    source.deliver(1).unwrap();
    assert_eq!(source.deliver(2), Ok(()));
    assert_eq!(source.registrations(), 0);
    kernel.run_until_idle();
    assert_eq!(told(&log), []);
    drop(teller.delivery);
}

#[test]
fn a_source_is_retried_when_the_owner_says_so() {
    let (kernel, relay) = kernel();
    let ((source, resumed), log) = (held(&kernel, relay), Log::default());
    let options = Options { shortage: Shortage::Retry, ..Options::default() };
    let teller =
        Registering::new(&kernel, &source, &log).options(options).on::<Each<1>>(1).unwrap();
    source.deliver(1).unwrap();
    assert_eq!(source.deliver(2), Err(2));
    kernel.run_until_idle();
    assert_eq!(resumed.load(Relaxed), 0);
    teller.delivery.retry();
    assert_eq!(resumed.load(Relaxed), 1);
    // Changing one's mind is a retry too, if there is one to make.
    source.deliver(3).unwrap();
    assert_eq!(source.deliver(4), Err(4));
    teller.delivery.set_shortage(Shortage::Shed);
    assert_eq!(resumed.load(Relaxed), 2);
    source.deliver(4).unwrap();
    assert_eq!(teller.delivery.shed(), 1);
}

#[test]
fn a_filter_lets_in_what_it_says_and_may_change_itself() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    let own: Arc<OnceLock<reflex_kind::Delivery<SimKernel, u32>>> = Arc::default();
    let in_filter = own.clone();
    let filter = move |data: &u32| {
        if *data == 7 {
            let delivery = in_filter.get().unwrap();
            delivery.set_filter(Some(|data: &u32| *data > 100)).unwrap();
        }
        data.is_multiple_of(2)
    };
    let teller = Registering::new(&kernel, &source, &log)
        .filtered::<Latest>(1, Some(filter), |_| {})
        .unwrap();
    own.set(teller.delivery.clone()).unwrap();
    for data in [1, 2, 3, 7, 8, 101] {
        source.deliver(data).unwrap();
    }
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, Some(101), 2)]);
    teller.delivery.set_filter(None::<fn(&u32) -> bool>).unwrap();
    source.deliver(1).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, Some(1), 1)]);
}

#[test]
fn a_filter_may_end_its_own_registration() {
    use reflex_event::EventId;
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    let own: Arc<OnceLock<EventId>> = Arc::default();
    let (in_filter, ending) = (own.clone(), kernel.clone());
    let filter = move |_: &u32| {
        ending.unregister(*in_filter.get().unwrap()).unwrap();
        true
    };
    let teller = Registering::new(&kernel, &source, &log)
        .filtered::<Latest>(1, Some(filter), |_| {})
        .unwrap();
    own.set(teller.event).unwrap();
    source.deliver(1).unwrap();
    assert_eq!(source.registrations(), 0);
    source.deliver(2).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), []);
    assert_eq!(source.unheard(), 1);
    let (context, own_kernel) = (teller.context, teller.kernel.clone());
    drop(teller);
    assert_eq!(own_kernel.pool(context).unwrap().stats().blocks, 0);
}

#[test]
fn once_is_one_occurrence_and_the_registration_ends() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    let options = Options { once: true, ..Options::default() };
    Registering::new(&kernel, &source, &log).options(options).on::<Latest>(1).unwrap();
    source.deliver(1).unwrap();
    source.deliver(2).unwrap();
    kernel.run_until_idle();
    source.deliver(3).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, Some(1), 1)]);
    assert_eq!((source.registrations(), source.unheard()), (0, 1));
}

#[test]
fn a_disabled_registration_counts_or_discards_and_cleaning_forgets() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    let teller = Registering::new(&kernel, &source, &log).on::<Latest>(1).unwrap();
    source.deliver_counted(1, 2).unwrap();
    teller.delivery.disable(DisabledPolicy::Count, 0);
    source.deliver_counted(2, 3).unwrap();
    assert_eq!(teller.delivery.enable(), 5);
    teller.delivery.disable(DisabledPolicy::Discard, 0);
    source.deliver(3).unwrap();
    assert_eq!(teller.delivery.enable(), 0);
    source.deliver_counted(4, 4).unwrap();
    assert_eq!((teller.delivery.clean(), teller.delivery.clean()), (4, 0));
    kernel.run_until_idle();
    assert_eq!(told(&log), []);
}

/// Whatever ends a registration, what it has kept in its owner's memory is given back.
#[test]
fn nothing_is_left_in_the_owners_memory() {
    let (kernel, relay) = kernel();
    let ((source, _), log) = (held(&kernel, relay), Log::default());
    let filter = Some(|_: &u32| true);
    let teller =
        Registering::new(&kernel, &source, &log).filtered::<Each<4>>(1, filter, |_| {}).unwrap();
    source.deliver(1).unwrap();
    source.deliver(2).unwrap();
    assert!(teller.blocks() > 0);
    teller.unregister();
    let common::Teller { context, delivery, .. } = teller;
    assert_eq!(delivery.deliver(3, 1), Ok(()));
    assert_eq!(delivery.pending(), 0);
    drop(delivery);
    assert_eq!(kernel.pool(context).unwrap().stats().blocks, 0);
}

/// A kind with a condition that holds as long as a flag is up.
#[derive(Clone)]
struct Wire(Source<SimKernel, u32>, Arc<AtomicBool>);

impl reflex_kind::Kind<SimKernel> for Wire {
    const NAME: &'static str = "wire";
    type Data = u32;
    type Accumulation = Latest;

    fn source(&self) -> &Source<SimKernel, u32> {
        &self.0
    }

    fn ready(&self) -> Option<u32> {
        self.1.load(Relaxed).then_some(7)
    }
}

#[test]
fn by_level_the_handler_runs_until_the_condition_is_gone() {
    let (kernel, relay) = kernel();
    let up = Arc::new(AtomicBool::new(false));
    let (wire, log) = (Wire(latest(&kernel, relay), up.clone()), Log::default());
    let (flag, left) = (up.clone(), AtomicU32::new(3));
    Registering::new(&kernel, &wire, &log)
        .level()
        .doing::<Latest>(1, move |_| {
            if left.fetch_sub(1, Relaxed) == 1 {
                flag.store(false, Relaxed);
            }
        })
        .unwrap();
    Registering::new(&kernel, &wire, &log).on::<Latest>(2).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), []);
    up.store(true, Relaxed);
    wire.0.deliver(1).unwrap();
    kernel.run_until_idle();
    let mut seen = told(&log);
    seen.sort_unstable();
    assert_eq!(seen, [(1, Some(1), 1), (1, Some(7), 1), (1, Some(7), 1), (2, Some(1), 1)]);
}
