//! Keyed timers: many deadlines of one registration (PE-5, PE-25).

use crate::containment::{SOON, until};
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::supervise::Setup;
use reflex::{DeadlineRefused, Error, Instant, KeyedTimers, Priority, System};

/// Sixteen thousand deadlines are set, moved and cancelled by a context of another priority while they expire: each
/// that stays is told once, with its payload, and not too early. One costs at most 64 bytes, and none a heap call.
#[reflex::test(group = "timers")]
fn sixteen_thousand_deadlines_of_one_registration(system: System) -> Result<(), Error> {
    const DEADLINES: u64 = 16_000;
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static WRONG: AtomicU32 = AtomicU32::new(0);
    let context = system.context("owner", vec![0_u8; DEADLINES as usize / 2]).build()?;
    let (before, registered) = (system.heap(), system.registered());
    let timers: KeyedTimers<u64> =
        system.timers(DEADLINES as usize).on(context, move |told: &mut Vec<u8>, key, due| {
            let early = system.now() < Instant::from_nanos(due);
            // Odd keys were cancelled.
            let again = core::mem::replace(&mut told[key as usize / 2], 1) == 1;
            WRONG.fetch_add(u32::from(early || again || key % 2 == 1), Relaxed);
            TOLD.fetch_add(1, Relaxed);
        })?;
    let taken = system.heap().used - before.used;
    assert!(taken <= 64 * DEADLINES as usize, "{taken} bytes");
    assert_eq!(system.registered() - registered, 1);
    let calls = system.heap().allocations;
    let now = system.now();
    for key in 0..DEADLINES {
        let far = now + Duration::from_secs(3_600 + key);
        assert_eq!(timers.set(key, far, 0), Ok(None));
    }
    assert_eq!(timers.set(DEADLINES, now, 0), Err(DeadlineRefused::Full));
    for key in (1..DEADLINES).step_by(2) {
        assert_eq!(timers.cancel(key), Ok(0));
    }
    // Those that stay are due while others are set: some have passed, some are to come.
    for key in (0..DEADLINES).step_by(2) {
        let due = system.now() + Duration::from_micros(key * 7_919 % 3_000);
        assert_eq!(timers.set(key, due, due.as_nanos()), Ok(Some(0)));
    }
    until(|| u64::from(TOLD.load(Relaxed)) == DEADLINES / 2);
    assert_eq!((WRONG.load(Relaxed), timers.len()), (0, 0));
    assert_eq!(system.heap().allocations, calls);
    Ok(())
}

/// A handler that fails in the middle of its deadlines takes them along; its next life has its own, and handles of
/// the former say that they have ended.
#[reflex::test(group = "timers")]
fn deadlines_end_with_the_life_of_their_context(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static LIVES: AtomicU32 = AtomicU32::new(0);
    system
        .context_with("owner", move |setup: Setup<'_, KeyedTimers<u32>>| {
            let timers = system.timers(4).on(setup.context(), |timers, key, payload| {
                TOLD.fetch_add(1, Relaxed);
                let timers: &mut KeyedTimers<u32> = timers;
                assert!(payload != 3 && timers.len() == 1, "with {key} in hand");
            })?;
            // The second of them fails.
            let now = system.now();
            if LIVES.fetch_add(1, Relaxed) < 5 {
                timers.set(1, now, 1).and(timers.set(2, now + SOON, 3)).map_err(|_| "no room")?;
            }
            Ok::<_, Error>(timers)
        })
        .priority(Priority::LOW)
        .backoff(SOON, SOON)
        .build()?;
    until(|| LIVES.load(Relaxed) == 6);
    assert_eq!(TOLD.load(Relaxed), 2 * 5);
    // Handles that others have of them say so.
    let other = system.context_with("other", |_: Setup<'_, ()>| Ok::<_, Error>(())).build()?;
    let timers: KeyedTimers<u32> = system.timers(1).on(other, |(), _, _| {})?;
    assert_eq!(timers.set(9, system.now() + SOON, 9), Ok(None));
    system.give_up(other.id())?;
    assert_eq!(timers.set(9, system.now(), 9), Err(DeadlineRefused::Ended));
    assert_eq!(timers.move_to(9, system.now()), Err(DeadlineRefused::Ended));
    Ok(())
}
