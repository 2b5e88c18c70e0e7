//! Moving the processor from one stack to another.
//!
//! A suspended stack holds, from its saved stack pointer up: the address to go on at, rbx and
//! rbp. The other registers that a call preserves are declared as changed by the instructions
//! that suspend, so that the compiler saves those that are in use, and only those. Whatever else
//! an interrupted function needs has been saved above by the interrupt's entry.

use core::arch::{asm, naked_asm};

/// Suspends the present stack, leaving its stack pointer in `*save`, and goes on with the one
/// suspended at `target`. Returns when somebody goes on with this one.
///
/// # Safety
/// `save` is valid for a write; `target` was left by [`switch`] or [`start`] and has not been
/// gone on with since.
#[inline(always)]
pub unsafe fn switch(save: *mut usize, target: usize) {
    // SAFETY: all registers are declared as changed but rbx and rbp, which are saved; the stack
    // comes back as it was left, by the caller's duty.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "ret",
            "2:",
            "pop rbx",
            "pop rbp",
            inout("rdi") save => _,
            inout("rsi") target => _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("C"),
        );
    }
}

/// Suspends the present stack as [`switch`] does, and calls `entry` on an empty one.
///
/// # Safety
/// `save` is valid for a write; `top` is the 16-byte aligned upper end of a mapped stack that
/// nothing else uses; `entry` does not return.
#[inline(always)]
pub unsafe fn start(save: *mut usize, top: usize, entry: extern "C" fn() -> !) {
    // SAFETY: as in `switch`; the call leaves the stack as the ABI has it at a function's entry.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "call rdx",
            "2:",
            "pop rbx",
            "pop rbp",
            inout("rdi") save => _,
            inout("rsi") top => _,
            inout("rdx") entry => _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("C"),
        );
    }
}

/// Drops the present stack and goes on with the one suspended at `target`.
///
/// # Safety
/// As [`switch`]; nothing on the present stack is needed any more.
#[unsafe(naked)]
pub unsafe extern "C" fn resume(target: usize) -> ! {
    naked_asm!("mov rsp, rdi", "ret")
}

/// Drops the present stack and calls `entry` on an empty one, which may be the present one.
///
/// # Safety
/// As [`start`]; nothing on the present stack is needed any more.
#[unsafe(naked)]
pub unsafe extern "C" fn restart(top: usize, entry: extern "C" fn() -> !) -> ! {
    naked_asm!("mov rsp, rdi", "xor ebp, ebp", "call rsi", "ud2")
}
