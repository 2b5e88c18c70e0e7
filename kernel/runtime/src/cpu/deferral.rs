//! How often dispatch is deferred on a core, what waits until it is not any more, and the proofs of
//! either: tokens, which cost nothing and which safe code cannot make up.
//!
//! ```text
//!            open                                  in a section already: Inner
//!   Free ───────────▶ Outermost ──as──▶ Section
//!     ▲───────────────────┘
//!            give_up
//! ```
//!
//! The holder of the [outermost](Outermost) section has a token of its own for that: only by it can the
//! processor go to another stack, and as long as a value of the core is borrowed, it is borrowed too.

use super::own;
use core::marker::PhantomData;
use core::ops::Deref;
use reflex_arch::core_words;

/// The bit of what waits that says a ready context beats the running one.
pub(crate) const DISPATCH: u64 = 1 << 63;

/// The bit of the depth that says a filter has been called, in sections that are not counted then; and the
/// sections are counted that have been opened since: so their end, and nothing else, finds out that it may be
/// time to look at the filter. The highest, which [`core_words`] asks for.
pub(crate) const FILTER: u32 = 1 << 31;

/// How many sections are open.
#[inline(always)]
pub(crate) fn depth() -> u32 {
    own::assert();
    core_words::depth()
}

/// Whether any section is open.
#[inline(always)]
pub(crate) fn is_open() -> bool {
    own::assert();
    !core_words::is_depth::<0>()
}

/// Whether one section is open, and not another in it.
#[inline(always)]
pub(crate) fn is_outermost() -> bool {
    own::assert();
    core_words::is_depth::<1>()
}

/// Opens a section. The compiler moves no work over this, or over what ends one.
#[inline(always)]
pub(crate) fn enter() {
    own::assert();
    core_words::deepen();
}

/// A filter's code begins, or ends: from here on the depth is this. In a section.
#[inline(always)]
pub(crate) fn set_depth(depth: u32) {
    own::assert();
    core_words::set_depth(depth);
}

/// Ends a section that [`enter`] has opened. `more` is called when there is something to do then: it was the
/// outermost one and something waits, or a filter has opened it, or something that this has called.
#[inline(always)]
pub(crate) fn leave(more: fn()) {
    own::assert();
    core_words::leave(more, || {
        if core_words::is_marked() {
            more();
        }
    });
}

/// Ends a section in another one. `in_filter` is called when a filter has opened it, or something that this has
/// called.
#[inline(always)]
pub(crate) fn leave_inner(_: Entered, in_filter: fn()) {
    own::assert();
    core_words::leave_inner(in_filter);
}

/// Opens the outermost section; or says that a section is open already.
#[inline(always)]
pub(crate) fn open() -> Result<Outermost, Inner> {
    if is_open() { Err(Inner { here: PhantomData }) } else { Ok(hold()) }
}

/// Opens the outermost section again.
#[inline(always)]
pub(crate) fn reopen(_: Free) -> Outermost {
    hold()
}

#[inline(always)]
fn hold() -> Outermost {
    own::assert();
    core_words::set_depth_to::<1>();
    Outermost { section: Section { here: PhantomData } }
}

/// Gives the outermost section up.
#[inline(always)]
pub(crate) fn give_up(_: Outermost) -> Free {
    own::assert();
    core_words::set_depth_to::<0>();
    Free { here: PhantomData }
}

/// Opens a section, in another one or not.
#[inline(always)]
pub(crate) fn open_any() -> Entered {
    enter();
    Entered { section: Section { here: PhantomData } }
}

/// What the section of a caller is that has ended all that it has opened since: the outermost one, or one in
/// another.
#[inline(always)]
pub(crate) fn outermost(entered: Entered) -> Result<Outermost, Entered> {
    if is_outermost() { Ok(Outermost { section: entered.section }) } else { Err(entered) }
}

/// Whether something waits.
#[inline(always)]
pub(crate) fn waits() -> bool {
    own::assert();
    core_words::waits()
}

/// Marks jobs, or a dispatch, as waiting. Legal in interrupt context.
#[inline(always)]
pub(crate) fn post(bits: u64) {
    own::assert();
    core_words::post(bits);
}

/// Takes all that waits.
#[inline(always)]
pub(crate) fn take_pending() -> u64 {
    own::assert();
    core_words::take_pending()
}

/// Takes what waits if it is `bits` and nothing else.
#[inline(always)]
pub(crate) fn take_only(bits: u64) -> bool {
    own::assert();
    core_words::take_only(bits)
}

/// The proof that a section is open: what is given one may reach what belongs to the core.
///
/// It lasts as long as the section: its lifetime is that of the closure's run.
///
/// ```compile_fail
/// let token = reflex_runtime::section::section(|cs| cs);
/// ```
///
/// It stays with the flow of control that is in the section.
///
/// ```compile_fail
/// fn send(_: impl Send) {}
/// reflex_runtime::section::section(|cs| send(cs));
/// ```
///
/// And it is not to be had in another way.
///
/// ```compile_fail
/// let token = reflex_runtime::section::Section { here: core::marker::PhantomData };
/// ```
pub struct Section {
    here: PhantomData<*mut ()>,
}

impl Section {
    /// The token of the section that is open.
    ///
    /// # Safety
    /// For as long as the result is in use, a section is open: what gives the outermost one up
    /// meanwhile, to go to another stack, does not come back before it is held again.
    #[inline(always)]
    pub(crate) const unsafe fn assume<'a>() -> &'a Self {
        &Self { here: PhantomData }
    }
}

/// The proof that the one section that is open is the caller's to give up, and that nothing of the
/// core is borrowed by it. There is one at a time.
#[must_use = "the section stays open until it is given up or left"]
pub(crate) struct Outermost {
    section: Section,
}

impl Deref for Outermost {
    type Target = Section;

    #[inline(always)]
    fn deref(&self) -> &Section {
        &self.section
    }
}

impl Outermost {
    /// Takes charge of the outermost section, which is open.
    ///
    /// # Safety
    /// The section is open, it is the only one, and nobody else is in charge of it; nothing of the
    /// core is borrowed.
    #[inline(always)]
    pub(crate) const unsafe fn assume() -> Self {
        Self { section: Section { here: PhantomData } }
    }
}

/// The section has been given up by the holder of this, which has opened none since.
pub(crate) struct Free {
    here: PhantomData<*mut ()>,
}

impl Free {
    /// The section is not open.
    ///
    /// # Safety
    /// The caller has opened none, nor has any of its callers.
    #[inline(always)]
    pub(crate) const unsafe fn assume() -> Self {
        Self { here: PhantomData }
    }
}

/// A section was open when it was asked.
pub(crate) struct Inner {
    here: PhantomData<*mut ()>,
}

/// The proof that a section is open, and that it is the caller's to end. Whether it is in another one is
/// [not known](outermost).
#[must_use = "the section stays open until it is left"]
pub(crate) struct Entered {
    section: Section,
}

impl Deref for Entered {
    type Target = Section;

    #[inline(always)]
    fn deref(&self) -> &Section {
        &self.section
    }
}

/// The kernel's start: the section that it is, in which nothing else runs.
pub(crate) struct Start {
    outermost: Outermost,
}

impl Deref for Start {
    type Target = Section;

    #[inline(always)]
    fn deref(&self) -> &Section {
        &self.outermost
    }
}

impl Start {
    /// Begins the kernel's start.
    ///
    /// # Safety
    /// Called once, first of all, with interrupts masked; [`Runtime::enter`](crate::Runtime::enter)
    /// gives the section up.
    pub(crate) unsafe fn begin() -> Self {
        Self { outermost: hold() }
    }

    /// As if the kernel's start were going on.
    ///
    /// # Safety
    /// Nobody else reaches what is set.
    #[cfg(test)]
    pub(crate) unsafe fn assume() -> Self {
        // SAFETY: the caller's duty.
        Self { outermost: unsafe { Outermost::assume() } }
    }
}
