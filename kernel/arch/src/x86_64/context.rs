//! Moving the processor from one stack to another.
//!
//! A suspended stack holds, from its saved stack pointer up: r15, r14, r13, r12, rbx, rbp and
//! the address to go on at. That is all a function call may expect to find again; whatever else
//! an interrupted function needs has been saved above it by the interrupt's entry.

use core::arch::naked_asm;

/// Suspends the present stack, leaving its stack pointer in `*save`, and goes on with the one
/// suspended at `target`. Returns when somebody goes on with this one.
///
/// # Safety
/// `save` is valid for a write; `target` was left by [`switch`] or [`start`] and has not been
/// gone on with since.
#[unsafe(naked)]
pub unsafe extern "C" fn switch(save: *mut usize, target: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Suspends the present stack as [`switch`] does, and calls `entry` on an empty one.
///
/// # Safety
/// `save` is valid for a write; `top` is the 16-byte aligned upper end of a mapped stack that
/// nothing else uses; `entry` does not return.
#[unsafe(naked)]
pub unsafe extern "C" fn start(save: *mut usize, top: usize, entry: extern "C" fn() -> !) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "xor ebp, ebp",
        "call rdx",
        "ud2",
    )
}

/// Drops the present stack and goes on with the one suspended at `target`.
///
/// # Safety
/// As [`switch`]; nothing on the present stack is needed any more.
#[unsafe(naked)]
pub unsafe extern "C" fn resume(target: usize) -> ! {
    naked_asm!(
        "mov rsp, rdi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Drops the present stack and calls `entry` on an empty one, which may be the present one.
///
/// # Safety
/// As [`start`]; nothing on the present stack is needed any more.
#[unsafe(naked)]
pub unsafe extern "C" fn restart(top: usize, entry: extern "C" fn() -> !) -> ! {
    naked_asm!("mov rsp, rdi", "xor ebp, ebp", "call rsi", "ud2")
}
