//! Contexts by their names and places: look-up.

use crate::cpu;
use crate::cpu::bound::AnyState;
use crate::cpu::context::ContextBlock;
use crate::cpu::home::Reuse;
use crate::cpu::supervision::Supervision;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::Section;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use reflex_event::{ContextId, Error};
use reflex_memory::{Lent, Pool};

/// A context.
#[inline(always)]
pub(crate) fn get(cs: &Section, context: ContextId) -> Result<&'static ContextBlock, Error> {
    if with_core(cs, |core| core.exists(context)) {
        existing(cs, context.index)
    } else {
        Err(Error::NoContext)
    }
}

/// The context at a place, whatever it is called now.
#[inline(always)]
pub(crate) fn existing(cs: &Section, index: u16) -> Result<&'static ContextBlock, Error> {
    let place = cpu::this().places.with(cs, |places| places.get(usize::from(index)).copied());
    place.ok_or(Error::NoContext)
}

/// The name of the context at a place.
pub(crate) fn name(cs: &Section, index: u16) -> Result<ContextId, Error> {
    with_core(cs, |core| core.context_at(index))
}

/// A context's event memory and state.
#[inline(always)]
pub(crate) fn state_and_pool(
    cs: &Section,
    context: ContextId,
) -> Result<(&'static Pool, AnyState), Error> {
    get(cs, context).map(|place| (place.pool.get(cs), place.state.get(cs)))
}

/// Whether the memory of code of a context may be used again when that has been given up.
pub(crate) fn reuse(cs: &Section, context: ContextId) -> Reuse {
    let supervision = supervision(cs, context).ok().flatten();
    supervision.map_or(Reuse::NEVER, |supervision| supervision.home.reuse)
}

/// What is kept of a context that is supervised.
pub(crate) fn supervision(
    cs: &Section,
    context: ContextId,
) -> Result<Option<&'static Supervision>, Error> {
    get(cs, context).map(|place| place.supervision)
}

/// Forgets what a context's state is, and where.
pub(crate) fn forget_state(cs: &Section, context: ContextId) {
    if let Ok(place) = get(cs, context) {
        place.state.set(cs, AnyState::nothing());
    }
}

/// Forgets a value, and frees its memory, if that may be used again.
pub(crate) fn forget<T: ?Sized>(value: Lent<T>, reuse: Reuse) {
    let (value, pool) = value.into_raw();
    if reuse.is_at_once() {
        // SAFETY: given up in the line above, and nobody uses it any more, or points to it.
        unsafe { free_block(value.cast(), pool) };
    }
}

/// Frees a block of event memory without a look at what is in it.
///
/// # Safety
/// The block was taken from `pool` by a [`Lent`] that was leaked, and nobody uses it any more.
pub(crate) unsafe fn free_block(block: NonNull<()>, pool: &'static Pool) {
    // SAFETY: the caller's duty; a `ManuallyDrop` drops nothing.
    drop(unsafe { Lent::from_raw(block.cast::<ManuallyDrop<()>>(), pool) });
}
