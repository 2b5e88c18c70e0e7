//! Figures that are taken in `main`, which every handler preempts.

use crate::figure::{Report, once};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::bench::{entered_at, raise, timestamp};
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Activation, Error, Job, Priority, Registration, SignalMode, System, Vector,
};

/// The counter at the first instruction of the probe's handler.
static ENTERED: AtomicU64 = AtomicU64::new(0);

fn probe(_: &mut (), _: Activation) {
    ENTERED.store(timestamp(), Relaxed);
}

/// Takes every figure with `events` others registered.
pub(crate) fn all(system: System, report: &Report, events: usize) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let context = system.context("probe", ()).memory(16 << 10).build()?;
    let registration = Registration::default();
    let probed = kernel.register(context.handle(), registration, probe)?;

    report.measure("activation-to-handler", events, || {
        let start = timestamp();
        kernel.activate(probed, 1).expect("registered");
        (start, ENTERED.load(Relaxed))
    });
    report.measure("activation-and-back", events, || once(|| kernel.activate(probed, 1)));

    let job = Job::new(move || {
        let _ = kernel.activate(probed, 1);
    })?;
    let (direct, by_job) = (Vector::reserve()?, Vector::reserve()?);
    direct.activate(probed, None);
    by_job.post(job, None);
    let interrupts = [
        ("interrupt-to-handler-preempting", direct),
        ("interrupt-by-job-to-handler-preempting", by_job),
    ];
    for (case, vector) in interrupts {
        report.measure(case, events, || {
            ENTERED.store(0, Relaxed);
            raise(vector);
            while ENTERED.load(Relaxed) == 0 {
                spin_loop();
            }
            (entered_at(), ENTERED.load(Relaxed))
        });
    }

    let mut last = probed;
    report.measure("register", events, || {
        once(|| last = kernel.register(context.handle(), registration, probe).expect("room"))
    });
    // The table has chunks: the median is an ordinary registration's.
    report.measure("unregister", events, || {
        let event = kernel.register(context.handle(), registration, probe).expect("room");
        once(|| kernel.unregister(event))
    });
    kernel.unregister(last)?;

    let low = Registration { priority: Priority::LOWEST, accumulation: Accumulation::Count };
    let pending = kernel.register(context.handle(), low, probe)?;
    report.measure("activate", events, || {
        let mut times = (0, 0);
        // Deferred, so that what is measured is the activation alone.
        system.section(|| times = once(|| kernel.activate(pending, 1)));
        // `main` has the same priority, so it waits; removing it takes it back.
        times
    });
    kernel.unregister(pending)?;

    let timer = kernel.timer(probed)?;
    let far = system.now() + Duration::from_secs(3_600);
    kernel.arm(timer, far, None)?;
    report.measure("timer-arm", events, || once(|| kernel.arm(timer, far, None)));
    report.measure("timer-disarm", events, || {
        kernel.arm(timer, far, None).expect("reserved");
        once(|| kernel.disarm(timer))
    });
    report.measure("timer-interrupt-to-handler", events, || {
        ENTERED.store(0, Relaxed);
        kernel.arm(timer, system.now() + Duration::from_micros(20), None).expect("reserved");
        while ENTERED.load(Relaxed) == 0 {
            spin_loop();
        }
        (entered_at(), ENTERED.load(Relaxed))
    });
    kernel.release(timer)?;

    let pool = system.pool(context)?;
    report.measure("pool-allocate", events, || {
        let mut taken = None;
        let times = once(|| taken = pool.alloc([0_u64; 4]).ok());
        drop(taken);
        times
    });
    report.measure("pool-free", events, || {
        let taken = pool.alloc([0_u64; 4]).expect("room");
        once(|| drop(taken))
    });
    let signal = system.signal(SignalMode::Semaphore).on(context, |(), _| {
        ENTERED.store(timestamp(), Relaxed);
    })?;
    report.measure("signal-to-handler", events, || {
        let start = timestamp();
        signal.fire().expect("registered");
        (start, ENTERED.load(Relaxed))
    });
    Ok(())
}
