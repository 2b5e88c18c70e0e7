//! Registers, as reports have them.

use core::ops::Range;
use reflex_arch::exception::ExceptionFrame;
use reflex_arch::interrupt;

/// Registers, by name.
#[derive(Clone, Copy)]
pub struct Registers {
    names: &'static [&'static str],
    values: [u64; Self::MOST],
}

impl Registers {
    const MOST: usize = 19;

    /// No registers.
    pub const NONE: Self = Self { names: &[], values: [0; Self::MOST] };

    /// What an exception found.
    pub fn of(frame: &ExceptionFrame) -> Self {
        let names = &[
            "rip", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
            "r11", "r12", "r13", "r14", "r15", "rflags", "cr2",
        ];
        let values = [
            frame.rip,
            frame.rsp,
            frame.rbp,
            frame.rax,
            frame.rbx,
            frame.rcx,
            frame.rdx,
            frame.rsi,
            frame.rdi,
            frame.r8,
            frame.r9,
            frame.r10,
            frame.r11,
            frame.r12,
            frame.r13,
            frame.r14,
            frame.r15,
            frame.rflags,
            frame.cr2,
        ];
        Self { names, values }
    }

    /// The registers an unwinder needs, as they are at one instruction of the caller: this is
    /// inlined, so that the caller's unwind table describes them.
    #[inline(always)]
    pub fn here() -> Self {
        let mut values = [0; Self::MOST];
        // SAFETY: `values` has room for eight words; no register but the scratch one changes.
        unsafe {
            core::arch::asm!(
                "lea {scratch}, [rip]",
                "mov [{to}], {scratch}",
                "mov [{to} + 8], rsp",
                "mov [{to} + 16], rbp",
                "mov [{to} + 24], rbx",
                "mov [{to} + 32], r12",
                "mov [{to} + 40], r13",
                "mov [{to} + 48], r14",
                "mov [{to} + 56], r15",
                to = in(reg) values.as_mut_ptr(),
                scratch = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
        Self { names: &["rip", "rsp", "rbp", "rbx", "r12", "r13", "r14", "r15"], values }
    }

    /// Those of the code that the last interrupt on `stack` has interrupted; when none can be found,
    /// those of the caller.
    pub(crate) fn interrupted(stack: &Range<usize>) -> Self {
        let here = Self::here();
        let from = (here.stack_pointer() as usize).clamp(stack.start, stack.end);
        let words = (from..stack.end & !7).step_by(size_of::<u64>()).map(|at| {
            // SAFETY: within the stack that this runs on, and aligned.
            (at, unsafe { core::ptr::with_exposed_provenance::<u64>(at).read_volatile() })
        });
        let Some(frame) = interrupt::interrupted(words) else { return here };
        let mut values = [0; Self::MOST];
        values[..2].copy_from_slice(&[frame.rip, frame.rsp]);
        Self { names: &["rip", "rsp"], values }
    }

    /// Those of a context that was left in the middle of its work, as they will be when it goes on:
    /// `saved` is where its stack was left.
    ///
    /// # Safety
    /// The context was left by the kernel's switching, and is not gone back to meanwhile.
    pub(crate) unsafe fn saved(saved: usize) -> Self {
        let words = core::ptr::with_exposed_provenance::<[u64; 3]>(saved);
        // SAFETY: there lie the address to go on at, rbx and rbp: see `reflex_arch::context`.
        let [rip, rbx, rbp] = unsafe { words.read_volatile() };
        let mut values = [0; Self::MOST];
        values[..4].copy_from_slice(&[rip, saved as u64 + size_of::<[u64; 3]>() as u64, rbp, rbx]);
        Self { names: &["rip", "rsp", "rbp", "rbx"], values }
    }

    /// The registers.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.names.iter().copied().zip(self.values)
    }

    /// The stack pointer: the second of them, however many there are.
    pub fn stack_pointer(&self) -> u64 {
        self.values[1]
    }
}
