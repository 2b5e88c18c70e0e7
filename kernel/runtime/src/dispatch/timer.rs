//! Time: the clock, the timer wheel, and the one-shot interrupt that drives it.

use crate::cpu;
use crate::cpu::deferral;
use crate::cpu::job::Job;
use crate::cpu::timers::{Clockwork, Due};
use crate::dispatch::section::{Section, Start, section};
use crate::dispatch::send;
use core::num::NonZeroU64;
use core::time::Duration;
use reflex_arch::apic::LocalApic;
use reflex_arch::calibration::Rates;
use reflex_arch::clock::Clock;
use reflex_arch::core_words;
use reflex_arch::cpu::Features;
use reflex_event::{Error, Instant, TimerId, first_generation};
use reflex_timer::{Chunk, GRANULARITY_NS, Step, TimerKey, Wheel};

/// What the machine has to tell time by.
#[derive(Clone, Copy, Debug)]
pub struct Timekeeping {
    /// What the processor can do.
    pub features: Features,
    /// The local interrupt controller, enabled.
    pub apic: LocalApic,
    /// The time stamp counter, calibrated.
    pub clock: Clock,
    /// The rates of both.
    pub rates: Rates,
}

/// Starts the clock. `job` expires what is due while dispatch is deferred.
pub(crate) fn init(start: &Start, time: Timekeeping, limit: usize, job: Job) -> Result<(), Error> {
    let mut apic = time.apic;
    apic.start_timer(&time.features, time.rates.apic_hz, time.rates.tsc_hz);
    let wheel = Wheel::new(limit).map_err(refusal)?;
    let clockwork = &cpu::this().clockwork;
    clockwork.origin.set(start, reflex_arch::clock::tsc());
    clockwork.clock.set(start, time.clock);
    clockwork.apic.set(start, apic);
    clockwork.alarm.forget();
    clockwork.job.set(start, job);
    clockwork.timers.set(start, wheel);
    Ok(())
}

#[inline(always)]
fn clock() -> &'static Clock {
    cpu::this().clockwork.clock.get()
}

#[inline(always)]
fn apic() -> &'static LocalApic {
    cpu::this().clockwork.apic.get()
}

/// Time since the machine started.
#[inline(always)]
pub(crate) fn now() -> Instant {
    Instant::from_nanos(clock().now())
}

/// The time when the time stamp counter was `count`.
pub(crate) fn at(count: u64) -> Instant {
    Instant::from_nanos(clock().at(count))
}

/// Time stamp counts since the kernel was started.
pub(crate) fn counts() -> u64 {
    reflex_arch::clock::tsc() - cpu::this().clockwork.origin.get()
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

/// Runs `work` on the timers.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
fn with<R>(cs: &Section, work: impl FnOnce(&mut Wheel<Due>) -> R) -> R {
    cpu::this().clockwork.timers.with(cs, work)
}

/// Runs `add` in a section in which there is room for another timer. The room is made outside of any,
/// since that takes time; others may run meanwhile, and take it.
///
/// # Errors
/// [`Error::TableFull`], [`Error::HeapExhausted`], and those of `add`.
pub(crate) fn with_room<R>(mut add: impl FnMut(&Section) -> Result<R, Error>) -> Result<R, Error> {
    loop {
        make_room()?;
        match section(&mut add) {
            Err(Error::TableFull) => {}
            done => return done,
        }
    }
}

#[cold]
fn make_room() -> Result<(), Error> {
    while section(|cs| with(cs, |wheel| wheel.needs_chunk())).map_err(refusal)? {
        let filler = Due::Event(0);
        let first = first_generation(core_words::number());
        let chunk = Chunk::named(filler, first).map_err(refusal)?;
        // Given back when the wheel has all it may have; it is dropped outside of the section.
        let _unneeded = section(|cs| with(cs, |wheel| wheel.supply(chunk)));
    }
    Ok(())
}

/// Makes a timer, for which there is room: see [`with_room`].
pub(crate) fn add(cs: &Section, due: Due) -> Result<TimerId, Error> {
    with(cs, |wheel| wheel.insert(due).map(id).map_err(refusal))
}

pub(crate) fn exists(cs: &Section, timer: TimerId) -> bool {
    with(cs, |wheel| wheel.contains(key(timer)))
}

pub(crate) fn arm(
    cs: &Section,
    timer: TimerId,
    deadline: Instant,
    period: Option<Duration>,
) -> Result<(), Error> {
    let period = period.map(|period| {
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN)
    });
    let deadline = deadline.as_nanos();
    let Clockwork { timers, alarm, apic, clock, .. } = cpu::clockwork();
    let due = timers.with(cs, |wheel| wheel.arm(key(timer), deadline, period));
    let due = due.map_err(|error| refused(timer, error))?;
    if alarm.is_after(due) {
        alarm.set_earlier(apic.get(), due, clock.get().now());
    }
    Ok(())
}

pub(crate) fn disarm(cs: &Section, timer: TimerId) -> Result<(), Error> {
    // The interrupt may come for nothing: cheaper than finding out whether it is needed.
    with(cs, |wheel| wheel.disarm(key(timer)).map(drop)).map_err(|error| refused(timer, error))
}

pub(crate) fn remove(cs: &Section, timer: TimerId) -> Result<(), Error> {
    with(cs, |wheel| wheel.remove(key(timer)).map(drop)).map_err(|error| refused(timer, error))
}

/// Expires the only timer there is, if that is due at `now` and not periodic: what it leads to. `None` says
/// nothing; [`step`] does.
#[inline(always)]
pub(crate) fn step_only(cs: &Section, now: Instant) -> Option<Due> {
    let due = cpu::this().clockwork.timers.borrow(cs).expire_only(now.as_nanos())?;
    cpu::this().clockwork.alarm.forget();
    Some(due)
}

/// Expires the first timer that is due at `now`, and sets the next interrupt; when more are due, the job is
/// posted. Returns what the timer leads to, and how often it has been due.
#[inline]
pub(crate) fn step(cs: &Section, now: Instant) -> Option<(Due, u32)> {
    let mut wheel = cpu::this().clockwork.timers.borrow(cs);
    let now = now.as_nanos();
    let alarm = &cpu::this().clockwork.alarm;
    alarm.forget();
    let (step, next) = wheel.expire_and_next(now);
    // Of the rest nothing is kept.
    let fired = match step {
        Step::Fired(fired) => Some((fired.payload, fired.count)),
        Step::Cascading | Step::Idle => None,
    };
    match next {
        Some(next) if next <= now / GRANULARITY_NS => cpu::this().clockwork.job.get().post(),
        Some(next) => alarm.set(apic(), next, now),
        None => {}
    }
    fired
}

/// Takes the job back if it was posted and nothing else was: the caller is then to expire in
/// its stead.
pub(crate) fn take_pending() -> bool {
    deferral::take_only(cpu::this().clockwork.job.get().bits())
}

/// The timer's interrupt has come while dispatch is deferred.
#[inline(always)]
pub(crate) fn has_come() {
    cpu::this().clockwork.job.get().post();
    cpu::this().clockwork.alarm.forget();
}

/// Has the timer's interrupt come within so many nanoseconds. It may come for nothing.
#[inline(always)]
pub(crate) fn come_within(nanos: u64) {
    cpu::this().clockwork.alarm.come_within(apic(), clock(), nanos);
}

/// Has the timer's interrupt, which has come while dispatch is deferred, come again so many nanoseconds
/// after `now`. Interrupts are masked.
pub(crate) fn come_again(nanos: u64, now: u64) {
    cpu::this().clockwork.alarm.set_within(apic(), nanos, now);
}

fn id(key: TimerKey) -> TimerId {
    TimerId { index: key.index, generation: key.generation }
}

fn key(id: TimerId) -> TimerKey {
    TimerKey { index: id.index, generation: id.generation }
}

/// Why a timer is refused: one of another core's is set and given back there.
#[cold]
fn refused(timer: TimerId, error: reflex_timer::Error) -> Error {
    if send::is_elsewhere(timer.core()) { Error::OtherCore } else { refusal(error) }
}

fn refusal(error: reflex_timer::Error) -> Error {
    match error {
        reflex_timer::Error::Stale => Error::Stale,
        reflex_timer::Error::TableFull => Error::TableFull,
        reflex_timer::Error::HeapExhausted => Error::HeapExhausted,
    }
}
