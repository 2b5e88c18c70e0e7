//! Scopes: what is to be ended when the code in it never comes to its end.
//!
//! Code is given up in the middle: a context's, with all that is on its stack, or a
//! [filter](mod@crate::context::attempt)'s, on the stack of the context that has activated the event. What the
//! kernel and the library OS had begun there on behalf of others is a list of nodes on that very
//! stack, the innermost first, and giving up ends them in this order: all of a context's, or those
//! that were begun since the filter was called.
//!
//! Beside the list there is a count of [guarded](crate::context::guard) calls, in which nothing is given up.

use crate::cpu;
use crate::cpu::job::LAST;
use crate::cpu::scope::{KILL_PENDING, Scope, Scopes};
use crate::dispatch::event_core::with_core;
use crate::dispatch::pending;
use crate::dispatch::section::{Section, section};
use core::ptr::NonNull;
use reflex_event::Borrowed;

/// Runs `work` on what is open on the present stack; it calls nobody.
#[inline(always)]
pub(crate) fn with<R>(cs: &Section, work: impl FnOnce(&mut Scopes) -> R) -> R {
    with_core(cs, |core| match core.running() {
        Some(context) => work(&mut core.machine(context).scopes),
        None => cpu::this().no_context.with(cs, work),
    })
}

impl Scopes {
    /// A guarded call is over, or lets the context be given up for a while.
    #[inline(always)]
    pub(crate) fn unguard(&mut self) {
        self.guards -= 1;
        if self.guards == KILL_PENDING {
            pending::post(LAST);
        }
    }
}

/// Ends the scopes that were begun on the present stack since `outer` was the innermost, and have
/// code that never goes on: guarded, since it is the kernel's.
///
/// # Safety
/// Nobody goes on with what was begun since.
pub(crate) unsafe fn end_since(outer: Option<NonNull<Scope>>, borrowed: Borrowed) {
    section(|cs| with(cs, |scopes| scopes.guards += 1));
    loop {
        let next = section(|cs| {
            with(cs, |scopes| {
                let node = scopes.last.filter(|_| scopes.last != outer);
                if node.is_some() {
                    scopes.pop();
                }
                node
            })
        });
        let Some(node) = next else { break };
        // SAFETY: just taken off the list; the rest is the caller's duty.
        unsafe { Scope::end(node, borrowed) };
    }
    section(|cs| with(cs, Scopes::unguard));
}
