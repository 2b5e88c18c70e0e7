//! Event memory: what lies in it, and what happens when it is used up (A-3.4.1, A-3.5.4, C-3).

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::{Accumulation, Error, EventError, Kernel, Lent, Registration, SignalMode, System};

/// The state, the handlers and what they capture lie in their context's pool, and nowhere else.
#[reflex::test]
fn everything_of_a_context_lies_in_its_pool(system: System) -> Result<(), Error> {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let kernel = system.kernel();
    let one = system.context("one", [1u8; 100]).build()?;
    let other = system.context("other", [2u8; 100]).build()?;
    let (own, foreign) = (kernel.pool(one.handle())?, kernel.pool(other.handle())?);
    let captured = [3u8; 100];
    let signal = system.signal(SignalMode::Counter).on(one, move |state: &mut [u8; 100], _| {
        let boxed = own.alloc([4u8; 100]).expect("room");
        for (place, value) in
            [state.as_ptr(), captured.as_ptr(), boxed.as_ptr()].iter().zip([1, 3, 4])
        {
            assert!(own.contains(*place) && !foreign.contains(*place), "{place:?}");
            SEEN.fetch_add(value, Relaxed);
        }
    })?;
    signal.fire()?;
    assert_eq!(SEEN.load(Relaxed), 8);
    Ok(())
}

/// Firing, timers, boxes and handlers make no call of the global heap.
#[reflex::test]
fn activations_and_boxes_make_no_heap_call(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = system.kernel();
    struct Owner {
        boxes: [Option<Lent<[u8; 64]>>; 4],
    }
    let owner = Owner { boxes: [const { None }; 4] };
    let context = system.context("owner", owner).build()?;
    let pool = kernel.pool(context.handle())?;
    let signal =
        system.signal(SignalMode::Semaphore).on(context, move |owner: &mut Owner, _| {
            let run = RUNS.fetch_add(1, Relaxed) as usize;
            owner.boxes[run % 4] = pool.alloc([run as u8; 64]).ok();
            assert!(owner.boxes[run % 4].is_some());
        })?;
    let timer = system.timer().on(context, |_: &mut Owner, _| {
        RUNS.fetch_add(1, Relaxed);
    })?;
    signal.fire()?;
    let before = system.heap();
    for _ in 0..10_000 {
        signal.fire()?;
    }
    timer.every(core::time::Duration::from_micros(50))?;
    let runs = RUNS.load(Relaxed);
    while RUNS.load(Relaxed) < runs + 20 {
        core::hint::spin_loop();
    }
    timer.stop()?;
    assert_eq!(system.heap(), before);
    Ok(())
}

/// A context whose memory is used up is told so precisely, has lost nothing, and goes on as soon
/// as something is given back. Others never notice.
#[reflex::test]
fn exhausted_memory_is_a_precise_error(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = system.kernel();
    let small = system.context("small", ()).memory(4 << 10).build()?;
    let registration = Registration { accumulation: Accumulation::Each, ..Registration::default() };
    let captured = [0u8; 100];
    let register = || {
        kernel.register(small.handle(), registration, move |(), _| {
            RUNS.fetch_add(1 + u32::from(captured[0]), Relaxed);
        })
    };
    let mut events = Vec::new();
    let refused = loop {
        match register() {
            Ok(event) => events.push(event),
            Err(error) => break error,
        }
        assert!(events.len() < 1_000, "a limit that is none");
    };
    assert_eq!(refused, EventError::OutOfMemory);
    assert!(!events.is_empty());
    // All that was registered works.
    events.iter().for_each(|event| kernel.activate(*event, 1).expect("registered"));
    assert_eq!(RUNS.load(Relaxed), events.len() as u32);
    // Another context has memory of its own.
    system.signal(SignalMode::Counter).on(system.context("other", ()).build()?, |(), _| {})?;
    // What is given back can be had again, any number of times.
    for _ in 0..100 {
        kernel.unregister(events.pop().expect("one at least"))?;
        events.push(register()?);
        assert_eq!(register(), Err(EventError::OutOfMemory));
    }
    Ok(())
}

/// A context that asks for more than the machine has is refused; the machine goes on.
#[reflex::test]
fn a_context_larger_than_the_machine_is_refused(system: System) -> Result<(), Error> {
    let refused = system.context("huge", ()).memory(1 << 40).build();
    assert_eq!(refused.err(), Some(Error::Event(EventError::OutOfMemory)));
    let refused = system.context("deep", ()).stack(1 << 40).build();
    assert_eq!(refused.err(), Some(Error::Event(EventError::OutOfMemory)));
    system.context("fits", ()).build()?;
    Ok(())
}
