//! The words of a core that code reaches in one instruction: by the `gs` base, which each core has to itself.
//!
//! The first core uses the image's own words, [`reflex_core_words`], and the base 0 that it starts with: so
//! they are there before anything has been set up. The base of another core is how far its words lie behind
//! those. No code changes its core, and the base is set once: what is reached stays the same for as long as
//! the code runs.
//!
//! A read-modify-write instruction without `lock` is one step for the interrupts of the same core, and no
//! other core comes to these words.

use ::x86_64::registers::model_specific::Msr;
use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The words of a core.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct CoreWords {
    /// Where the rest of what the core owns is.
    block: *const (),
    /// What waits for the outermost section to end, a bit each.
    pending: AtomicU64,
    /// How many sections are open.
    depth: AtomicU32,
    /// Which core it is.
    number: u32,
    /// When the last interrupt was entered, by the time stamp counter, with the feature `stamp`.
    stamp: AtomicU64,
}

// SAFETY: what the pointer points to is the concern of the code that follows it; the rest are atomics.
unsafe impl Sync for CoreWords {}

/// The register of the base (SDM vol. 4, table 2-2).
const GS_BASE: u32 = 0xc000_0101;

/// Where words lie in the core's, for code in assembly.
pub const DEPTH: usize = offset_of!(CoreWords, depth);
/// As above.
pub const PENDING: usize = offset_of!(CoreWords, pending);
pub(super) const STAMP: usize = offset_of!(CoreWords, stamp);

unsafe extern "C" {
    /// The first core's words; the kernel's runtime defines them.
    pub static reflex_core_words: CoreWords;
}

impl CoreWords {
    /// The words of the core `number`, of which the rest is at `block`: no section is open, and nothing waits.
    pub const fn new(number: u32, block: *const ()) -> Self {
        Self {
            block,
            pending: AtomicU64::new(0),
            depth: AtomicU32::new(0),
            number,
            stamp: AtomicU64::new(0),
        }
    }

    /// As they were when they were made: for a core that is started anew.
    pub fn reset(&self) {
        self.pending.store(0, Relaxed);
        self.depth.store(0, Relaxed);
    }
}

/// From here on this core has these words. Before, it has the first core's, at which that is at work.
///
/// # Safety
/// Called once on a core other than the first, in ring 0, with interrupts masked, by code that comes to no words
/// before; after the core's segments were loaded, which clears the base.
pub unsafe fn set(words: &'static CoreWords) {
    let base = (&raw const *words as u64).wrapping_sub(&raw const reflex_core_words as u64);
    // SAFETY: nothing but these words is reached by the base, says the caller.
    unsafe { Msr::new(GS_BASE).write(base) }
}

/// Where the rest of what this core owns is.
#[inline(always)]
pub fn block() -> *const () {
    let block;
    // SAFETY: reads a word that is never changed, so that it may be said that none is read.
    unsafe {
        asm!(
            "mov {block}, gs:[rip + {words} + {at}]",
            block = out(reg) block,
            words = sym reflex_core_words,
            at = const offset_of!(CoreWords, block),
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    block
}

/// What lies so many bytes from the beginning of [`block`], found anew where it is asked for: so that the one address is all
/// that is kept in registers, and not over calls.
#[inline(always)]
pub fn part<const OFFSET: usize>() -> *const () {
    let part;
    // SAFETY: reads the core's own word.
    unsafe {
        asm!(
            "mov {part}, gs:[rip + {words} + {at}]",
            "add {part}, {offset}",
            part = out(reg) part,
            words = sym reflex_core_words,
            at = const offset_of!(CoreWords, block),
            offset = const OFFSET,
            options(readonly, nostack)
        );
    }
    part
}

/// Which core this is.
#[inline(always)]
pub fn number() -> u32 {
    let number;
    // SAFETY: as in `block`.
    unsafe {
        asm!(
            "mov {number:e}, gs:[rip + {words} + {at}]",
            number = out(reg) number,
            words = sym reflex_core_words,
            at = const offset_of!(CoreWords, number),
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    number
}

/// When the last interrupt of this core was entered.
pub(super) fn stamp() -> u64 {
    let stamp;
    // SAFETY: reads the core's own word.
    unsafe {
        asm!(
            "mov {stamp}, gs:[rip + {words} + {at}]",
            stamp = out(reg) stamp,
            words = sym reflex_core_words,
            at = const STAMP,
            options(readonly, nostack, preserves_flags)
        );
    }
    stamp
}

/// How many sections are open.
#[inline(always)]
pub fn depth() -> u32 {
    let depth;
    // SAFETY: reads the core's own word.
    unsafe {
        asm!(
            "mov {depth:e}, gs:[rip + {words} + {at}]",
            depth = out(reg) depth,
            words = sym reflex_core_words,
            at = const DEPTH,
            options(readonly, nostack, preserves_flags)
        );
    }
    depth
}

/// Whether so many sections are open.
#[inline(always)]
pub fn is_depth<const SECTIONS: u32>() -> bool {
    // SAFETY: compares the core's own word.
    unsafe {
        asm!(
            "cmp dword ptr gs:[rip + {words} + {at}], {sections}",
            "jne {other}",
            words = sym reflex_core_words,
            at = const DEPTH,
            sections = const SECTIONS,
            other = label { return false },
            options(readonly, nostack)
        );
    }
    true
}

/// So many sections are open from here on. The compiler moves nothing over this.
#[inline(always)]
pub fn set_depth(depth: u32) {
    // SAFETY: writes the core's own word.
    unsafe {
        asm!(
            "mov dword ptr gs:[rip + {words} + {at}], {depth:e}",
            depth = in(reg) depth,
            words = sym reflex_core_words,
            at = const DEPTH,
            options(nostack, preserves_flags)
        );
    }
}

/// [`set_depth`] of what is known already.
#[inline(always)]
pub fn set_depth_to<const SECTIONS: u32>() {
    // SAFETY: as above.
    unsafe {
        asm!(
            "mov dword ptr gs:[rip + {words} + {at}], {sections}",
            sections = const SECTIONS,
            words = sym reflex_core_words,
            at = const DEPTH,
            options(nostack, preserves_flags)
        );
    }
}

/// Another section is open from here on. The compiler moves nothing over this.
#[inline(always)]
pub fn deepen() {
    // SAFETY: writes the core's own word.
    unsafe {
        asm!(
            "inc dword ptr gs:[rip + {words} + {at}]",
            words = sym reflex_core_words,
            at = const DEPTH,
            options(nostack)
        );
    }
}

/// One section less is open from here on, and the compiler moves nothing over this. `waits` is called when none
/// is and something waits, `inner` when one still is.
#[inline(always)]
pub fn leave(waits: impl FnOnce(), inner: impl FnOnce()) {
    // SAFETY: writes the core's own word, and compares the other.
    unsafe {
        asm!(
            "dec dword ptr gs:[rip + {words} + {depth}]",
            "jne {inner}",
            "cmp qword ptr gs:[rip + {words} + {pending}], 0",
            "jne {waits}",
            words = sym reflex_core_words,
            depth = const DEPTH,
            pending = const PENDING,
            inner = label { inner() },
            waits = label { waits() },
            options(nostack)
        );
    }
}

/// One section less is open from here on, and the compiler moves nothing over this. `marked` is called when the
/// highest bit of the depth is set.
#[inline(always)]
pub fn leave_inner(marked: impl FnOnce()) {
    // SAFETY: writes the core's own word.
    unsafe {
        asm!(
            "dec dword ptr gs:[rip + {words} + {depth}]",
            "js {marked}",
            words = sym reflex_core_words,
            depth = const DEPTH,
            marked = label { marked() },
            options(nostack)
        );
    }
}

/// Whether the highest bit of the depth is set.
#[inline(always)]
pub fn is_marked() -> bool {
    // SAFETY: compares the core's own word.
    unsafe {
        asm!(
            "cmp dword ptr gs:[rip + {words} + {depth}], 0",
            "jns {plain}",
            words = sym reflex_core_words,
            depth = const DEPTH,
            plain = label { return false },
            options(readonly, nostack)
        );
    }
    true
}

/// Whether something waits.
#[inline(always)]
pub fn waits() -> bool {
    // SAFETY: compares the core's own word.
    unsafe {
        asm!(
            "cmp qword ptr gs:[rip + {words} + {pending}], 0",
            "je {nothing}",
            words = sym reflex_core_words,
            pending = const PENDING,
            nothing = label { return false },
            options(readonly, nostack)
        );
    }
    true
}

/// These wait from here on, too.
#[inline(always)]
pub fn post(bits: u64) {
    // SAFETY: writes the core's own word.
    unsafe {
        asm!(
            "or qword ptr gs:[rip + {words} + {pending}], {bits}",
            bits = in(reg) bits,
            words = sym reflex_core_words,
            pending = const PENDING,
            options(nostack)
        );
    }
}

/// Takes all that waits.
#[inline(always)]
pub fn take_pending() -> u64 {
    let mut taken = 0_u64;
    // SAFETY: writes the core's own word.
    unsafe {
        asm!(
            "xchg qword ptr gs:[rip + {words} + {pending}], {taken}",
            taken = inout(reg) taken,
            words = sym reflex_core_words,
            pending = const PENDING,
            options(nostack, preserves_flags)
        );
    }
    taken
}

/// Takes what waits if it is `bits` and nothing else.
#[inline(always)]
pub fn take_only(bits: u64) -> bool {
    let waited: u64;
    // SAFETY: writes the core's own word.
    unsafe {
        asm!(
            "cmpxchg qword ptr gs:[rip + {words} + {pending}], {nothing}",
            nothing = in(reg) 0_u64,
            inout("rax") bits => waited,
            words = sym reflex_core_words,
            pending = const PENDING,
            options(nostack)
        );
    }
    waited == bits
}
