//! What taking an event from a completion ring costs (K-4).

use crate::figure::{Report, once};
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Error, Registration, System};

/// Events of one batch.
const BATCH: usize = 16;

/// Takes every figure with `events` others registered.
pub(crate) fn all(system: System, report: &Report, events: usize) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let ring = system.completions::<64>("ring")?;
    let registered: Result<alloc::vec::Vec<_>, _> =
        (0..BATCH).map(|_| ring.register(Registration::default())).collect();
    let registered = registered?;
    let mut batch = [None; BATCH];
    report.measure("ring-activate", events, || {
        let times = once(|| kernel.activate(registered[0], 1));
        ring.take(&mut batch);
        times
    });
    report.measure("ring-take", events, || {
        kernel.activate(registered[0], 1).expect("registered");
        once(|| ring.take(&mut batch[..1]))
    });
    // An event's part of a full batch.
    report.measure("ring-take-batch", events, || {
        for event in &registered {
            kernel.activate(*event, 1).expect("registered");
        }
        let (start, end) = once(|| assert_eq!(ring.take(&mut batch), BATCH));
        (0, (end - start) / BATCH as u64)
    });
    for event in registered {
        kernel.unregister(event)?;
    }
    Ok(())
}
