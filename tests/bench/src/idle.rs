//! Figures that need an idle machine: `main` has returned, and the processor halts between an
//! interrupt and the next.

use crate::figure::{Report, SAMPLES};
use alloc::vec::Vec;
use core::time::Duration;
use reflex::bench::{entered_at, mask_until_halt, raise, timestamp};
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Activation, Error, EventId, Registration, System, Tick, Vector};

struct Idle {
    system: System,
    report: Report,
    interrupt: Vec<u64>,
    timer: Vec<u64>,
}

/// Starts taking the idle figures; the last one ends the image.
pub(crate) fn begin(system: System, report: Report) -> Result<(), Error> {
    let state = Idle {
        system,
        report,
        interrupt: Vec::with_capacity(SAMPLES),
        timer: Vec::with_capacity(SAMPLES),
    };
    let kernel = raw::kernel(system);
    let context = system.context("idle", state).build()?;
    let event: EventId = kernel.register(
        context.handle(),
        Registration::default(),
        |idle: &mut Idle, _: Activation| {
            let now = timestamp();
            idle.interrupt.push(now - entered_at());
        },
    )?;
    let vector = Vector::reserve()?;
    vector.activate(event, None);
    system.every(Duration::from_micros(500)).on(context, move |idle: &mut Idle, _: Tick| {
        let now = timestamp();
        idle.timer.push(now - entered_at());
        if idle.timer.len() >= SAMPLES {
            idle.finish();
        }
        mask_until_halt();
        raise(vector);
    })?;
    Ok(())
}

impl Idle {
    fn finish(&self) -> ! {
        self.report.samples("interrupt-to-handler-idle", 0, &self.interrupt);
        self.report.samples("timer-interrupt-to-handler-idle", 0, &self.timer);
        self.report.sections();
        self.system.exit(0)
    }
}
