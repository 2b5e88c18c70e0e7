//! Priority inheritance with real stacks.

use crate::trace::Trace;
use reflex::{Error, Priority, Signal, SignalMode, System};

static TRACE: Trace = Trace::new();

fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

struct Owner {
    middle: Option<Signal>,
}

struct Middle {
    high: Option<Signal>,
}

/// L is preempted by M; H's event needs L's context. L goes on before M does and H runs before M
/// ends, so H's latency does not depend on M's length.
#[reflex::test]
fn a_high_event_for_a_preempted_context_does_not_wait_for_the_middle(
    system: System,
) -> Result<(), Error> {
    let owner = system.context("owner", Owner { middle: None }).build()?;
    let between = system.context("between", Middle { high: None }).build()?;
    let high = system
        .signal(SignalMode::Semaphore)
        .priority(level(30))
        .on(owner, |_: &mut Owner, _| TRACE.note('H'))?;
    let middle = system.signal(SignalMode::Semaphore).priority(level(20)).on(
        between,
        move |state: &mut Middle, _| {
            TRACE.note('m');
            state.high = Some(high);
            // Preempts this handler, for the sake of the one it preempted.
            high.fire().expect("registered");
            TRACE.note('M');
        },
    )?;
    let low = system.signal(SignalMode::Semaphore).priority(level(10)).on(
        owner,
        move |state: &mut Owner, _| {
            TRACE.note('l');
            state.middle = Some(middle);
            middle.fire().expect("registered");
            TRACE.note('L');
        },
    )?;
    low.fire()?;
    TRACE.expect("lmLHM");
    Ok(())
}
