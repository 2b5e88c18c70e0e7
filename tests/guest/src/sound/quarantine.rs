//! A computation that is given up never goes on, so whatever was borrowed for it stays borrowed, and
//! what it had pinned stays where it is: its memory is not used again, unless it was said that nobody
//! points to it.

use crate::faults::Fault;
use core::hint::black_box;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use lent::{Waiter, lend};
use reflex::kind::Source;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Cloner, Context, Error, OnFailure, Priority, Reason, Registration, Setup,
    SignalMode, Stopped, System, Tick, Trouble,
};

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };
const SOON: Duration = Duration::from_millis(1);
/// What is lent by computations that do not go on.
const MARK: u64 = 0x0123_4567_89ab_cdef;

/// What a third party's crate may do: it lends values that lie anywhere, on a stack for instance, and
/// takes them back in destructors. Its interface is safe, and sound as long as memory is not used again under a
/// value before its destructor has run.
mod lent {
    use core::cell::UnsafeCell;
    use core::marker::PhantomPinned;
    use core::pin::Pin;
    use core::ptr::null_mut;
    use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};
    use reflex::System;

    /// Where what is lent is.
    static PLACES: [AtomicPtr<AtomicU64>; 64] = [const { AtomicPtr::new(null_mut()) }; 64];

    /// What is lent until it is dropped.
    struct Loan(usize);

    impl Loan {
        /// # Safety
        /// The value lives, where it is, until the loan has been dropped.
        unsafe fn new(value: &AtomicU64) -> Self {
            let value = core::ptr::from_ref(value).cast_mut();
            let free = |place: &AtomicPtr<_>| {
                place.compare_exchange(null_mut(), value, Relaxed, Relaxed).is_ok()
            };
            Self(PLACES.iter().position(free).expect("there is a place"))
        }
    }

    impl Drop for Loan {
        fn drop(&mut self) {
            PLACES[self.0].store(null_mut(), Relaxed);
        }
    }

    /// Lends `value` to everybody for the time of `work`.
    pub(super) fn lend<R>(value: &AtomicU64, work: impl FnOnce() -> R) -> R {
        // SAFETY: the value is borrowed until this returns, and the loan is dropped before.
        let _loan = unsafe { Loan::new(value) };
        work()
    }

    /// Lends its value from when it is asked to until it is dropped.
    pub(super) struct Waiter {
        value: AtomicU64,
        loan: UnsafeCell<Option<Loan>>,
        _pinned: PhantomPinned,
    }

    impl Waiter {
        pub(super) fn new(value: u64) -> Self {
            let (value, loan) = (AtomicU64::new(value), UnsafeCell::new(None));
            Self { value, loan, _pinned: PhantomPinned }
        }

        pub(super) fn wait(self: Pin<&mut Self>) {
            // SAFETY: it is pinned, so it stays until it has been dropped, with its loan first; nobody
            // else is at the cell, which is not shared.
            unsafe { *self.loan.get() = Some(Loan::new(&self.as_ref().get_ref().value)) };
        }
    }

    impl Drop for Waiter {
        fn drop(&mut self) {
            drop(self.loan.get_mut().take());
        }
    }

    /// Looks at all that is lent.
    pub(super) fn each(system: System, mut look: impl FnMut(&AtomicU64)) {
        system.section(|| {
            for place in &PLACES {
                // SAFETY: it lives until its loan is dropped, which takes it out of here: by nobody
                // in this section.
                if let Some(value) = unsafe { place.load(Relaxed).as_ref() } {
                    look(value);
                }
            }
        });
    }
}

/// Checks what is lent by computations that did not go on: as many as `count`, and each is whole.
fn assert_whole(system: System, count: usize) {
    let mut found = 0;
    lent::each(system, |value| {
        found += 1;
        assert_eq!(value.load(Relaxed), MARK, "memory that is pointed to was used again");
    });
    assert_eq!(found, count);
}

/// How much is lent already.
fn lent_so_far(system: System) -> usize {
    let mut found = 0;
    lent::each(system, |_| found += 1);
    found
}

/// Uses a good part of a stack.
#[inline(never)]
fn use_stack(depth: u32) -> u64 {
    let words = black_box([0x4141_4141_4141_4141_u64; 64]);
    if depth == 0 { words[3] } else { use_stack(depth - 1) ^ words[depth as usize % 64] }
}

/// Has a handler at `context` do `wrong`; when this returns it has failed and all is cleaned up.
fn fail<S: 'static>(
    system: System,
    context: Context<S>,
    wrong: impl Fn() + Send + 'static,
) -> Result<Stopped, Error> {
    let kernel = raw::kernel(system);
    let event = kernel.register(context.handle(), EACH, move |_: &mut S, _| wrong())?;
    kernel.activate(event, 1)?;
    system.stopped(context.id())
}

/// What a filter has on its stack when it fails stays for ever, whatever is done on the stack of the context
/// that has activated the event, and by the filters that are asked afterwards; so do values that are being
/// copied on behalf of others.
#[reflex::test(group = "quarantine")]
fn what_a_filter_is_pointed_to_stays_for_ever(system: System) -> Result<(), Error> {
    struct Copied(AtomicU64);
    impl Clone for Copied {
        fn clone(&self) -> Self {
            lend(&self.0, || panic!("in a copy"))
        }
    }
    let kernel = raw::kernel(system);
    let before = lent_so_far(system);
    let innocent = system.context("innocent", ()).on_failure(OnFailure::Ignore).build()?;
    let other = kernel.register(innocent.handle(), EACH, |(), _| {})?;
    kernel.filter(other, |_| black_box(use_stack(8)) == 0)?;
    let ways: [fn(System); 3] = [
        |_| panic!("in a filter"),
        |system| Fault::InvalidOpcode.commit(system),
        |system| Fault::Spin.commit(system),
    ];
    let mut failed = 0;
    for way in ways.into_iter().cycle().take(9) {
        let owner = system.context("lender", ()).on_failure(OnFailure::Ignore);
        let owner = owner.budget(Duration::from_millis(2)).build()?;
        let event =
            kernel.register(owner.handle(), EACH, |(), _| unreachable!("nothing passes"))?;
        kernel.filter(event, move |_| {
            let value = AtomicU64::new(MARK);
            lend(&value, || way(system));
            true
        })?;
        kernel.activate(event, 1)?;
        black_box(use_stack(8));
        kernel.activate(other, 1)?;
        while system.stopped(owner.id()).is_err() {}
        failed += 1;
        assert!(system.stopped(owner.id())?.quarantined > 0);
        assert_whole(system, before + failed);
    }
    for _ in 0..3 {
        let source: Source<Copied> = system.source()?;
        let owner = system.context("copier", ()).on_failure(OnFailure::Ignore).build()?;
        let last = system.context("last", ()).on_failure(OnFailure::Ignore).build()?;
        system.subscribe(source.clone()).on(owner, |(), _| {})?;
        system.subscribe(source.clone()).on(last, |(), _| {})?;
        let _ = source.deliver(Copied(AtomicU64::new(MARK)));
        black_box(use_stack(8));
        kernel.activate(other, 1)?;
        while system.stopped(owner.id()).is_err() && system.stopped(last.id()).is_err() {}
        failed += 1;
        assert_whole(system, before + failed);
    }
    assert!(system.stopped(innocent.id()).is_err(), "it has not failed");
    Ok(())
}

/// Keeps a box until the context ends.
trait PoolLeak {
    fn leak(self);
}

impl<T> PoolLeak for T {
    fn leak(self) {
        core::mem::forget(self);
    }
}

/// A value on the stack that is lent in a scope, one that is pinned there, and one that the handler
/// has captured: all three stay for ever, whatever the context's next lives do.
#[reflex::test(group = "quarantine")]
fn what_is_pointed_to_stays_for_ever(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let context = system
        .context_with("lender", move |_: Setup<'_, ()>| {
            black_box(use_stack(16));
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .backoff(SOON, SOON)
        .build()?;
    let before = lent_so_far(system);
    for life in 0..5 {
        while LIVES.load(Relaxed) != life * 3 + 1 {}
        fail(system, context, || {
            let value = AtomicU64::new(MARK);
            lend(&value, || panic!("in a scope"));
        })?;
        while LIVES.load(Relaxed) != life * 3 + 2 {}
        fail(system, context, move || {
            let mut waiter = pin!(Waiter::new(MARK));
            let pinned: Pin<&mut Waiter> = waiter.as_mut();
            pinned.wait();
            Fault::InvalidOpcode.commit(system)
        })?;
        while LIVES.load(Relaxed) != life * 3 + 3 {}
        let captured = AtomicU64::new(MARK);
        fail(system, context, move || lend(&captured, || Fault::ReadNull.commit(system)))?;
        while LIVES.load(Relaxed) != life * 3 + 4 {}
        // Its memory would be used by now.
        let pool = system.pool(context)?;
        while pool.alloc([0x4343_4343_4343_4343_u64; 16]).map(PoolLeak::leak).is_ok() {}
        assert_whole(system, before + (life as usize + 1) * 3);
    }
    Ok(())
}

/// What a handler has captured is dropped by the supervisor: when that lends something and fails, it
/// is the supervisor's stack that stays as it is.
#[reflex::test(group = "quarantine")]
fn what_a_destructor_has_lent_stays(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    struct Captured;
    impl Drop for Captured {
        fn drop(&mut self) {
            let value = AtomicU64::new(MARK);
            lend(&value, || panic!("while it is dropped"));
        }
    }
    struct Deep;
    impl Drop for Deep {
        fn drop(&mut self) {
            black_box(use_stack(16));
        }
    }
    let context = system
        .context_with("captures", move |setup: Setup<'_, ()>| {
            let count = || system.signal(SignalMode::Counter);
            let (captured, deep) = (Captured, Deep);
            count().on(setup.context(), move |(), _| {
                black_box(&captured);
            })?;
            count().on(setup.context(), move |(), _| {
                black_box(&deep);
            })?;
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .backoff(SOON, SOON)
        .build()?;
    let (before, quarantine) = (lent_so_far(system), system.quarantine());
    for life in 1..=4 {
        fail(system, context, || panic!("with much to drop"))?;
        while LIVES.load(Relaxed) != life + 1 {}
        assert_whole(system, before + life as usize);
    }
    // The context's own and the supervisor's, each time.
    assert_eq!(system.quarantine().computations - quarantine.computations, 8);
    Ok(())
}

/// A cloner's child lends its state and a value of its stack: both stay, and the next child is as the
/// template is.
#[reflex::test(group = "quarantine")]
fn what_a_child_has_lent_stays(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    struct State(AtomicU64);
    impl Clone for State {
        fn clone(&self) -> Self {
            Self(AtomicU64::new(self.0.load(Relaxed)))
        }
    }
    let template = State(AtomicU64::new(MARK));
    let cloner = system.cloner("lending child", template).contained();
    let cloner: Cloner<bool> = cloner.with(|state: &mut State, fails: bool| {
        RUNS.fetch_add(1, Relaxed);
        if fails {
            let value = AtomicU64::new(MARK);
            lend(&value, || lend(&state.0, || panic!("a child's scope")));
        }
        assert_eq!(state.0.swap(1, Relaxed), MARK, "as the template is");
        black_box(use_stack(16));
    })?;
    let before = lent_so_far(system);
    for run in 0..8 {
        while cloner.start(run % 2 == 0).is_err() {}
        assert_eq!(RUNS.load(Relaxed), run + 1);
        assert_whole(system, before + (run as usize / 2 + 1) * 2);
    }
    Ok(())
}

/// What is quarantined is counted, and told to the context that has made the one that failed.
#[reflex::test(group = "quarantine")]
fn what_is_quarantined_is_counted_and_told(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let owner = system.context("owner", ()).build()?;
    system
        .on_trouble(owner, |(), trouble, count| {
            if trouble == Trouble::MemoryQuarantined {
                TOLD.fetch_add(count, Relaxed);
            }
        })?
        .set_priority(Priority::HIGH)?;
    let context = system
        .context_with("counted", |_: Setup<'_, ()>| {
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .stack(8 << 10)
        .memory(32 << 10)
        .child_of(owner)
        .backoff(SOON, SOON)
        .build()?;
    let mut before = system.quarantine();
    for life in 1..=3 {
        let machine = system.available_memory();
        let stopped = fail(system, context, || panic!("to be counted"))?;
        while LIVES.load(Relaxed) != life + 1 {}
        let now = system.quarantine();
        assert_eq!((now.computations, now.bound), (before.computations + 1, before.bound));
        assert_eq!(now.bytes, before.bytes + stopped.quarantined);
        // A stack, its reserve, and what is handed out of the event memory.
        assert!((16 << 10..(8 << 10) + (8 << 10) + (32 << 10)).contains(&stopped.quarantined));
        // As much has been taken for the next life, with a page to guard it, the bookkeeping, what is free in its
        // event memory, and now and then a table of pages.
        let taken = (machine - system.available_memory()) as u64;
        assert!(
            (stopped.quarantined..=stopped.quarantined + (24 << 10)).contains(&taken),
            "{taken}"
        );
        assert_eq!(TOLD.load(Relaxed), life);
        before = now;
    }
    Ok(())
}

/// A context has the same memory in its next life if its maker has said that nobody points to it.
#[reflex::test(group = "quarantine")]
fn memory_is_used_again_where_that_was_said(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    static STACK: AtomicU64 = AtomicU64::new(0);
    let context = system.context_with("frugal", |setup: Setup<'_, ()>| {
        let local = AtomicU64::new(0);
        STACK.store(core::ptr::from_ref(&local).addr() as u64, Relaxed);
        let _ = setup.own().alloc([0_u64; 16]).map(PoolLeak::leak);
        LIVES.fetch_add(1, Relaxed);
        Ok::<_, Error>(())
    });
    // SAFETY: nothing here points to a frame or a box of the context's: the address is only compared.
    let context =
        context.after_failure(unsafe { reflex::Reuse::at_once() }).backoff(SOON, SOON).build()?;
    let before = (system.quarantine(), STACK.load(Relaxed));
    let pool = system.pool(context)?;
    let memory = system.available_memory();
    for life in 1..=20 {
        let stopped = fail(system, context, || panic!("to be frugal"))?;
        assert_eq!(stopped.quarantined, 0);
        while LIVES.load(Relaxed) != life + 1 {}
        assert_eq!((system.quarantine(), STACK.load(Relaxed)), before);
        assert!(core::ptr::eq(system.pool(context)?, pool));
    }
    assert_eq!(system.available_memory(), memory);
    Ok(())
}

/// Without memory for another life that does not begin; the supervisor is told of this as of failures, and it
/// begins when it can.
#[reflex::test(group = "scarce")]
fn without_memory_there_is_no_other_life(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let context = system
        .context_with("last life", |_: Setup<'_, ()>| {
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .memory(system.available_memory() / 4)
        .on_failure(OnFailure::Ignore)
        .backoff(SOON, SOON)
        .build()?;
    // Somebody else takes most of what is left.
    system.context("large", ()).memory(system.available_memory() - (1 << 20)).build()?;
    let stopped = fail(system, context, || panic!("once too often"))?;
    assert!((stopped.quarantined as usize) > system.available_memory());
    let memory = system.available_memory();
    for failures in 2..6 {
        system.restart(context.id())?;
        while system.stopped(context.id())?.failures != failures {}
        let stopped = system.stopped(context.id())?;
        assert_eq!(stopped.reason, Reason::Refused, "{stopped:?}");
        // A stack was taken for the life to come, once.
        assert!(memory - system.available_memory() < 64 << 10);
    }
    assert_eq!(LIVES.load(Relaxed), 1);
    Ok(())
}

/// A lock that a dead context held stays locked: that costs the contexts that wait for it their own time, and
/// no other.
#[reflex::test(group = "quarantine")]
fn a_lock_of_a_dead_context_costs_only_those_that_wait_for_it(system: System) -> Result<(), Error> {
    static LOCK: AtomicBool = AtomicBool::new(false);
    static TICKS: AtomicU32 = AtomicU32::new(0);
    let holder = system.context("holder", ()).on_failure(OnFailure::Ignore).build()?;
    let waits = system.context("waits", ()).on_failure(OnFailure::Ignore);
    let waits = waits.budget(Duration::from_millis(10)).build()?;
    let clock = system.context("clock", ()).priority(Priority::HIGH).build()?;
    let timer = system.every(Duration::from_millis(1)).on(clock, |(), tick: Tick| {
        TICKS.fetch_add(tick.count, Relaxed);
    })?;
    fail(system, holder, || {
        assert!(!LOCK.swap(true, Relaxed));
        panic!("with the lock");
    })?;
    let ticks = TICKS.load(Relaxed);
    let stopped = fail(system, waits, || while LOCK.swap(true, Relaxed) {})?;
    assert_eq!(stopped.reason, Reason::Overrun);
    // Those above have gone on meanwhile, and those below go on now.
    assert!(TICKS.load(Relaxed) > ticks);
    assert!(LOCK.load(Relaxed));
    timer.remove()?;
    Ok(())
}
