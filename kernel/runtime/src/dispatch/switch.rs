//! Switching: the processor goes to the best context, on that context's own stack.

use crate::cpu;
use crate::cpu::borrow::assert_not_borrowed;
use crate::cpu::deferral::{self, DISPATCH, Free, Outermost, Section};
use crate::cpu::handler::Handler;
use crate::cpu::stack::IdleStack;
use crate::dispatch::event_core::{borrow_core, running, timestamp, with_core};
use crate::dispatch::{jobs, pending};
use reflex_arch::context::{self, Entry};
use reflex_arch::core_words;
use reflex_event::{Activation, ContextId, ContextIndex, Finished, Next};

/// Serves the first of what waits, `bits` included: lets a context run that beats the present one,
/// and returns when the present one is the best again; or runs one job. The caller gives the
/// section up and comes again for the rest: so nobody waits for more than one.
#[inline(never)]
pub(crate) fn service(outermost: &mut Outermost, bits: u64) {
    let waiting = bits | deferral::take_pending();
    if waiting & DISPATCH == 0 {
        let turn = jobs::turn(outermost, waiting);
        if waiting != turn {
            pending::post(waiting & !turn);
        }
        return jobs::run(outermost, turn);
    }
    if waiting != DISPATCH {
        pending::post(waiting & !DISPATCH);
    }
    preempt_apart(outermost);
}

/// [`preempt`], where a job is as likely: that needs none of the registers that this saves.
#[inline(never)]
fn preempt_apart(outermost: &mut Outermost) {
    preempt(outermost);
}

/// Lets a context run that beats the present one, if there is one. Returns when the present one is
/// the best again.
#[inline(always)]
pub(crate) fn preempt(outermost: &mut Outermost) {
    let from = running(outermost);
    let next = borrow_core(outermost).preempt();
    if let Some(next) = next {
        leave_for(outermost, from, next);
    }
}

/// Suspends `from` and goes to `next`. Returns when `from` is gone back to; never, when there
/// was no context to suspend.
#[inline(always)]
fn leave_for(outermost: &mut Outermost, from: Option<ContextId>, next: Next) {
    let Some(from) = from else { go_to(outermost, next) };
    match next {
        Next::Start(to) => {
            let words = begin(outermost);
            let top = top(outermost, to);
            suspend(outermost, from, To::Empty(top, perform, words));
        }
        Next::Resume(to) => {
            let left = left(outermost, to);
            suspend(outermost, from, left);
        }
        Next::Idle => {}
    }
}

/// Suspends `from`, the present context, which the core has taken from the processor, and goes to
/// `next`. Returns when `from` is gone back to.
#[inline(always)]
pub(crate) fn block(outermost: &mut Outermost, from: ContextId, next: Next) {
    if next == Next::Idle {
        suspend(outermost, from, idle());
    } else {
        leave_for(outermost, Some(from), next);
    }
}

/// Suspends `from`, if there is one, and begins on the empty stack of `to`.
#[inline(always)]
pub(crate) fn begin_on(
    outermost: &mut Outermost,
    from: Option<ContextId>,
    to: ContextIndex,
    words: [u64; 3],
) {
    let to = To::Empty(top(outermost, to), perform, words);
    match from {
        Some(from) => suspend(outermost, from, to),
        None => leave_stack(outermost, to),
    }
}

/// Suspends `from`, if there is one, and has `to` go on where its stack was left.
#[inline(always)]
pub(crate) fn go_on(outermost: &mut Outermost, from: Option<ContextId>, to: ContextIndex) {
    let to = left(outermost, to);
    match from {
        Some(from) => suspend(outermost, from, to),
        None => leave_stack(outermost, to),
    }
}

/// Goes to `next`, dropping the present stack.
#[inline(always)]
pub(crate) fn go_to(outermost: &mut Outermost, next: Next) -> ! {
    match next {
        Next::Start(to) => start_anew(outermost, to),
        Next::Resume(to) => {
            let left = left(outermost, to);
            leave_stack(outermost, left)
        }
        Next::Idle => leave_stack(outermost, idle()),
    }
}

/// Begins on the empty stack of `to`, dropping the present one. Apart, because the compiler would
/// save registers for it where nothing is begun.
#[inline(never)]
fn start_anew(outermost: &mut Outermost, to: ContextIndex) -> ! {
    let top = top(outermost, to);
    let words = begin(outermost);
    leave_stack(outermost, To::Empty(top, perform, words))
}

/// A stack that the processor goes to. Made of what the core has named to be run next, and of the
/// idle stack.
pub(crate) enum To {
    /// One that was left there.
    Left(usize),
    /// An empty one: its upper end, and what is entered there with which words.
    Empty(usize, Entry, [u64; 3]),
}

/// The idle stack, on which nothing is ever gone back to.
pub(crate) fn idle() -> To {
    let IdleStack { top, entry } = *cpu::this().idle_stack.get();
    To::Empty(top, entry, [0; 3])
}

/// Where the stack of a preempted context was left.
#[inline(always)]
fn left(cs: &Section, context: ContextIndex) -> To {
    To::Left(borrow_core(cs).machine(context).saved)
}

/// The upper end of a context's stack.
#[inline(always)]
fn top(cs: &Section, context: ContextIndex) -> usize {
    borrow_core(cs).machine(context).top
}

/// Suspends `from`, the present context, and goes to a stack. Returns when `from` is gone back to.
#[inline(always)]
fn suspend(outermost: &mut Outermost, from: ContextId, to: To) {
    let save = &raw mut borrow_core(outermost).machine(from).saved;
    assert_not_borrowed();
    match to {
        // SAFETY: `save` is the place of the present context, and contexts do not move; a preempted
        // context was left by `switch` or `start`, and the core names it once.
        To::Left(target) => unsafe { context::switch(save, target) },
        // SAFETY: as above. The stack is that of a context that was idle, or the idle one while a
        // context runs: it is empty, and used by nobody else; entries do not return.
        To::Empty(top, entry, words) => unsafe { context::start(save, top, entry, words) },
    }
}

/// Goes to a stack, dropping the present one: the idle one, that of a context that is done with its
/// handler, or of one that has been given up.
#[inline(always)]
pub(crate) fn leave_stack(_: &mut Outermost, to: To) -> ! {
    assert_not_borrowed();
    match to {
        // SAFETY: the present stack is not needed any more; the rest is as in `suspend`.
        To::Left(target) => unsafe { context::resume(target) },
        // SAFETY: as above.
        To::Empty(top, entry, words) => unsafe { context::restart(top, entry, words) },
    }
}

/// Takes the first activation of the context that is to run on its empty stack: the words for
/// [`perform`].
#[inline(always)]
fn begin(outermost: &mut Outermost) -> [u64; 3] {
    let (handler, Activation { event, count }) = borrow_core(outermost).begin(timestamp);
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
        "mov dword ptr gs:[rip + {words} + {depth}], 0",
        "cmp qword ptr gs:[rip + {words} + {pending}], 0",
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
        words = sym core_words::reflex_core_words,
        depth = const core_words::DEPTH,
        pending = const core_words::PENDING,
        service = sym service_before,
        finished = sym finished,
    )
}

extern "C" fn deferred_until() {
    crate::dispatch::measure::deferred_until();
}

extern "C" fn service_before() {
    serve_all();
}

/// Does what has waited for the outermost section to end, which has ended.
#[cold]
#[inline(never)]
pub(crate) fn serve_all() {
    // SAFETY: the caller has ended it, and opened none since.
    let mut free = unsafe { Free::assume() };
    loop {
        let mut outermost = free.hold();
        service(&mut outermost, 0);
        free = outermost.give_up();
        if !free.waits() {
            return;
        }
    }
}

/// A handler has returned.
extern "C" fn finished() -> ! {
    // SAFETY: sections end where they were opened, so a handler that has returned has left none.
    let mut outermost = unsafe { Free::assume() }.hold();
    let finished = borrow_core(&outermost).finish();
    match finished {
        Finished::Next(next) => go_to(&mut outermost, next),
        Finished::Release(handler) => release(outermost, handler),
    }
}

/// A handler has returned that was unregistered meanwhile. Dropping what it has captured may
/// call the kernel, so that comes before the choice of what runs next.
#[cold]
#[inline(never)]
fn release(outermost: Outermost, handler: Handler) -> ! {
    // SAFETY: the core gave it back: it has returned and is never called again.
    let mut outermost = unsafe { (cpu::this().upcalls.get().finish)(outermost, handler) };
    let next = with_core(&outermost, |core| core.leave());
    go_to(&mut outermost, next)
}
