//! The places of signals that are fired where nothing may be activated: how they are found, and how they
//! are fired.

use crate::cpu;
use crate::cpu::line::Slot;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::section;
use alloc::boxed::Box;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};
use reflex_event::EventId;

/// No event's word: generations are odd.
const NOTHING: u64 = 0;

/// The place of an event that cannot be: of that name there is none either.
static NOBODYS: Slot = Slot {
    event: AtomicU64::new(u64::MAX),
    fired: AtomicU32::new(0),
    next: AtomicPtr::new(null_mut()),
    older: None,
};

impl Slot {
    /// A place for `event`: one that has outlived its own event, or a new one. A cold path.
    ///
    /// Before there are more than twice as many as were in use when it was last looked, all are looked
    /// at, a short section each. So there never are many more than twice the events at a time, and as
    /// many have been given out since the last look as there are to be looked at, or half as many.
    pub(crate) fn of(event: EventId) -> &'static Self {
        loop {
            let (found, full) = section(|cs| {
                cpu::this().slots.with(cs, |slots| {
                    let Some(slot) = slots.free else { return (None, slots.is_full()) };
                    slots.free = slot.behind();
                    slot.event.store(event.into_word(), Relaxed);
                    (Some(slot), false)
                })
            });
            match found {
                Some(slot) => return slot,
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
        while let Some(slot) = at {
            if slot.event() == event {
                return slot;
            }
            at = slot.older;
        }
        Self::of(event)
    }

    fn make(event: EventId) -> &'static Self {
        let slot: &'static mut Self = Box::leak(Box::new(Self {
            event: AtomicU64::new(event.into_word()),
            fired: AtomicU32::new(0),
            next: AtomicPtr::new(null_mut()),
            older: None,
        }));
        section(|cs| {
            cpu::this().slots.with(cs, |slots| {
                slots.made += 1;
                slot.older = slots.newest;
                let slot: &'static Self = slot;
                slots.newest = Some(slot);
                slot
            })
        })
    }

    /// The one behind it in its list.
    pub(crate) fn behind(&self) -> Option<&'static Self> {
        slot(self.next.load(Relaxed))
    }

    /// The event that is activated; when there is none, none that is ever registered.
    #[inline(always)]
    pub(crate) fn event(&self) -> EventId {
        EventId::from_word(self.event.load(Relaxed))
    }
}

/// The slot that was made last.
fn newest() -> Option<&'static Slot> {
    section(|cs| cpu::this().slots.with(cs, |slots| slots.newest))
}

/// A slot, or the end of a list, as a link says it.
pub(crate) fn address(slot: Option<&'static Slot>) -> *mut Slot {
    slot.map_or(null_mut(), |slot| core::ptr::from_ref(slot).cast_mut())
}

/// The slot that a link says.
pub(crate) fn slot(address: *mut Slot) -> Option<&'static Slot> {
    // SAFETY: links are made by `address`, of slots, which live for ever.
    unsafe { address.as_ref() }
}

/// Takes back the slots of events that have ended.
fn sweep() {
    let mut used = 0;
    let mut at = newest();
    while let Some(slot) = at {
        section(|cs| {
            let word = slot.event.load(Relaxed);
            if word == NOTHING {
                return;
            }
            let live = with_core(cs, |core| core.look_up(EventId::from_word(word))).is_ok();
            if live {
                used += 1;
                return;
            }
            // First, so that no interrupt fires it from here on; unless one has already.
            slot.event.store(NOTHING, Relaxed);
            if slot.fired.load(Relaxed) != 0 {
                slot.event.store(word, Relaxed);
                used += 1;
                return;
            }
            cpu::this().slots.with(cs, |slots| {
                slot.next.store(address(slots.free), Relaxed);
                slots.free = Some(slot);
            });
        });
        at = slot.older;
    }
    section(|cs| cpu::this().slots.with(cs, |slots| slots.used = used));
}

/// Counts a firing of `event`, unless that has ended and `slot` is another's. Interrupts are masked,
/// so nothing comes between the steps.
pub(crate) fn fire(slot: &'static Slot, event: EventId) {
    if slot.event() != event {
        return;
    }
    let fired = slot.fired.load(Relaxed);
    slot.fired.store(fired.saturating_add(1), Relaxed);
    if fired == 0 {
        slot.next.store(cpu::this().newest.load(Relaxed), Relaxed);
        cpu::this().newest.store(address(Some(slot)), Relaxed);
    }
    cpu::this().inbox.get().post();
}
