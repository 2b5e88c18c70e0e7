//! Signals fired where nothing may be activated: in interrupt context. They wait in a list
//! without bound or memory of its own, and a job activates them.

use crate::job::Job;
use crate::local::Local;
use crate::runtime::Runtime;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};
use reflex_event::{Error, EventId, Kernel};

/// A signal's place in the inbox.
pub(crate) struct Slot {
    event: EventId,
    fired: AtomicU32,
    next: AtomicPtr<Slot>,
}

impl Slot {
    pub(crate) const fn new(event: EventId) -> Self {
        Self { event, fired: AtomicU32::new(0), next: AtomicPtr::new(null_mut()) }
    }

    /// The event that is activated.
    #[inline(always)]
    pub(crate) fn event(&self) -> EventId {
        self.event
    }
}

/// The newest slot with firings to deliver.
static NEWEST: AtomicPtr<Slot> = AtomicPtr::new(null_mut());

static JOB: Local<Option<Job>> = Local::new(None);

/// Makes the job that empties the inbox.
pub(crate) fn init(kernel: Runtime) -> Result<(), Error> {
    let job = Job::new(move || drain(kernel))?;
    // SAFETY: at start-up, before any interrupt.
    unsafe { *JOB.get() = Some(job) };
    Ok(())
}

/// Counts a firing of `slot`. Interrupts are masked, so nothing comes between the steps.
pub(crate) fn fire(slot: &'static Slot) {
    let fired = slot.fired.load(Relaxed);
    slot.fired.store(fired.saturating_add(1), Relaxed);
    if fired == 0 {
        slot.next.store(NEWEST.load(Relaxed), Relaxed);
        NEWEST.store(core::ptr::from_ref(slot).cast_mut(), Relaxed);
    }
    // SAFETY: written once, at start-up.
    if let Some(job) = unsafe { *JOB.get() } {
        job.post();
    }
}

fn drain(kernel: Runtime) {
    let mut at = oldest();
    // SAFETY: slots live for ever, and the list holds nothing else.
    while let Some(slot) = unsafe { at.as_ref() } {
        // Before the count is taken: from then on an interrupt may link the slot anew.
        at = slot.next.load(Relaxed);
        let fired = slot.fired.swap(0, Relaxed);
        // A stale event has been unregistered meanwhile; an overrun leaves the most that can be
        // counted, which is what a counter's saturation means.
        let _ = kernel.activate(slot.event, fired);
    }
}

/// Takes the list, turned round: it is the order in which the signals were fired that counts.
/// Interrupts leave a slot's link alone until its count has been taken.
fn oldest() -> *mut Slot {
    let mut at = NEWEST.swap(null_mut(), Relaxed);
    let mut turned = null_mut();
    // SAFETY: slots live for ever, and the list holds nothing else.
    while let Some(slot) = unsafe { at.as_ref() } {
        let older = slot.next.load(Relaxed);
        slot.next.store(turned, Relaxed);
        turned = at;
        at = older;
    }
    turned
}
