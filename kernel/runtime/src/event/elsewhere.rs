//! Work that is done on another core while the caller waits.
//!
//! ```text
//!   the caller's core                      the other
//!   call ── Message::Call ──▶ taken by a job ──▶ done in its context "core"
//!   waits                                             │
//!   goes on ◀──────────── Message::Done ──────────────┘
//! ```
//!
//! This is how what belongs to a core is made, changed and looked at from another. It is done at the priority of the
//! handler that waits. It does not ask other cores itself: two that wait for each other would never go on.

use crate::context::caller;
use crate::cpu;
use crate::cpu::message::{Call, Message};
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::section;
use crate::dispatch::send;
use crate::event::wait::Waiter;
use alloc::boxed::Box;
use alloc::sync::Arc;
use reflex_event::{Error, Priority};
use spin::Mutex;

impl Runtime {
    /// Runs `work` on a core, and returns what it returns. On another core it is run by the kernel's own
    /// context there, at the priority of the calling handler, which waits; on this one it is called.
    ///
    /// When the caller is given up meanwhile, the work is done all the same, and what it returns is dropped there. A
    /// panic in the work ends the image, as one in `main` does.
    ///
    /// # Errors
    /// [`Error::NoCore`]; [`Error::CoreBusy`] when as many calls of this core to that are under way as may be;
    /// [`Error::Busy`] where nothing can wait: outside any context, in sections and filters, with a mutex locked, and
    /// in such work itself; [`Error::NotAllowed`] when the context's policy does not let it wait; those of a
    /// registration. In all of these the work has not been done.
    pub fn on_core<R: Send + 'static>(
        self,
        core: u32,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Error> {
        if !send::is_elsewhere(core) {
            return Ok(work());
        }
        let priority = waits_at()?;
        let waiter = Waiter::new(self)?;
        let event = waiter.event();
        let result = Arc::new(Mutex::new(None));
        let place = result.clone();
        let work = move || {
            let value = work();
            *place.lock() = Some(value);
            // If the caller is not there any more, what it was to be told ends here.
            drop(place);
            section(|cs| send::done(cs, event));
        };
        let call = Call { work: Box::new(work), priority };
        let sent = section(|cs| send::call(cs, core, Message::Call(call), priority));
        // What is refused is dropped here, outside of sections.
        sent.map_err(|(error, _message)| error)?;
        loop {
            waiter.wait_apart()?;
            let value = result.lock().take();
            if let Some(value) = value {
                return Ok(value);
            }
        }
    }
}

/// The priority of the handler that calls, which may wait.
fn waits_at() -> Result<Priority, Error> {
    let context = caller::undeferred()?;
    section(|cs| {
        let of_the_kernel = cpu::this().calls.with(cs, |calls| calls.event);
        with_core(cs, |core| {
            let serving = core.serving(context);
            if core.is_raised() || serving.is_some() && serving == of_the_kernel {
                return Err(Error::Busy);
            }
            let info = serving.and_then(|event| core.look_up(event).ok());
            Ok(info.map_or(Priority::DEFAULT, |info| info.registration.priority))
        })
    })
}

/// Whether something was not found by a name of `core` since that is another core, and so is to be [asked](ask).
#[inline(always)]
pub(crate) fn is_there<R>(core: u32, done: &Result<R, Error>) -> bool {
    matches!(done, Err(Error::Stale | Error::NoContext)) && send::is_elsewhere(core)
}

/// Does on its core what could not be done here. The work calls the function anew that has found so: a closure that both
/// had would be a function of its own, which the usual way is to be spared.
///
/// # Errors
/// Those of [`Runtime::on_core`], and of the work.
#[cold]
#[inline(never)]
pub(crate) fn ask<R: Send + 'static>(
    core: u32,
    work: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Result<R, Error> {
    Runtime::KERNEL.on_core(core, work)?
}
