//! Sections: dispatch deferred, interrupts on.
//!
//! Kernel structures are touched only in a section. An interrupt that arrives in one is
//! acknowledged and posts its job; the job and any dispatch wait until the outermost section
//! ends. Nothing is lost in between, because the end first gives the section up and then looks
//! for what was posted: an interrupt after the giving-up serves itself.
//!
//! That the caller is in a section is told by a [token](Section) in its arguments, which costs
//! nothing and which safe code cannot make up. Whoever holds the [outermost](Outermost) section has
//! a token of its own for that: only by it can the processor go to another stack, and as long as a
//! value of the core is borrowed, it is borrowed too.

use crate::cpu;
use crate::dispatch;
use crate::measure;
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{Ordering::Relaxed, compiler_fence};

/// The bit of [`Cpu::pending`](crate::cpu::Cpu::pending) that says a ready context beats the running one.
pub(crate) const DISPATCH: u64 = 1 << 63;

/// The proof that a section is open: whoever is given one may reach what belongs to the core.
///
/// It lasts as long as the section: its lifetime is that of the closure's run.
///
/// ```compile_fail
/// let token = reflex_runtime::section::section(|cs| cs);
/// ```
///
/// It stays with the flow of control whose section it is.
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
    /// For as long as the result is in use, a section is open: whoever gives the outermost one up
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

    /// Opens the outermost section; or says that a section is open already.
    #[inline(always)]
    pub(crate) fn open() -> Result<Self, Inner> {
        if deferred() { Err(Inner { here: PhantomData }) } else { Ok(Self::hold()) }
    }

    /// Opens the outermost section where none is open.
    #[inline(always)]
    fn hold() -> Self {
        cpu::this().depth.store(1, Relaxed);
        measure::deferred_from();
        compiler_fence(SeqCst);
        // SAFETY: opened just now, and no other was.
        unsafe { Self::assume() }
    }

    /// Gives the section up.
    #[must_use = "what waits is not served by itself"]
    #[inline(always)]
    pub(crate) fn give_up(self) -> Free {
        compiler_fence(SeqCst);
        measure::deferred_until();
        cpu::this().depth.store(0, Relaxed);
        compiler_fence(SeqCst);
        Free { here: PhantomData }
    }

    /// Ends the section, and does what has waited for it.
    #[inline(always)]
    pub(crate) fn leave(self) -> Free {
        leave();
        Free { here: PhantomData }
    }
}

/// The section has been given up by whoever has this, who has opened none since.
pub(crate) struct Free {
    here: PhantomData<*mut ()>,
}

impl Free {
    /// The section is not open.
    ///
    /// # Safety
    /// The caller has opened none, nor has anybody by whom it was called.
    #[inline(always)]
    pub(crate) const unsafe fn assume() -> Self {
        Self { here: PhantomData }
    }

    /// Whether something waits, which may be served at once.
    #[inline(always)]
    pub(crate) fn waits(&self) -> bool {
        cpu::this().pending.load(Relaxed) != 0
    }

    /// Opens the outermost section again.
    #[inline(always)]
    pub(crate) fn hold(self) -> Outermost {
        Outermost::hold()
    }
}

/// A section was open when it was asked.
pub(crate) struct Inner {
    here: PhantomData<*mut ()>,
}

impl Inner {
    /// Runs `work` in a section in the one that is open. What waits is for whoever ends that.
    #[inline(always)]
    pub(crate) fn section<R>(self, work: impl FnOnce(&Section) -> R) -> R {
        let depth = &cpu::this().depth;
        depth.store(depth.load(Relaxed) + 1, Relaxed);
        compiler_fence(SeqCst);
        // SAFETY: opened just now, and not ended before `work` has returned.
        let result = work(unsafe { Section::assume() });
        compiler_fence(SeqCst);
        depth.store(depth.load(Relaxed) - 1, Relaxed);
        result
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
        Self { outermost: Outermost::hold() }
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

/// Runs `work` in a section.
#[inline(always)]
pub fn section<R>(work: impl FnOnce(&Section) -> R) -> R {
    enter();
    // SAFETY: opened in the line above, and not ended before `work` has returned.
    let result = work(unsafe { Section::assume() });
    leave();
    result
}

/// Runs `work` in the outermost section. `None` when one is open already: nothing has been done.
#[inline(always)]
pub(crate) fn outermost<R>(work: impl FnOnce(&mut Outermost) -> R) -> Option<R> {
    let mut outermost = Outermost::open().ok()?;
    let result = work(&mut outermost);
    outermost.leave();
    Some(result)
}

/// The two ends of a section as functions, for those who are told of them at start-up: the
/// global heap and the console. Whoever calls the first also calls the second.
pub fn ends() -> (fn(), fn()) {
    (enter, leave)
}

/// Opens a section.
#[inline(always)]
pub(crate) fn enter() {
    let depth = &cpu::this().depth;
    depth.store(depth.load(Relaxed) + 1, Relaxed);
    measure::deferred_from();
    // Single core: only the compiler could move the work out of the section.
    compiler_fence(SeqCst);
}

/// Ends a section; at the end of the outermost one, does what has waited for it.
#[inline(always)]
pub(crate) fn leave() {
    compiler_fence(SeqCst);
    let depth = cpu::this().depth.load(Relaxed) - 1;
    if depth == 0 {
        measure::deferred_until();
    }
    cpu::this().depth.store(depth, Relaxed);
    compiler_fence(SeqCst);
    if depth == 0 && cpu::this().pending.load(Relaxed) != 0 {
        service();
    }
}

/// Whether a section is open.
#[inline(always)]
pub fn deferred() -> bool {
    cpu::this().depth.load(Relaxed) != 0
}

/// How many sections are open.
pub(crate) fn depth() -> u32 {
    cpu::this().depth.load(Relaxed)
}

/// Whether one section is open, and not another in it.
#[inline(always)]
pub(crate) fn is_outermost() -> bool {
    cpu::this().depth.load(Relaxed) == 1
}

/// Marks jobs, or a dispatch, as waiting. Legal in interrupt context.
#[inline(always)]
pub(crate) fn post(bits: u64) {
    cpu::this().pending.fetch_or(bits, Relaxed);
}

/// Takes all that waits.
#[inline(always)]
pub(crate) fn take_pending() -> u64 {
    cpu::this().pending.swap(0, Relaxed)
}

/// Does what has waited for the outermost section to end, which has ended.
#[cold]
#[inline(never)]
pub(crate) fn service() {
    loop {
        let mut outermost = Outermost::hold();
        dispatch::service(&mut outermost, 0);
        if !outermost.give_up().waits() {
            return;
        }
    }
}
