//! Dispatch: the processor goes to the best context, on that context's own stack.

use crate::bound::Handler;
use crate::guard::Rescue;
use crate::local::Later;
use crate::section::{self, DISPATCH};
use crate::{extras, idle, job, registry};
use core::ptr::NonNull;
use reflex_arch::clock;
use reflex_arch::context::{self, Entry};
use reflex_event::{
    Activation, ContextId, ContextIndex, Core, Error, EventId, Finished, Next, Outcome, Start,
};

/// Where a context's stack is.
#[derive(Clone, Copy)]
pub(crate) struct Stack {
    /// Where it was left when the context was preempted.
    pub(crate) saved: usize,
    /// Its upper end.
    pub(crate) top: usize,
    /// How many calls are open on it that are not to be cut off: see [`crate::guard`].
    pub(crate) guards: u32,
    /// Values on it that outlive it.
    pub(crate) rescues: Option<NonNull<Rescue>>,
}

impl Stack {
    /// No stack.
    pub(crate) const NONE: Self = Self { saved: 0, top: 0, guards: 0, rescues: None };
}

/// The event system's state, made first of all. Reached only in a section.
pub(crate) static CORE: Later<Core<Handler, Stack>> = Later::new();

/// Remembers a preemption that a call has made due which does not say so.
pub(crate) fn note_if_due(core: &Core<Handler, Stack>) {
    if core.preemption_due() {
        section::post(DISPATCH);
    }
}

/// Time, as the core counts it.
#[inline(always)]
pub(crate) fn timestamp() -> u64 {
    clock::tsc()
}

/// Remembers a preemption that has become due, until the outermost section ends.
#[inline(always)]
pub(crate) fn note(outcome: Outcome) {
    if outcome == Outcome::Preempt {
        section::post(DISPATCH);
    }
}

/// Activates `event`; a handler that is due at once is started on the spot.
#[inline(always)]
pub(crate) fn activate(event: EventId, count: u32) -> Result<(), Error> {
    if section::deferred() {
        return activate_deferred(event, count);
    }
    section::hold();
    let result = activate_held(event, count);
    section::leave();
    result
}

/// Activates `event` in the outermost section, which stays open.
#[inline(always)]
pub(crate) fn activate_held(event: EventId, count: u32) -> Result<(), Error> {
    // SAFETY: in a section, and the borrow ends before anything else runs.
    match unsafe { CORE.get() }.start_at_once(event, count) {
        Some(Start { from, to, handler, activation }) => {
            let words =
                [handler.into_word(), activation.event.into_word(), u64::from(activation.count)];
            begin_on(from, to.place(), perform, words);
            Ok(())
        }
        None => activate_queued(event, count),
    }
}

/// Activates `event`, whose handler cannot be begun on the spot, in the outermost section; and
/// goes to whoever has become the best to run by that.
#[inline(never)]
fn activate_queued(event: EventId, count: u32) -> Result<(), Error> {
    // SAFETY: in a section, and the borrow ends before anything else runs.
    let core = unsafe { CORE.get() };
    match core.activate(event, count, timestamp)? {
        Outcome::Continue => {}
        Outcome::Preempt => {
            let from = core.running();
            if let Some(next) = core.preempt() {
                leave_for(from, next);
            }
        }
        Outcome::Watched => {
            if let Some(event) = extras::occurred(event, count)? {
                return activate_held(event, 1);
            }
        }
    }
    Ok(())
}

/// Activates `event` in a section; its handler runs when that ends, at the earliest.
#[inline(never)]
pub(crate) fn activate_deferred(event: EventId, count: u32) -> Result<(), Error> {
    // SAFETY: in a section, and the borrow ends with the statement.
    let outcome = unsafe { CORE.get() }.activate(event, count, timestamp)?;
    if outcome == Outcome::Watched {
        return match extras::occurred(event, count)? {
            Some(event) => activate_deferred(event, 1),
            None => Ok(()),
        };
    }
    note(outcome);
    Ok(())
}

/// Serves the first of what waits, `bits` included: lets a context run that beats the present one,
/// and returns when the present one is the best again; or runs one job. The caller holds the
/// outermost section, gives it up and comes again for the rest: so nobody waits for more than one.
#[inline(never)]
pub(crate) fn service(bits: u64) {
    let waiting = bits | section::take_pending();
    if waiting & DISPATCH == 0 {
        let turn = job::turn(waiting);
        if waiting != turn {
            section::post(waiting & !turn);
        }
        return job::run(turn);
    }
    if waiting != DISPATCH {
        section::post(waiting & !DISPATCH);
    }
    // SAFETY: in a section, and the borrow ends before anything else runs.
    let core = unsafe { CORE.get() };
    let from = core.running();
    if let Some(next) = core.preempt() {
        leave_for(from, next);
    }
}

/// Suspends `from` and goes to `next`. Returns when `from` is gone back to; never, when there
/// was no context to suspend.
#[inline(always)]
fn leave_for(from: Option<ContextId>, next: Next) {
    let Some(from) = from else { go_to(next) };
    match next {
        Next::Start(to) => begin_on(Some(from), to, perform, begin()),
        Next::Resume(to) => {
            // SAFETY: in a section, and the borrow ends with what is taken from it.
            let core = unsafe { CORE.get() };
            let target = core.machine(to).saved;
            let save: *mut usize = &raw mut core.machine(from).saved;
            // SAFETY: `save` is the place of the present context, and contexts do not move; a
            // preempted context was left by `switch` or `start`, and the core names it once.
            unsafe { context::switch(save, target) }
        }
        Next::Idle => {}
    }
}

/// Suspends `from`, the present context, which the core has taken from the processor, and goes to
/// `next`. Returns when `from` is gone back to. The caller holds the outermost section.
pub(crate) fn block(from: ContextId, next: Next) {
    if next == Next::Idle {
        // SAFETY: in a section, and the borrow ends with what is taken from it.
        let save: *mut usize = &raw mut unsafe { CORE.get() }.machine(from).saved;
        // SAFETY: `save` is the place of the present context, and contexts do not move; the idle
        // stack is not in use while a context is, and its bottom does not return.
        unsafe { context::start(save, registry::idle_stack_top(), idle::bottom, [0; 3]) }
    } else {
        leave_for(Some(from), next);
    }
}

/// Suspends `from`, if there is one, and begins on the empty stack of `to`.
#[inline(always)]
fn begin_on(from: Option<ContextId>, to: ContextIndex, entry: Entry, words: [u64; 3]) {
    // SAFETY: in a section, and the borrow ends with what is taken from it.
    let core = unsafe { CORE.get() };
    let top = core.machine(to).top;
    match from {
        Some(from) => {
            let save: *mut usize = &raw mut core.machine(from).saved;
            // SAFETY: `save` is the place of the present context, and contexts do not move; the
            // stack of `to` is its own and empty, since it was idle; entries do not return.
            unsafe { context::start(save, top, entry, words) }
        }
        // SAFETY: as above; the present stack is the idle one, which nobody goes back to.
        None => unsafe { context::restart(top, entry, words) },
    }
}

/// Goes to `next`, dropping the present stack.
#[inline(always)]
pub(crate) fn go_to(next: Next) -> ! {
    // SAFETY: in a section, and the borrow ends with what is taken from it.
    let core = unsafe { CORE.get() };
    match next {
        Next::Start(to) => start_anew(to),
        // SAFETY: the present stack is not needed any more; a preempted context was left by `switch`
        // or `start`.
        Next::Resume(to) => unsafe { context::resume(core.machine(to).saved) },
        Next::Idle => idle::enter(),
    }
}

/// Begins on the empty stack of `to`, dropping the present one. Apart, because the compiler would
/// save registers for it where nothing is begun.
#[inline(never)]
fn start_anew(to: ContextIndex) -> ! {
    // SAFETY: in a section, and the borrow ends with what is taken from it.
    let top = unsafe { CORE.get() }.machine(to).top;
    // SAFETY: the present stack is the idle one, or that of a context whose handler is done.
    unsafe { context::restart(top, perform, begin()) }
}

/// Takes the first activation of the context that is to run on its empty stack: the words for
/// [`perform`]. The caller holds the outermost section.
#[inline(always)]
fn begin() -> [u64; 3] {
    // SAFETY: in a section, and the borrow ends in this statement.
    let (handler, Activation { event, count }) = unsafe { CORE.get() }.begin(timestamp);
    [handler.into_word(), event.into_word(), u64::from(count)]
}

/// The bottom of a context's stack: one activation, from the end of the section in which it was
/// begun. In assembly, because a compiler saves registers for a caller that does not exist.
///
/// # Safety
/// The caller holds the outermost section and has no more use for the stack; `handler` is a
/// word of the handler that the core has begun for the running context, with `event` and `count`
/// what it is to be told.
#[unsafe(naked)]
unsafe extern "C" fn perform(handler: u64, event: u64, count: u64) -> ! {
    core::arch::naked_asm!(
        // Three words and a fourth keep the stack aligned for a call.
        ".if {measured}",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rax",
        "call {until}",
        "pop rax",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        ".endif",
        "mov dword ptr [rip + {depth}], 0",
        "cmp qword ptr [rip + {pending}], 0",
        "jne 3f",
        "2:",
        "call qword ptr [rdi]",
        "call {finished}",
        "3:",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rax",
        "call {service}",
        "pop rax",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "jmp 2b",
        measured = const cfg!(feature = "measure") as u32,
        until = sym deferred_until,
        depth = sym section::DEPTH,
        pending = sym section::PENDING,
        service = sym service_before,
        finished = sym finished,
    )
}

extern "C" fn deferred_until() {
    crate::measure::deferred_until();
}

extern "C" fn service_before() {
    section::service();
}

/// A handler has returned.
extern "C" fn finished() -> ! {
    section::hold();
    // SAFETY: in a section; the borrow ends in this statement.
    match unsafe { CORE.get() }.finish() {
        Finished::Next(next) => go_to(next),
        Finished::Release(handler) => release(handler),
    }
}

/// A handler has returned that was unregistered meanwhile. Dropping what it has captured may
/// call the kernel, so that comes before the choice of who runs next.
#[cold]
#[inline(never)]
fn release(handler: Handler) -> ! {
    // SAFETY: in a section; the borrow ends in this statement.
    let context = unsafe { CORE.get() }.running();
    if let Some(Ok((pool, _))) = context.map(registry::parts) {
        // SAFETY: the core gave it back: it has returned and is never called again.
        unsafe { handler.release(pool) };
    }
    // SAFETY: in a section; the borrow ends in this statement.
    go_to(unsafe { CORE.get() }.leave())
}
