//! What an activation and a timer cost does not depend on how many events there are.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Activation, Error, Priority, Registration, System};

/// Registrations, and as many armed timers: a few, beside which a timer is not the only one, and many more.
const FEW: u64 = 10;
const CROWD: u64 = 20_000;

/// In guest instructions: from an activation to its handler, and for arming and disarming a timer.
#[reflex::test(group = "icount")]
fn costs_do_not_grow_with_the_number_of_events(system: System) -> Result<(), Error> {
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("measured", ()).priority(Priority::HIGH).build()?;
    let registration = Registration { priority: Priority::HIGH, ..Registration::default() };
    let event = kernel.register(context.handle(), registration, |(), _: Activation| {
        BEGUN.store(reflex::bench::timestamp(), Relaxed);
    })?;
    let timer = kernel.timer(event)?;
    let measure = || {
        let (mut to_handler, mut arming) = (u64::MAX, u64::MAX);
        for _ in 0..50 {
            let before = reflex::bench::timestamp();
            kernel.activate(event, 1)?;
            to_handler = to_handler.min(BEGUN.load(Relaxed) - before);
            let before = reflex::bench::timestamp();
            kernel.arm(timer, system.now() + Duration::from_secs(3_600), None)?;
            kernel.disarm(timer)?;
            arming = arming.min(reflex::bench::timestamp() - before);
        }
        Ok::<_, Error>((to_handler, arming))
    };
    let memory = CROWD as usize * 256;
    let crowd = system.context("crowd", ()).memory(memory).build()?;
    let grow = |numbers: Range<u64>| {
        for number in numbers {
            let one =
                kernel.register(crowd.handle(), Registration::default(), |(), _: Activation| {})?;
            let due = system.now() + Duration::from_secs(1_000) + Duration::from_millis(number);
            kernel.arm(kernel.timer(one)?, due, None)?;
        }
        Ok::<_, Error>(())
    };
    grow(0..FEW)?;
    let few = measure()?;
    grow(FEW..CROWD)?;
    let many = measure()?;
    reflex::log::info!("to the handler, arming: {few:?} with few, {many:?} with {CROWD} more");
    // Where an index is in its word, say, may cost an instruction.
    let flat = |few: u64, many: u64| many.abs_diff(few) <= few / 20;
    assert!(flat(few.0, many.0) && flat(few.1, many.1), "{few:?} {many:?}");
    Ok(())
}
