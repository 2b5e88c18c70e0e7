//! Everything at once, with counts that have to balance: nothing is lost and nothing is made up
//! (A-3.5.1, A-3.6.1, N-2).

use alloc::boxed::Box;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::bench::raise;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Acknowledge, Error, Fired, Job, Priority, Registration, Signal, SignalMode, System, Tick,
    Vector,
};

/// 20 kHz.
const PERIOD: Duration = Duration::from_micros(50);
const TICKS: u32 = 20_000;

/// What was brought about, and what handlers were told.
struct Balance {
    made: AtomicU32,
    told: AtomicU32,
}

impl Balance {
    const fn new() -> Self {
        Self { made: AtomicU32::new(0), told: AtomicU32::new(0) }
    }

    fn make(&self, signal: Signal) {
        self.made.fetch_add(1, Relaxed);
        signal.fire().expect("registered");
    }

    fn tell(&self, count: u32) {
        self.told.fetch_add(count, Relaxed);
    }

    fn check(&self, what: &str, at_least: u32) {
        let (made, told) = (self.made.load(Relaxed), self.told.load(Relaxed));
        assert_eq!(made, told, "{what}: made, and told");
        assert!(made >= at_least, "{what}: only {made}");
    }
}

/// A signal that counts what it is told, and then fires the next.
fn link(
    system: System,
    name: &'static str,
    priority: u8,
    mode: SignalMode,
    balance: &'static Balance,
    next: Option<(&'static Balance, Signal)>,
) -> Result<Signal, Error> {
    let priority = Priority::new(priority).expect("below 64");
    // Its own context's state counts as well: were two handlers in it at once, it would show.
    let context = system.context(name, 0u64).priority(priority).build()?;
    system.signal(mode).on(context, move |inside: &mut u64, fired: Fired| {
        assert_eq!(*inside, 0, "two handlers in one context");
        *inside = 1;
        balance.tell(fired.count);
        if let Some((balance, signal)) = next {
            balance.make(signal);
        }
        black_box(&inside);
        *inside = 0;
    })
}

/// Fires in interrupt context.
struct InInterrupt(&'static Balance, Signal);

impl Acknowledge for InInterrupt {
    fn acknowledge(&mut self) -> bool {
        self.0.make(self.1);
        true
    }
}

/// A timer at 20 kHz over a `main` that computes. Each tick fires a chain of signals, upward and
/// downward in priority, in both modes, nested in each other, and raises interrupts that fire
/// further ones from interrupt context.
#[reflex::test(group = "icount")]
fn a_storm_of_timers_signals_and_interrupts_balances(system: System) -> Result<(), Error> {
    static UP: Balance = Balance::new();
    static DOWN: Balance = Balance::new();
    static SIDE: Balance = Balance::new();
    static INTERRUPT: Balance = Balance::new();
    static DIRECT: Balance = Balance::new();
    static TICKED: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let down = link(system, "down", 5, SignalMode::Counter, &DOWN, None)?;
    let up = link(system, "up", 60, SignalMode::Semaphore, &UP, Some((&DOWN, down)))?;
    let side = link(system, "side", 20, SignalMode::Semaphore, &SIDE, Some((&UP, up)))?;
    let outside =
        link(system, "outside", 30, SignalMode::Counter, &INTERRUPT, Some((&DOWN, down)))?;
    let firing = Vector::reserve()?;
    let job = Job::new(|| {})?;
    firing.post(job, Some(Box::leak(Box::new(InInterrupt(&INTERRUPT, outside)))));
    let direct = Vector::reserve()?;
    let context = system.context("direct", ()).build()?;
    let event = kernel.register(context.handle(), Registration::default(), |(), activation| {
        DIRECT.tell(activation.count);
    })?;
    direct.activate(event, None);

    let clock = system.context("clock", 0u32).priority(Priority::HIGH).build()?;
    let timer = system.every(PERIOD).on(clock, move |ticks: &mut u32, tick: Tick| {
        *ticks += tick.count;
        TICKED.store(*ticks, Relaxed);
        SIDE.make(side);
        SIDE.make(side);
        UP.make(up);
        raise(firing);
        if ticks.is_multiple_of(3) {
            DIRECT.made.fetch_add(1, Relaxed);
            raise(direct);
        }
    })?;
    let mut sum = 0u64;
    while TICKED.load(Relaxed) < TICKS {
        sum = black_box(sum.wrapping_mul(31).wrapping_add(7));
    }
    timer.remove()?;
    // Everything pending is of higher priority than `main`; a last interrupt may be on its way.
    let start = system.now();
    while system.now().since(start) < PERIOD {}
    SIDE.check("signals below the timer", TICKS);
    UP.check("signals above the timer", TICKS);
    DOWN.check("signals below everything", TICKS);
    INTERRUPT.check("signals fired in interrupts", TICKS / 2);
    DIRECT.check("interrupts that are events", TICKS / 10);
    Ok(())
}

/// The same timers in every run: under counted instructions a period is never missed.
#[reflex::test(group = "icount")]
fn twenty_kilohertz_lose_no_tick(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let context = system.context("ticking", ()).priority(Priority::HIGH).build()?;
    let start = system.now();
    let timer = system.every(PERIOD).on(context, |(), tick: Tick| {
        TOLD.fetch_add(tick.count, Relaxed);
        RUNS.fetch_add(1, Relaxed);
    })?;
    while RUNS.load(Relaxed) < TICKS {}
    timer.remove()?;
    let elapsed = system.now().since(start);
    let told = TOLD.load(Relaxed);
    let periods = (elapsed.as_nanos() / PERIOD.as_nanos()) as u32;
    assert!(told <= periods, "{told} ticks in {periods} periods");
    assert!(told + 1 >= periods, "{told} ticks in {periods} periods");
    assert_eq!(told, RUNS.load(Relaxed), "every tick is a run of its own");
    Ok(())
}
