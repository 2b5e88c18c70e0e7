//! What a replacement is to do, and its irrevocable part.

use crate::context::registry;
use crate::cpu::bound::StateCell;
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::{tell, with_core};
use crate::dispatch::section::section;
use crate::event::table;
use crate::replace::error::ReplaceError;
use crate::replace::rebinding::{Rebinding, Service};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use reflex_event::{Context, ContextId, Error, EventId, Priority, Trouble};
use reflex_memory::Lent;

/// What becomes of registrations that nobody has named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Others {
    Refused,
    Ended,
}

/// What takes part in a replacement.
pub(super) type Services<New> = Vec<Box<dyn Service<New>>>;

/// A replacement about to be made; see [`Runtime::replacement`].
#[must_use = "a context is replaced by `submit` or `apply`"]
pub struct Replacement<New: 'static> {
    pub(super) kernel: Runtime,
    pub(super) context: ContextId,
    /// Before the cell, which its handlers are bound to.
    pub(super) rebinding: Rebinding<New>,
    /// Until it is the context's.
    pub(super) cell: Option<Lent<StateCell<New>>>,
    pub(super) services: Services<New>,
    pub(super) others: Others,
    pub(super) priority: Option<Priority>,
}

/// A state that was taken out of its cell.
pub(super) type Taken<Old> = (NonNull<StateCell<Old>>, NonNull<Old>);

impl<New: 'static> Replacement<New> {
    /// Has every registration named but `own`.
    pub(super) fn name_all(&mut self, own: EventId) -> Result<(), ReplaceError> {
        for service in &mut self.services {
            service.bind(&mut self.rebinding)?;
        }
        self.rebinding.sort();
        let (rebinding, others) = (&mut self.rebinding, self.others);
        table::each(self.context, |event, _| {
            if event == own || rebinding.names(event) {
                return Ok(());
            }
            match others {
                Others::Refused => Err(ReplaceError::Unnamed(event)),
                Others::Ended => Ok(rebinding.end(event)?),
            }
        })
    }

    /// Makes `fresh` the context's state, and gives every registration its new handler. It cannot fail
    /// any more: what was registered since the application handed its state over, by others than
    /// services, and what there is no memory for, is ended, and told as [`Trouble::RegistrationLost`].
    pub(super) fn replace<Old>(
        &mut self,
        own: EventId,
        mut memory: Lent<MaybeUninit<New>>,
        fresh: New,
        (old_cell, old_state): Taken<Old>,
    ) -> Context<New> {
        let (context, state) = (self.context, self.rebinding.state());
        memory.write(fresh);
        let (place, pool) = memory.into_raw();
        if let Some(cell) = state.downcast::<New>() {
            // SAFETY: written above, given up by its box, and it stays for ever, like every state. The
            // cell is kept as long as the context has this state: its box is given up below.
            unsafe { cell.as_ref().put(place.cast::<New>().as_mut()) };
        }
        while !self.try_switch(own, place.cast()) {}
        if let Some(cell) = self.cell.take() {
            let _ = cell.into_raw();
        }
        for (event, handler) in self.rebinding.take() {
            // Either is refused when the registration has ended meanwhile.
            let _ = match handler {
                Some(handler) => table::rebind(context, event, handler),
                None => table::end(event).map(drop),
            };
        }
        // SAFETY: nothing is left that refers to the old cell or state; both lie in blocks of their own that
        // were given up when they were made.
        unsafe {
            drop(Lent::from_raw(old_state.cast::<MaybeUninit<Old>>(), pool));
            drop(Lent::from_raw(old_cell, pool));
        }
        Context::new(context)
    }

    /// Makes the state to come, which lies in `block`, the context's, unless there have come
    /// registrations meanwhile that nobody has named.
    fn try_switch(&mut self, own: EventId, block: NonNull<()>) -> bool {
        let (context, state) = (self.context, self.rebinding.state());
        let last = section(|cs| with_core(cs, |core| core.first_of(context)));
        for service in &mut self.services {
            // Without memory for new handlers, some stay unnamed.
            let _ = service.bind(&mut self.rebinding);
        }
        self.rebinding.sort();
        let rebinding = &self.rebinding;
        let _ = table::each(context, |event, _| {
            if event != own && !rebinding.names(event) && table::end(event).is_ok() {
                section(|cs| tell(cs, context, Trouble::RegistrationLost));
            }
            Ok::<_, Error>(())
        });
        let (services, fresh) = (&mut self.services, Context::new(context));
        section(|cs| {
            let unchanged = with_core(cs, |core| core.first_of(context)) == last;
            if unchanged && let Ok(place) = registry::get(cs, context) {
                place.state.set(cs, state);
                if let Some(supervision) = place.supervision {
                    supervision.replaced([state.block(), block]);
                }
                services.iter_mut().for_each(|service| service.hand_over(fresh));
            }
            unchanged
        })
    }
}
