//! The places of signals that are fired where nothing may be activated: how they are found, and how they
//! are fired.

use crate::cpu;
use crate::cpu::line::PendingSignal;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::section;
use crate::dispatch::{send, vector};
use alloc::boxed::Box;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};
use reflex_event::EventId;

/// No event's word: generations are odd.
const NOTHING: u64 = 0;

/// The place of an event that cannot be: of that name there is none either.
static NOBODYS: PendingSignal = PendingSignal {
    event: AtomicU64::new(u64::MAX),
    fired: AtomicU32::new(0),
    next: AtomicPtr::new(null_mut()),
    older: None,
};

impl PendingSignal {
    /// A place for `event`: one that has outlived its own event, or a new one. A cold path.
    ///
    /// Before there are more than twice as many as were in use when it was last looked, all are looked
    /// at, a short section each. So there never are many more than twice the events at a time, and as
    /// many have been given out since the last look as there are to be looked at, or half as many.
    pub(crate) fn of(event: EventId) -> &'static Self {
        loop {
            let (found, full) = section(|cs| {
                cpu::this().pending_signals.with(cs, |signals| {
                    let Some(signal) = signals.free else { return (None, signals.is_full()) };
                    signals.free = signal.behind();
                    signal.event.store(event.into_word(), Relaxed);
                    (Some(signal), false)
                })
            });
            match found {
                Some(signal) => return signal,
                None if full => sweep(),
                None => return Self::make(event),
            }
        }
    }

    /// The place that `event` has already, or one for it. In time in proportion to the places.
    pub(crate) fn again(event: EventId) -> &'static Self {
        if event.into_word() == NOTHING {
            // That is what the free places are of: a name that was made up is to have none of them.
            return &NOBODYS;
        }
        let mut at = newest();
        while let Some(signal) = at {
            if signal.event() == event {
                return signal;
            }
            at = signal.older;
        }
        Self::of(event)
    }

    fn make(event: EventId) -> &'static Self {
        let signal: &'static mut Self = Box::leak(Box::new(Self {
            event: AtomicU64::new(event.into_word()),
            fired: AtomicU32::new(0),
            next: AtomicPtr::new(null_mut()),
            older: None,
        }));
        section(|cs| {
            cpu::this().pending_signals.with(cs, |signals| {
                signals.made += 1;
                signal.older = signals.newest;
                let signal: &'static Self = signal;
                signals.newest = Some(signal);
                signal
            })
        })
    }

    /// The one behind it in its list.
    pub(crate) fn behind(&self) -> Option<&'static Self> {
        signal(self.next.load(Relaxed))
    }

    /// The event that is activated; when there is none, none that is ever registered.
    #[inline(always)]
    pub(crate) fn event(&self) -> EventId {
        EventId::from_word(self.event.load(Relaxed))
    }
}

/// The pending signal that was made last.
fn newest() -> Option<&'static PendingSignal> {
    section(|cs| cpu::this().pending_signals.with(cs, |signals| signals.newest))
}

/// A pending signal, or the end of a list, as a link says it.
pub(crate) fn address(signal: Option<&'static PendingSignal>) -> *mut PendingSignal {
    signal.map_or(null_mut(), |signal| core::ptr::from_ref(signal).cast_mut())
}

/// The pending signal that a link says.
pub(crate) fn signal(address: *mut PendingSignal) -> Option<&'static PendingSignal> {
    // SAFETY: links are made by `address`, of pending signals, which live for ever.
    unsafe { address.as_ref() }
}

/// Takes back the pending signals of events that have ended.
fn sweep() {
    let mut used = 0;
    let mut at = newest();
    while let Some(signal) = at {
        section(|cs| {
            let word = signal.event.load(Relaxed);
            if word == NOTHING {
                return;
            }
            let event = EventId::from_word(word);
            // Whether one of another core's has ended is not known here: it is taken not to have.
            let live = send::is_elsewhere(event.core())
                || with_core(cs, |core| core.look_up(event)).is_ok();
            if live {
                used += 1;
                return;
            }
            // First, so that no interrupt fires it from here on; unless one has already.
            signal.event.store(NOTHING, Relaxed);
            if signal.fired.load(Relaxed) != 0 {
                signal.event.store(word, Relaxed);
                used += 1;
                return;
            }
            cpu::this().pending_signals.with(cs, |signals| {
                signal.next.store(address(signals.free), Relaxed);
                signals.free = Some(signal);
            });
        });
        at = signal.older;
    }
    section(|cs| cpu::this().pending_signals.with(cs, |signals| signals.used = used));
}

/// Counts a firing of `event`, unless that has ended and `signal` is another's. Interrupts are masked,
/// so nothing comes between the steps.
pub(crate) fn fire(signal: &'static PendingSignal, event: EventId) {
    if signal.event() == event {
        count(signal, 1);
        cpu::this().interrupt_queue.get().post();
    }
}

/// Keeps firings that another core has no room for, until it has, or the next interrupt has it asked.
#[cold]
#[inline(never)]
pub(crate) fn keep(signal: &'static PendingSignal, firings: u32) {
    vector::masked(|_| count(signal, firings));
}

/// Adds to a signal's count. Interrupts are masked, so nothing comes between the steps.
fn count(signal: &'static PendingSignal, firings: u32) {
    let fired = signal.fired.load(Relaxed);
    signal.fired.store(fired.saturating_add(firings), Relaxed);
    if fired == 0 {
        signal.next.store(cpu::this().newest.load(Relaxed), Relaxed);
        cpu::this().newest.store(address(Some(signal)), Relaxed);
    }
}
