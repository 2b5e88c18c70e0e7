//! What control of a registration costs.

use crate::figure::{Report, once};
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{DisabledPolicy, Error, Priority, Registration, System};

/// Takes every figure with `events` others registered.
pub(crate) fn all(system: System, report: &Report, events: usize) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let context = system.context("control", ()).build()?.handle();
    let event = kernel.register(context, Registration::default(), |(), _| {})?;
    report.measure("control-look-up", events, || once(|| kernel.look_up(event)));
    report.measure("control-disable-enable", events, || {
        once(|| kernel.disable(event, DisabledPolicy::Keep).and_then(|()| kernel.enable(event)))
    });
    report.measure("control-clean", events, || once(|| kernel.clean(event)));
    // While an activation is pending, which moves.
    let low = Registration { priority: Priority::LOWEST, ..Registration::default() };
    let pending = kernel.register(context, low, |(), _| {})?;
    kernel.disable(pending, DisabledPolicy::Keep)?;
    kernel.activate(pending, 1)?;
    let mut level = 0;
    report.measure("control-set-priority", events, || {
        level ^= 1;
        let priority = Priority::new(level).expect("below 64");
        once(|| kernel.set_priority(pending, priority))
    });
    kernel.filter(event, |count| count == 0)?;
    // The whole activation of an occurrence that the filter holds back.
    report.measure("control-filter", events, || once(|| kernel.activate(event, 1)));
    kernel.unregister(event)?;
    Ok(kernel.unregister(pending)?)
}
