//! Handlers, whatever their types: what the event core keeps of one, and how one comes to its end.
//!
//! ```text
//!   bound          registered          given back        dropped, or forgotten        freed
//!   Loose ────────▶ the core's ───────▶ Retired ─────────▶ Husk ─────────────────────▶
//! ```
//!
//! While it is the core's, a handler is looked at by [`registered`], in a section. Before and after
//! that it has one owner, which may do with it what its condition allows.

use super::attributes::Attributes;
use super::contain::contain;
use super::deferral::Section;
use super::stack::Stack;
use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::needs_drop;
use core::ptr::{NonNull, fn_addr_eq};
use reflex_event::{Core, Error, EventId};
use reflex_memory::Lent;

/// A type of handlers.
///
/// # Safety
/// The type is `repr(C)` and begins with its [`Header`]. It may be dropped in any context.
pub(crate) unsafe trait Handle: Sized + 'static {
    /// Whether there is something to [forget](Self::forget).
    const FORGETS: bool = false;

    /// Handles `count` occurrences.
    ///
    /// # Safety
    /// The event system has begun it: it is registered as `event`, and no other handler of its
    /// context runs.
    unsafe fn call(&self, event: EventId, count: u32);

    /// Does what is left to do about it when its call, or its drop, was cut off: what an
    /// application's handler has captured may be half changed, and is left alone.
    fn forget(&self) {}
}

/// A handler that reaches no state of its context's, and so may be called whatever that is.
///
/// # Safety
/// What it says.
pub(crate) unsafe trait Stateless: Handle {}

/// What dispatch calls: with the handler's header, the event's word and the count.
type Call = unsafe extern "C" fn(NonNull<Header>, u64, u32);

/// What every handler begins with.
#[repr(C)]
pub(crate) struct Header {
    /// First, where dispatch finds it without knowing this type. It follows from what the context
    /// and the registration ask for, and is never kept elsewhere: see [`crate::event::calls`].
    call: Cell<Call>,
    pub(super) kind: &'static Kind,
    pub(super) attributes: Cell<Option<NonNull<Attributes>>>,
}

/// What can be done with handlers of one type.
pub(super) struct Kind {
    /// Calls it, and nothing else.
    call: Call,
    /// Drops what it has captured, if that is more than forgetting it.
    pub(super) drop: Option<unsafe fn(NonNull<Header>)>,
    pub(super) forget: Option<unsafe fn(NonNull<Header>)>,
}

/// The kind of a type.
struct KindOf<T>(PhantomData<T>);

impl<T: Handle> KindOf<T> {
    const KIND: Kind = Kind {
        call: Self::call,
        drop: if needs_drop::<T>() { Some(Self::drop) } else { None },
        forget: if T::FORGETS { Some(Self::forget) } else { None },
    };

    /// # Safety
    /// `header` is that of a live `T`; the rest is as for [`Handle::call`].
    unsafe extern "C" fn call(header: NonNull<Header>, event: u64, count: u32) {
        // SAFETY: the caller's duty; a `T` begins with its header.
        contain(|| unsafe { header.cast::<T>().as_ref().call(EventId::from_word(event), count) })
    }

    /// # Safety
    /// `header` is that of a live `T`, of which nothing but the header is used again.
    unsafe fn drop(header: NonNull<Header>) {
        // SAFETY: the caller's duty; a `T` begins with its header.
        unsafe { header.cast::<T>().drop_in_place() }
    }

    /// # Safety
    /// `header` is that of a live `T`.
    unsafe fn forget(header: NonNull<Header>) {
        // SAFETY: the caller's duty; a `T` begins with its header.
        unsafe { header.cast::<T>().as_ref() }.forget();
    }
}

/// A way of calling handlers: their own call within something else, or nothing of theirs.
pub(crate) trait Way {
    /// Goes that way.
    fn call(called: Called);
}

/// A handler that dispatch has called in a [way](Way).
pub(crate) struct Called {
    header: NonNull<Header>,
    event: u64,
    count: u32,
}

impl Called {
    /// What has occurred.
    pub(crate) fn event(&self) -> EventId {
        EventId::from_word(self.event)
    }

    /// What is kept beside the handler now, if anything.
    pub(crate) fn attributes(&self) -> Option<&Attributes> {
        // SAFETY: made by `by`: the handler is being called, so it is live.
        unsafe { self.header.as_ref() }.attributes()
    }

    /// Calls the handler itself.
    pub(crate) fn own(self) {
        let Self { header, event, count } = self;
        // SAFETY: made by `by`, and its caller's duty is that of the handler's own call; and given up
        // here, so there is one call.
        unsafe { (header.as_ref().kind.call)(header, event, count) }
    }
}

/// Calls a handler by way of `W`. Not inlined: there is one address for each way.
///
/// # Safety
/// As for the handler's own call.
#[inline(never)]
unsafe extern "C" fn by<W: Way>(header: NonNull<Header>, event: u64, count: u32) {
    W::call(Called { header, event, count });
}

impl Header {
    /// That of a `T`.
    pub(crate) const fn of<T: Handle>() -> Self {
        let kind = &KindOf::<T>::KIND;
        Self { call: Cell::new(kind.call), kind, attributes: Cell::new(None) }
    }

    /// Has dispatch call the handler itself.
    pub(crate) fn set_own_way(&self) {
        self.call.set(self.kind.call);
    }

    /// Has dispatch call the handler by way of `W`.
    pub(crate) fn set_way<W: Way>(&self) {
        self.call.set(by::<W>);
    }

    /// Whether dispatch calls the handler by way of `W`.
    pub(crate) fn goes_by<W: Way>(&self) -> bool {
        fn_addr_eq(self.call.get(), by::<W> as Call)
    }

    /// What is kept beside the handler, if anything. What is returned lasts as long as the handler has
    /// it: to the end of the section, or until it is [ended](super::retired::Husk::end_attributes).
    pub(crate) fn attributes(&self) -> Option<&Attributes> {
        // SAFETY: made by `give_attributes`, of a box that was given up, and there until they are taken
        // out.
        self.attributes.get().map(|attributes| unsafe { attributes.as_ref() })
    }

    /// Keeps `attributes`, which are in the handler's own pool, beside it; hands them back if there are
    /// some already.
    pub(crate) fn give_attributes(
        &self,
        _: &Section,
        attributes: Lent<Attributes>,
    ) -> Option<Lent<Attributes>> {
        if self.attributes.get().is_some() {
            return Some(attributes);
        }
        self.attributes.set(Some(attributes.into_raw().0));
        None
    }

    /// Takes over what is kept beside `former`, a handler in the same pool.
    pub(crate) fn adopt(&self, _: &Section, former: &Self) {
        self.attributes.set(former.attributes.take());
    }

    /// Whether there is a filter beside it.
    pub(super) fn has_filter(&self) -> bool {
        self.attributes().is_some_and(Attributes::has_filter)
    }

    /// Whether there is nothing beside the handler, and nothing to be done when it is dropped.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.kind.drop.is_none() && self.attributes.get().is_none()
    }

    /// Whether there is application's code to be run when the handler is dropped.
    pub(crate) fn must_drop(&self) -> bool {
        self.kind.drop.is_some() || self.has_filter()
    }
}

/// A handler's name, as the event core keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Handler(pub(super) NonNull<Header>);

// SAFETY: what a handler has captured may be dropped in any context, by the duty of every
// implementation of `Handle`; what lies beside it is reached in sections, and it is called in its own
// context alone.
unsafe impl Send for Handler {}

impl Handler {
    /// The handler as a machine word: the address of a place that begins with the function to
    /// call, with that address, the event's word and the count.
    #[inline(always)]
    pub(crate) fn into_word(self) -> u64 {
        self.0.expose_provenance().get() as u64
    }
}

/// The event system's state.
pub(crate) type EventCore = Core<Handler, Stack>;

/// The handler of a registration, for as long as that is not ended: in the section in which the result
/// is in use nobody does.
pub(crate) fn registered<'a>(
    _: &'a Section,
    core: &mut EventCore,
    event: EventId,
) -> Result<&'a Header, Error> {
    let handler = core.handler(event)?;
    // SAFETY: a registration's handler is live as long as the registration is.
    Ok(unsafe { handler.0.as_ref() })
}
