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

use core::marker::PhantomData;
use core::mem::offset_of;
use core::ops::Deref;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicU32, AtomicU64, compiler_fence};

/// How many sections are open on a core, and what waits for the outermost one to end. There is one for
/// each core, in its block.
pub(crate) struct Deferral {
    /// In a filter it has the bit [`FILTER`], and the sections are counted that have been opened since that
    /// was called: so their end, and nothing else, finds out that it may be time to look at the filter.
    depth: AtomicU32,
    /// A bit for each job, and the dispatcher's.
    pending: AtomicU64,
}

/// The bit of what waits that says a ready context beats the running one.
pub(crate) const DISPATCH: u64 = 1 << 63;

/// The bit of the depth that says a filter has been called, in sections that are not counted then.
pub(crate) const FILTER: u32 = 1 << 31;

/// What has ended with a section.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// The outermost section.
    Outermost,
    /// A section in another one that is open.
    Inner,
    /// A section that a filter has opened, or something that it has called.
    InFilter,
}

/// Where the two words lie, for code in assembly.
pub(crate) const DEPTH: usize = offset_of!(Deferral, depth);
pub(crate) const PENDING: usize = offset_of!(Deferral, pending);

impl Deferral {
    /// None is open, and nothing waits.
    pub(crate) const fn new() -> Self {
        Self { depth: AtomicU32::new(0), pending: AtomicU64::new(0) }
    }

    /// How many sections are open.
    #[inline(always)]
    pub(crate) fn depth(&self) -> u32 {
        self.depth.load(Relaxed)
    }

    /// Opens a section. The compiler may move work before this: the caller sees to that.
    #[inline(always)]
    pub(crate) fn enter(&self) {
        self.depth.store(self.depth.load(Relaxed) + 1, Relaxed);
    }

    /// A filter's code begins, or ends: from here on the depth is this. In a section.
    #[inline(always)]
    pub(crate) fn set_depth(&self, depth: u32) {
        compiler_fence(SeqCst);
        self.depth.store(depth, Relaxed);
        compiler_fence(SeqCst);
    }

    /// Ends a section that [`enter`](Self::enter) has opened, once `last` has been called if it is the
    /// only one.
    #[inline(always)]
    pub(crate) fn leave(&self, last: impl FnOnce()) -> Left {
        compiler_fence(SeqCst);
        let depth = self.depth.load(Relaxed) - 1;
        if depth == 0 {
            last();
        }
        self.depth.store(depth, Relaxed);
        compiler_fence(SeqCst);
        Left::of(depth)
    }

    /// Opens the outermost section; or says that a section is open already.
    #[inline(always)]
    pub(crate) fn open(&self) -> Result<Outermost, Inner> {
        if self.depth() != 0 { Err(Inner { here: PhantomData }) } else { Ok(self.hold()) }
    }

    /// Opens the outermost section again.
    #[inline(always)]
    pub(crate) fn reopen(&self, _: Free) -> Outermost {
        self.hold()
    }

    #[inline(always)]
    fn hold(&self) -> Outermost {
        self.depth.store(1, Relaxed);
        Outermost { section: Section { here: PhantomData } }
    }

    /// Gives the outermost section up.
    #[inline(always)]
    pub(crate) fn give_up(&self, _: Outermost) -> Free {
        self.depth.store(0, Relaxed);
        compiler_fence(SeqCst);
        Free { here: PhantomData }
    }

    /// Opens a section, in another one or not. The caller keeps the compiler from moving work before this.
    #[inline(always)]
    pub(crate) fn open_any(&self) -> Entered {
        self.enter();
        Entered { section: Section { here: PhantomData } }
    }

    /// What the section of a caller is that has ended all that it has opened since: the outermost one, or one in
    /// another.
    #[inline(always)]
    pub(crate) fn outermost(&self, entered: Entered) -> Result<Outermost, Entered> {
        if self.depth() == 1 { Ok(Outermost { section: entered.section }) } else { Err(entered) }
    }

    /// Ends a section in another one.
    #[inline(always)]
    pub(crate) fn leave_inner(&self, _: Entered) -> Left {
        compiler_fence(SeqCst);
        let left = self.depth.load(Relaxed) - 1;
        self.depth.store(left, Relaxed);
        Left::of(left)
    }

    /// Whether something waits.
    #[inline(always)]
    pub(crate) fn waits(&self) -> bool {
        self.pending.load(Relaxed) != 0
    }

    /// Marks jobs, or a dispatch, as waiting. Legal in interrupt context.
    #[inline(always)]
    pub(crate) fn post(&self, bits: u64) {
        self.pending.fetch_or(bits, Relaxed);
    }

    /// Takes all that waits.
    #[inline(always)]
    pub(crate) fn take_pending(&self) -> u64 {
        self.pending.swap(0, Relaxed)
    }

    /// Takes what waits if it is `bits` and nothing else.
    #[inline(always)]
    pub(crate) fn take_only(&self, bits: u64) -> bool {
        self.pending.compare_exchange(bits, 0, Relaxed, Relaxed).is_ok()
    }
}

impl Left {
    #[inline(always)]
    fn of(depth: u32) -> Self {
        match depth {
            0 => Self::Outermost,
            depth if depth & FILTER != 0 => Self::InFilter,
            _ => Self::Inner,
        }
    }
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
/// [not known](Deferral::outermost).
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
    pub(crate) unsafe fn begin(deferral: &Deferral) -> Self {
        Self { outermost: deferral.hold() }
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
