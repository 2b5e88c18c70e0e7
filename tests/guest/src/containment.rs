//! Containment: what fails in a context ends that context, gives back what it had, and is told
//! (A-3.5.2, K-7). A fault that is not contained ends the image, and with it these tests.

mod leavings;

use crate::faults::{Fault, spin};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::kind::Source;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Cloner, Context, Error, EventError, OnFailure, PoolBox, Priority, Reason, Registration, Setup,
    SignalMode, Stopped, System, Tick, Trouble, Verdict,
};

pub(crate) const SOON: Duration = Duration::from_millis(1);
const BUDGET: Duration = Duration::from_millis(20);

/// Spins, in `main`, until `done`.
pub(crate) fn until(done: impl Fn() -> bool) {
    while !done() {
        spin_loop();
    }
}

/// Has a handler at `context`'s priority do `wrong`; when this returns it has failed and all is
/// cleaned up, as `main` is below everybody.
pub(crate) fn fail<S: 'static>(
    system: System,
    context: Context<S>,
    wrong: impl Fn() + Send + 'static,
) -> Result<Stopped, Error> {
    let registration = Registration { priority: context.priority(), ..Registration::default() };
    let kernel = raw::kernel(system);
    let event = kernel.register(context.handle(), registration, move |_: &mut S, _| wrong())?;
    kernel.activate(event, 1)?;
    assert_eq!(kernel.activate(event, 1), Err(EventError::Stale));
    system.stopped(context.id())
}

/// Every way of failing, one life after the other, while another context's timer goes on and a
/// lower one's computation is not disturbed.
#[reflex::test(group = "failures")]
fn every_failure_ends_its_context_alone(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    static TICKS: AtomicU32 = AtomicU32::new(0);
    static WRONG: AtomicU32 = AtomicU32::new(0);
    let culprit = system
        .context_with("culprit", |_: Setup<'_, u32>| Ok::<_, Error>(LIVES.fetch_add(1, Relaxed)))
        .backoff(SOON, SOON)
        .budget(BUDGET)
        .build()?;
    let clock = system.context("clock", 0_u64).priority(Priority::HIGH).build()?;
    let timer =
        system.every(Duration::from_micros(300)).on(clock, |state: &mut u64, tick: Tick| {
            *state += u64::from(tick.count);
            TICKS.fetch_add(tick.count, Relaxed);
        })?;
    assert_eq!(LIVES.load(Relaxed), 1);
    for (life, fault) in Fault::ALL.into_iter().chain(Fault::ALL).enumerate() {
        let ticks = TICKS.load(Relaxed);
        let state = system.signal(SignalMode::Counter).on(culprit, move |state: &mut u32, _| {
            WRONG.fetch_add((*state != life as u32).into(), Relaxed);
        })?;
        state.fire()?;
        let stopped = fail(system, culprit, move || fault.commit(system))?;
        let expected = match fault {
            Fault::Panic | Fault::DivideByZero => stopped.reason == Reason::Panic,
            Fault::Overflow | Fault::OverflowInKernel => stopped.reason == Reason::StackOverflow,
            Fault::Spin => stopped.reason == Reason::Overrun,
            _ => matches!(stopped.reason, Reason::Exception { .. }),
        };
        assert!(expected, "{fault:?}: {stopped:?}");
        if fault == Fault::Panic {
            assert!(stopped.text.as_str().contains("told to panic"), "{stopped:?}");
            assert!(stopped.text.as_str().contains("faults.rs:"), "{stopped:?}");
        }
        assert_eq!((stopped.name, stopped.failures), ("culprit", life as u32 + 1));
        until(|| LIVES.load(Relaxed) == life as u32 + 2);
        until(|| TICKS.load(Relaxed) > ticks);
    }
    timer.remove()?;
    assert_eq!(WRONG.load(Relaxed), 0);
    Ok(())
}

/// While interrupts come at 20 kHz, stacks overflow anywhere: in interrupts and jobs too.
#[reflex::test(group = "failures")]
fn stacks_overflow_under_a_storm_of_interrupts(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let culprit = system
        .context_with("deep", |_: Setup<'_, ()>| {
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .stack(4 << 10)
        .backoff(SOON, SOON)
        .build()?;
    let storm = system.context("storm", ()).priority(Priority::HIGH).build()?;
    let timer = system.every(Duration::from_micros(50)).on(storm, |(), _| {})?;
    for life in 1..=100 {
        let fault = if life % 2 == 0 { Fault::Overflow } else { Fault::OverflowInKernel };
        let stopped = fail(system, culprit, move || fault.commit(system))?;
        assert_eq!(stopped.reason, Reason::StackOverflow);
        until(|| LIVES.load(Relaxed) == life + 1);
    }
    timer.remove()?;
    Ok(())
}

/// What a failed context had of its own comes back; what it had lent stays out until it is given
/// back, and is then whole again.
#[reflex::test(group = "failures")]
fn its_own_boxes_come_back_and_lent_ones_are_waited_for(system: System) -> Result<(), Error> {
    struct Owner {
        boxes: Vec<PoolBox<[u8; 256]>>,
        /// Shows that the state need not be `Send`.
        bytes: PoolBox<[u8]>,
    }
    let builder = system
        .context_with("owner", |setup: Setup<'_, Owner>| {
            let own = setup.own();
            let boxes = (0..32).map(|n| own.alloc([n; 256]).map_err(|_| "full"));
            let boxes = boxes.collect::<Result<_, _>>()?;
            let bytes = own.bytes(3_000).map_err(|_| "full")?;
            Ok::<_, &str>(Owner { boxes, bytes })
        })
        .on_failure(OnFailure::Ignore);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    let context = builder.after_failure(unsafe { reflex::Reuse::at_once() }).build()?;
    let pool = system.pool(context)?;
    let lent = pool.alloc([7_u8; 500]).map_err(|_| "full")?;
    assert!(pool.stats().allocated > 32 * 256 + 3_000 + 500);
    let use_them =
        system.signal(SignalMode::Counter).on(context, move |owner: &mut Owner, _| {
            let used = system.own(|own| {
                let sum: u32 = owner.boxes.iter().map(|boxed| u32::from(boxed.get(own)[255])).sum();
                owner.bytes.get_mut(own)[2_999] = 1;
                sum + u32::from(owner.bytes.get(own)[2_999])
            });
            assert_eq!(used, Ok(31 * 32 / 2 + 1));
            panic!("with all boxes in hand");
        })?;
    use_them.fire()?;
    assert_eq!(system.stopped(context.id())?.reason, Reason::Panic);
    let stats = pool.stats();
    assert_eq!((stats.blocks, stats.lent_blocks, stats.allocated), (1, 1, 512));
    assert_eq!(*lent, [7; 500]);
    drop(lent);
    let stats = pool.stats();
    assert_eq!((stats.blocks, stats.allocated, stats.largest_free.is_power_of_two()), (0, 0, true));
    Ok(())
}

/// Two hundred failures, each with boxes, timers and handlers, and nothing is used up.
#[reflex::test(group = "failures")]
fn two_hundred_failures_leak_nothing(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let builder = system
        .context_with("phoenix", move |setup: Setup<'_, Vec<PoolBox<u64>>>| {
            for _ in 0..8 {
                system.every(Duration::from_secs(1)).on(setup.context(), |_, _| {})?;
            }
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>((0..16).filter_map(|n| setup.own().alloc(n).ok()).collect())
        })
        .backoff(SOON, SOON)
        .budget(BUDGET);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    let context = builder.after_failure(unsafe { reflex::Reuse::at_once() }).build()?;
    let pool = system.pool(context)?;
    let mut before = None;
    for life in 1..=200 {
        // An overrun takes longer than the others; now and then will do.
        let fault = Fault::ALL[if life % 20 == 0 { 8 } else { life as usize % 8 }];
        fail(system, context, move || fault.commit(system))?;
        until(|| LIVES.load(Relaxed) == life + 1);
        let heap = system.heap();
        let now = (
            // What the heap has grown by, to make up for what was lost, is not gone.
            system.available_memory() + heap.size,
            system.registered(),
            heap.used as u64 - heap.lost,
            pool.stats().allocated,
            pool.stats().blocks,
        );
        // The first lives may grow tables.
        if life == 10 {
            before = Some(now);
        }
        if life > 10 {
            assert_eq!(Some(now), before, "life {life}");
        }
    }
    assert_eq!(system.stopped(context.id())?.failures, 200);
    Ok(())
}

/// A thousand registrations, each with a timer under way, end with their context.
#[reflex::test(group = "failures")]
fn a_thousand_registrations_end_with_their_context(system: System) -> Result<(), Error> {
    static TICKS: AtomicU32 = AtomicU32::new(0);
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    struct Captured;
    impl Drop for Captured {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }
    let registered = system.registered();
    let builder = system
        .context_with("crowd", move |setup: Setup<'_, ()>| {
            for _ in 0..1_000 {
                let captured = Captured;
                system.every(Duration::from_millis(20)).on(setup.context(), move |(), tick| {
                    let _ = &captured;
                    TICKS.fetch_add(tick.count, Relaxed);
                })?;
            }
            Ok::<_, Error>(())
        })
        .memory(1 << 20)
        .on_failure(OnFailure::Ignore);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    let context = builder.after_failure(unsafe { reflex::Reuse::at_once() }).build()?;
    until(|| TICKS.load(Relaxed) >= 1_000);
    fail(system, context, || panic!("a crowd"))?;
    // The supervisor may be one of those that are new.
    assert!(system.registered() <= registered + 2);
    assert_eq!(DROPPED.load(Relaxed), 1_000);
    let pool = system.pool(context)?;
    assert_eq!(pool.stats().blocks, 0);
    let ticks = TICKS.load(Relaxed);
    system.sleep(Duration::from_millis(50))?;
    assert_eq!(TICKS.load(Relaxed), ticks);
    Ok(())
}

/// A constructor that panics is a failure like any other, and is tried again less and less often.
#[reflex::test(group = "failures")]
fn a_constructor_that_fails_is_tried_again_with_back_off(system: System) -> Result<(), Error> {
    static TRIES: AtomicU32 = AtomicU32::new(0);
    static AT: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];
    let context = system
        .context_with("stubborn", move |_: Setup<'_, ()>| {
            let number = TRIES.fetch_add(1, Relaxed);
            if let Some(at) = AT.get(number as usize) {
                at.store(system.now().as_nanos(), Relaxed);
            }
            match number {
                0 | 2 => panic!("not yet"),
                1 | 3 | 4 => Err("not now"),
                _ => Ok(()),
            }
        })
        // The longest wait is out of reach: a longer life would begin the count anew.
        .backoff(Duration::from_millis(4), Duration::from_secs(5))
        .build()?;
    let mut told = [false; 5];
    while TRIES.load(Relaxed) < 6 {
        let stopped = system.stopped(context.id())?;
        let expected = match stopped.failures {
            1 | 3 => stopped.reason == Reason::Panic && stopped.text.as_str().ends_with("not yet"),
            _ => stopped.reason == Reason::Refused && stopped.text.as_str() == "not now",
        };
        assert!(expected, "{stopped:?}");
        told[stopped.failures as usize - 1] = true;
    }
    assert!(told.iter().any(|told| *told));
    let at: Vec<u64> = AT.iter().map(|at| at.load(Relaxed)).collect();
    let waits: Vec<u64> = at.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
    // Never earlier; how much later is the machine's affair.
    assert!(waits.iter().zip([4, 8, 16, 32, 64]).all(|(wait, least)| *wait >= least), "{waits:?}");
    fail(system, context, || panic!("after all"))?;
    Ok(())
}

/// A supervisor is told what has failed and why, and its word is done.
#[reflex::test(group = "failures")]
fn a_supervisor_decides(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static TROUBLE: AtomicU32 = AtomicU32::new(0);
    static QUARANTINED: AtomicU32 = AtomicU32::new(0);
    let worker = system
        .context_with("worker", |_: Setup<'_, ()>| {
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .on_failure(OnFailure::Ignore)
        .backoff(SOON, SOON)
        .build()?;
    let supervisor = system.context("supervising", ()).build()?;
    system.on_trouble(supervisor, |(), trouble, count| {
        match trouble {
            Trouble::HandlerStopped => TROUBLE.fetch_add(count, Relaxed),
            Trouble::MemoryQuarantined => QUARANTINED.fetch_add(count, Relaxed),
            other => panic!("{other:?}"),
        };
    })?;
    system.supervise(worker.id(), supervisor, move |(), stopped| {
        assert_eq!((stopped.context, stopped.name), (worker.id(), "worker"));
        assert_eq!(stopped.reason, Reason::Panic);
        assert_eq!(stopped.failures, TOLD.fetch_add(1, Relaxed) + 1);
        if stopped.failures < 3 { Verdict::Restart } else { Verdict::Ignore }
    })?;
    for life in 1..=2 {
        fail(system, worker, || panic!("again"))?;
        until(|| LIVES.load(Relaxed) == life + 1);
        assert_eq!(TOLD.load(Relaxed), life);
    }
    fail(system, worker, || panic!("for the last time"))?;
    until(|| TOLD.load(Relaxed) == 3);
    system.sleep(Duration::from_millis(10))?;
    assert_eq!(LIVES.load(Relaxed), 3);
    assert_eq!((TROUBLE.load(Relaxed), QUARANTINED.load(Relaxed)), (3, 3));
    // While it is down, nobody registers with it.
    let refused = system.signal(SignalMode::Counter).on(worker, |(), _| {}).err();
    assert_eq!(refused, Some(Error::Event(EventError::Busy)));
    system.restart(worker.id())?;
    until(|| LIVES.load(Relaxed) == 4);
    assert_eq!(system.restart(worker.id()), Err(Error::Event(EventError::Busy)));
    Ok(())
}

/// When the supervisor fails too, while it is being told, it is told again in its next life.
#[reflex::test(group = "failures")]
fn a_supervisor_that_fails_is_told_again(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let worker = system
        .context_with("worker", |_: Setup<'_, ()>| {
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .on_failure(OnFailure::Ignore)
        .backoff(SOON, SOON)
        .build()?;
    system
        .context_with("supervising", move |setup: Setup<'_, ()>| {
            system
                .supervise(worker.id(), setup.context(), |(), _| {
                    assert_ne!(TOLD.fetch_add(1, Relaxed), 0, "fails the first time");
                    Verdict::Restart
                })?
                .set_priority(Priority::HIGH)?;
            Ok::<_, Error>(())
        })
        .backoff(SOON, SOON)
        .build()?;
    fail(system, worker, || panic!("the worker"))?;
    until(|| LIVES.load(Relaxed) == 2);
    assert_eq!(TOLD.load(Relaxed), 2);
    Ok(())
}

/// A failing handler has preempted others: they go on. A preempted one is given up: it does not,
/// and what waited behind it does.
#[reflex::test(group = "failures")]
fn those_that_were_preempted_go_on(system: System) -> Result<(), Error> {
    use crate::trace::Trace;
    static TRACE: Trace = Trace::new();
    let contained = |name, priority| {
        system.context(name, ()).priority(priority).on_failure(OnFailure::Ignore).build()
    };
    let low = contained("low", Priority::LOW)?;
    let middle = contained("middle", Priority::DEFAULT)?;
    let high = contained("high", Priority::HIGH)?;
    let other = system.context("other", ()).priority(Priority::DEFAULT).build()?;
    let behind = system.signal(SignalMode::Counter).on(other, |(), _| TRACE.note('o'))?;
    let crash = system.signal(SignalMode::Counter).on(high, move |(), _| {
        TRACE.note('h');
        behind.fire().expect("registered");
        system.give_up(middle.id()).expect("it can be");
        panic!("above two others");
    })?;
    let over = system.signal(SignalMode::Counter).on(middle, move |(), _| {
        TRACE.note('m');
        crash.fire().expect("registered");
        TRACE.note('!');
    })?;
    let start = system.signal(SignalMode::Counter).on(low, move |(), _| {
        TRACE.note('l');
        over.fire().expect("registered");
        TRACE.note('L');
    })?;
    start.fire()?;
    TRACE.expect("lmhoL");
    assert_eq!(system.stopped(middle.id())?.reason, Reason::Requested);
    assert_eq!(system.stopped(high.id())?.reason, Reason::Panic);
    assert_eq!(system.give_up(other.id()), Err(Error::Event(EventError::NotAllowed)));
    Ok(())
}

/// A handler that waits for an event can be given up as well.
#[reflex::test(group = "failures")]
fn a_context_that_waits_is_given_up(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let patient = system
        .context_with("patient", |_: Setup<'_, ()>| {
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .backoff(SOON, SOON)
        .budget(BUDGET)
        .build()?;
    for life in 1..=3 {
        let signal = system.signal(SignalMode::Counter).on(patient, move |(), _| {
            // Longer than its budget, which only what it does counts for.
            system.sleep(BUDGET * 2).expect("it may wait");
            let waiter = system.waiter().expect("room");
            let _ = waiter.wait();
        })?;
        signal.fire()?;
        system.sleep(BUDGET * 3)?;
        assert_eq!(LIVES.load(Relaxed), life);
        system.give_up(patient.id())?;
        until(|| LIVES.load(Relaxed) == life + 1);
        assert_eq!(system.stopped(patient.id())?.reason, Reason::Requested);
    }
    Ok(())
}

/// Spins for so long, not counting when the machine itself stood still.
fn work(system: System, time: Duration) {
    let (mut spent, mut before) = (Duration::ZERO, system.now());
    while spent < time {
        let now = system.now();
        spent += (now - before).min(Duration::from_micros(100));
        before = now;
    }
}

/// What a handler is preempted for is not its own time, and a guarded call is waited out.
#[reflex::test(group = "failures")]
fn a_budget_counts_what_the_handler_itself_takes(system: System) -> Result<(), Error> {
    static ENDED: AtomicBool = AtomicBool::new(false);
    static GUARDED: AtomicBool = AtomicBool::new(false);
    static AFTER: AtomicBool = AtomicBool::new(false);
    let limited = system
        .context("limited", ())
        .priority(Priority::LOW)
        .budget(BUDGET)
        .on_failure(OnFailure::Ignore)
        .build()?;
    let high = system.context("high", ()).priority(Priority::HIGH).build()?;
    let long = system.signal(SignalMode::Counter).on(high, move |(), _| {
        let end = system.now() + BUDGET * 3;
        until(|| system.now() >= end);
    })?;
    let preempted = system.signal(SignalMode::Counter).on(limited, move |(), _| {
        long.fire().expect("registered");
        ENDED.store(true, Relaxed);
    })?;
    preempted.fire()?;
    assert!(ENDED.load(Relaxed));
    let guarded = system.signal(SignalMode::Counter).on(limited, move |(), _| {
        raw::kernel(system).guarded(|| {
            work(system, BUDGET * 3);
            GUARDED.store(true, Relaxed);
        });
        AFTER.store(true, Relaxed);
    })?;
    guarded.fire()?;
    assert!(GUARDED.load(Relaxed) && !AFTER.load(Relaxed));
    assert_eq!(system.stopped(limited.id())?.reason, Reason::Overrun);
    Ok(())
}

/// A filter that panics or faults is the failure of its owner, whatever has activated the event: a
/// higher handler, an interrupt, `main`; they go on, and so does a filter that is asked meanwhile.
#[reflex::test(group = "failures")]
fn a_filter_that_fails_ends_its_owner_alone(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static BEHIND: AtomicU32 = AtomicU32::new(0);
    const FAULTS: [Fault; 5] = [
        Fault::Panic,
        Fault::DivideByZero,
        Fault::DivideError,
        Fault::ReadNull,
        Fault::InvalidOpcode,
    ];
    let kernel = raw::kernel(system);
    let builder = system
        .context_with("picky", |_: Setup<'_, u32>| Ok::<_, Error>(LIVES.fetch_add(1, Relaxed)))
        .on_failure(OnFailure::Ignore)
        .backoff(SOON, SOON);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    let owner = builder.after_failure(unsafe { reflex::Reuse::at_once() }).build()?;
    let pool = system.pool(owner)?;
    let above = system.context("above", ()).priority(Priority::HIGHEST).build()?;
    let other = system.context("other", ()).build()?;
    let asks = kernel.register(other.handle(), Registration::default(), |(), _| {
        TOLD.fetch_add(1, Relaxed);
    })?;
    let mut blocks = None;
    for (life, fault) in (1..).zip(FAULTS.into_iter().cycle().take(20)) {
        until(|| LIVES.load(Relaxed) == life);
        let now = pool.stats().blocks;
        assert_eq!(*blocks.get_or_insert(now), now, "in life {life}");
        let registration = Registration::default();
        let event = kernel.register(owner.handle(), registration, |_: &mut u32, _| {
            unreachable!("the filter has failed")
        })?;
        // Another filter is asked on the way, which lets its event pass.
        kernel.filter(asks, |_| true)?;
        let captured = [life; 8];
        kernel.filter(event, move |_| {
            kernel.activate(asks, 1).expect("registered");
            assert_eq!(captured, [life; 8]);
            fault.commit(system)
        })?;
        match life % 3 {
            0 => kernel.activate(event, 1)?,
            1 => {
                let timer = kernel.timer(event)?;
                kernel.arm(timer, system.now() + SOON, None)?;
            }
            _ => {
                let signal = system.signal(SignalMode::Counter).on(above, move |(), _| {
                    kernel.activate(event, 1).expect("registered");
                    BEHIND.fetch_add(1, Relaxed);
                })?;
                signal.fire()?;
                signal.registration().unregister()?;
            }
        }
        until(|| system.stopped(owner.id()).is_ok_and(|stopped| stopped.failures == life));
        let stopped = system.stopped(owner.id())?;
        assert_eq!(
            matches!(stopped.reason, Reason::Panic),
            fault == Fault::Panic || fault == Fault::DivideByZero
        );
        assert_eq!(kernel.activate(event, 1), Err(EventError::Stale));
        assert_eq!(TOLD.load(Relaxed), life);
        system.restart(owner.id())?;
    }
    assert_eq!(BEHIND.load(Relaxed), 7);
    // The filter of typed data likewise.
    until(|| LIVES.load(Relaxed) == 21);
    let source: Source<u32> = system.source()?;
    system.subscribe(source.clone()).filter(|data| *data / (*data - 7) > 0).on(
        owner,
        |_: &mut u32, _| {
            TOLD.fetch_add(1_000, Relaxed);
        },
    )?;
    assert_eq!(source.deliver(8), Ok(()));
    until(|| TOLD.load(Relaxed) == 1_020);
    assert_eq!(source.deliver(7), Ok(()));
    until(|| system.stopped(owner.id()).is_ok_and(|stopped| stopped.failures == 21));
    assert_eq!(source.registrations(), 0);
    Ok(())
}
