//! The handler of a replacement: it runs in the context that is replaced.

use crate::context::attempt::attempt;
use crate::context::{guard, registry};
use crate::cpu::bound::AnyState;
use crate::cpu::handler::{Handle, Header, Stateless};
use crate::dispatch::section::section;
use crate::event::table;
use crate::replace::error::ReplaceError;
use crate::replace::pending::Teller;
use crate::replace::plan::{Replacement, Taken};
use alloc::vec::Vec;
use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use reflex_event::{Context, ContextId, Error, EventId};
use reflex_memory::Lent;

/// All that a replacement needs when it runs.
pub(super) struct Work<New: 'static, C> {
    /// First, so that a caller that waits is told whatever becomes of the rest.
    pub(super) teller: Teller<New>,
    pub(super) plan: Replacement<New>,
    pub(super) memory: Lent<MaybeUninit<New>>,
    /// The state to be replaced.
    pub(super) old: AnyState,
    pub(super) convert: C,
}

/// The handler of a replacement.
#[repr(C)]
pub(super) struct Act<Old: 'static, New: 'static, C> {
    _header: Header,
    /// The work is being done, or dropped.
    begun: Cell<bool>,
    work: Cell<Option<Work<New, C>>>,
    of: PhantomData<fn(Old)>,
}

impl<Old: 'static, New: 'static, C> Act<Old, New, C>
where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
{
    /// One that does `work`.
    pub(super) fn new(work: Work<New, C>) -> Self {
        let (begun, work) = (Cell::new(false), Cell::new(Some(work)));
        Self { _header: Header::of::<Self>(), begun, work, of: PhantomData }
    }

    /// Does the work. What is the application's, and is not needed any more, is dropped last, where
    /// nothing is guarded.
    fn run(&self, own: EventId) {
        let (value, convert, services) = (Cell::new(None), Cell::new(None), Cell::new(Vec::new()));
        guard::keep(
            || {
                self.begun.set(true);
                let Work { teller, mut plan, memory, old, convert: by } =
                    self.work.take().ok_or(())?;
                convert.set(Some(by));
                let taken = plan.name_all(own).and_then(|()| take_state::<Old>(plan.context, old));
                match taken {
                    Ok(old) => {
                        // SAFETY: valid and ours alone: taken out of its cell. What is left is
                        // treated as not there, until something is written to it.
                        value.set(Some(unsafe { old.1.read() }));
                        Ok(Kept { teller, plan, memory, old: Some(old) })
                    }
                    Err(refused) => {
                        services.set(plan.services);
                        end(own, &teller, Err(refused));
                        Err(())
                    }
                }
            },
            |_| &[],
            |kept, _| kept.stopped(),
            |_| convert.take().zip(value.take()).map(|(convert, value)| convert(value)),
            |Kept { teller, mut plan, memory, old }, converted| {
                let (Some((cell, state)), Some(converted)) = (old, converted) else { return };
                let outcome = match converted {
                    Ok(fresh) => Ok(plan.replace(own, memory, fresh, (cell, state))),
                    Err(value) => {
                        // SAFETY: the state's own memory, which stays, as does its cell.
                        unsafe {
                            state.write(value);
                            cell.as_ref().put(&mut *state.as_ptr());
                        }
                        Err(ReplaceError::Declined)
                    }
                };
                services.set(plan.services);
                end(own, &teller, outcome);
            },
        );
    }
}

impl<Old: 'static, New: 'static, C> Drop for Act<Old, New, C> {
    fn drop(&mut self) {
        // Before anything of the work is touched: if that is not finished, it is not whole.
        self.begun.set(true);
    }
}

// SAFETY: it begins with its header. All that it has may be dropped anywhere.
unsafe impl<Old: 'static, New: 'static, C> Handle for Act<Old, New, C>
where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
{
    const FORGETS: bool = true;

    unsafe fn call(&self, event: EventId, _: u32) {
        self.run(event);
    }

    fn forget(&self) {
        // What has not been begun is whole, since that is said before anything of it is touched.
        let work = if self.begun.get() { None } else { self.work.take() };
        if let Some(Work { teller, plan, memory, old: _, convert }) = work {
            // What the conversion has captured is the application's.
            let _ = section(|cs| attempt(cs, plan.context, || drop(convert)));
            Kept::<Old, New> { teller, plan, memory, old: None }.stopped();
        }
    }
}

// SAFETY: it looks itself whether the state is still the one that it replaces.
unsafe impl<Old: 'static, New: 'static, C> Stateless for Act<Old, New, C> where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static
{
}

/// A replacement ends, and so does its registration. It is running, so it is registered.
fn end<New>(own: EventId, teller: &Teller<New>, outcome: Result<Context<New>, ReplaceError>) {
    let _ = table::end(own);
    teller.tell(outcome);
}

/// Takes a context's state out of its cell, if it is still `old`, which is an `Old`.
fn take_state<Old: 'static>(context: ContextId, old: AnyState) -> Result<Taken<Old>, ReplaceError> {
    let (_, present) = section(|cs| registry::state_and_pool(cs, context))?;
    if present.id() != old.id() {
        return Err(Error::WrongState.into());
    }
    let cell = present.downcast::<Old>().ok_or(Error::WrongState)?;
    // SAFETY: a context's cell lives as long as it has this state, and is looked at in runs of its
    // handlers alone, of which this is one.
    let state = unsafe { cell.as_ref() }.take().ok_or(Error::Busy)?;
    Ok((cell, NonNull::from(state)))
}

/// What is to be cleared away when the context is given up in the middle of its replacement.
struct Kept<Old: 'static, New: 'static> {
    teller: Teller<New>,
    plan: Replacement<New>,
    memory: Lent<MaybeUninit<New>>,
    old: Option<Taken<Old>>,
}

// SAFETY: handlers, services and what `convert` has not been given are `Send`; the memory holds
// nothing; the old state's is used in its own context alone; the rest is touched in sections.
unsafe impl<Old, New> Send for Kept<Old, New> {}

impl<Old: 'static, New: 'static> Kept<Old, New> {
    fn stopped(mut self) {
        self.teller.tell(Err(ReplaceError::Stopped));
        // What the services have captured is the application's.
        let services = core::mem::take(&mut self.plan.services);
        let _ = section(|cs| attempt(cs, self.plan.context, || drop(services)));
    }
}
