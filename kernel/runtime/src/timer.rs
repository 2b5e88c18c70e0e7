//! Time: the clock, the timer wheel, and the one-shot interrupt that drives it.

use crate::dispatch::{CORE, note};
use crate::interrupt::Vector;
use crate::job::Job;
use crate::local::Local;
use crate::runtime::Timekeeping;
use core::num::NonZeroU64;
use core::time::Duration;
use reflex_arch::apic::LocalApic;
use reflex_arch::clock::Clock;
use reflex_event::{Error, EventId, Instant, TimerId};
use reflex_timer::{Step, TimerKey, Wheel};

/// Timers expired in one run of the job. When more are due the interrupt comes again at once,
/// and handlers of activations already made get their turn before.
const BATCH: usize = 32;

/// The time stamp counter's meaning, and the interrupt controller. Both are set at start-up and
/// only read since.
static CLOCK: Local<Clock> = Local::new(Clock::new(0, 1_000_000_000));
static APIC: Local<LocalApic> = Local::new(LocalApic::ABSENT);

/// The time stamp counter when the kernel was started.
static ORIGIN: Local<u64> = Local::new(0);

/// What the timer interrupt is for.
struct Timers {
    wheel: Wheel<EventId>,
    /// When the one-shot timer will interrupt, in nanoseconds; `u64::MAX` when it will not.
    armed: u64,
}

/// Reached only in a section.
static TIMERS: Local<Option<Timers>> = Local::new(None);

/// Starts the clock and the timer's interrupt.
pub(crate) fn init(time: Timekeeping, limit: usize) -> Result<(), Error> {
    let job = Job::new(expire)?;
    let vector = Vector::reserve()?;
    vector.post(job, None);
    let mut apic = time.apic;
    apic.start_timer(&time.features, vector.number(), time.rates.apic_hz, time.rates.tsc_hz);
    let wheel = Wheel::new(limit).map_err(refusal)?;
    // SAFETY: at start-up, before anything else runs.
    unsafe {
        *ORIGIN.get() = reflex_arch::clock::tsc();
        *CLOCK.get() = time.clock;
        *APIC.get() = apic;
        *TIMERS.get() = Some(Timers { wheel, armed: u64::MAX });
    }
    Ok(())
}

#[inline(always)]
fn clock() -> &'static Clock {
    // SAFETY: only read since start-up; nobody takes a mutable borrow.
    unsafe { &*CLOCK.as_ptr() }
}

#[inline(always)]
fn apic() -> &'static LocalApic {
    // SAFETY: as in `clock`.
    unsafe { &*APIC.as_ptr() }
}

/// Time since the machine started.
#[inline(always)]
pub(crate) fn now() -> Instant {
    Instant::from_nanos(clock().now())
}

/// Time stamp counts since the kernel was started.
pub(crate) fn counts() -> u64 {
    // SAFETY: only read since start-up.
    reflex_arch::clock::tsc() - unsafe { *ORIGIN.as_ptr() }
}

/// Tells the interrupt controller that the interrupt in service has been taken care of.
#[inline(always)]
pub(crate) fn end_of_interrupt() {
    apic().end_of_interrupt();
}

/// Raises `vector` on this processor.
#[cfg(feature = "bench")]
pub(crate) fn interrupt_self(vector: u8) {
    apic().interrupt_self(vector);
}

/// Runs `work` on the timers. The caller is in a section.
#[inline(always)]
fn with<R>(work: impl FnOnce(&mut Timers) -> R) -> R {
    // SAFETY: in a section; `work` runs nobody else.
    match unsafe { TIMERS.get() } {
        Some(timers) => work(timers),
        None => unreachable!("the kernel has not been started"),
    }
}

pub(crate) fn add(event: EventId) -> Result<TimerId, Error> {
    with(|timers| timers.wheel.insert(event).map(id).map_err(refusal))
}

pub(crate) fn arm(
    timer: TimerId,
    deadline: Instant,
    period: Option<Duration>,
) -> Result<(), Error> {
    let period = period.map(|period| {
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN)
    });
    let deadline = deadline.as_nanos();
    with(|timers| {
        timers.wheel.arm(key(timer), deadline, period).map_err(refusal)?;
        if deadline < timers.armed {
            timers.interrupt_at(deadline);
        }
        Ok(())
    })
}

pub(crate) fn disarm(timer: TimerId) -> Result<(), Error> {
    // The interrupt may come for nothing: cheaper than finding out whether it is needed.
    with(|timers| timers.wheel.disarm(key(timer)).map(drop).map_err(refusal))
}

pub(crate) fn remove(timer: TimerId) -> Result<(), Error> {
    with(|timers| timers.wheel.remove(key(timer)).map(drop).map_err(refusal))
}

impl Timers {
    fn interrupt_at(&mut self, deadline: u64) {
        self.armed = deadline;
        // The wheel fires a timer in the granule that begins at or after its deadline.
        let granule = deadline.checked_next_multiple_of(reflex_timer::GRANULARITY_NS);
        apic().arm(granule.unwrap_or(u64::MAX).saturating_sub(clock().now()));
    }
}

/// The timer interrupt's job: activates what is due, and sets the next interrupt.
fn expire() {
    with(|timers| {
        let now = clock().now();
        timers.armed = u64::MAX;
        for _ in 0..BATCH {
            match timers.wheel.expire(now) {
                Step::Fired(fired) => {
                    // SAFETY: in a section, as every job; the borrow ends in this statement. A
                    // stale event was unregistered while its timer was armed, and a full counter
                    // says as much as a counter can.
                    let activated = unsafe { CORE.get() }.activate(fired.payload, fired.count);
                    if let Ok(outcome) = activated {
                        note(outcome);
                    }
                }
                Step::Cascading => {}
                Step::Idle => {
                    if let Some(next) = timers.wheel.next_expiry() {
                        timers.interrupt_at(next);
                    }
                    return;
                }
            }
        }
        timers.interrupt_at(now);
    });
}

fn id(key: TimerKey) -> TimerId {
    TimerId { index: key.index, generation: key.generation }
}

fn key(id: TimerId) -> TimerKey {
    TimerKey { index: id.index, generation: id.generation }
}

fn refusal(error: reflex_timer::Error) -> Error {
    match error {
        reflex_timer::Error::Stale => Error::Stale,
        reflex_timer::Error::TableFull => Error::TableFull,
        reflex_timer::Error::HeapExhausted => Error::HeapExhausted,
    }
}
