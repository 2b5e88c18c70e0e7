//! Moving the processor from one stack to another.
//!
//! A suspended stack holds, from its saved stack pointer up: the address to go on at, rbx and
//! rbp. The other registers that a call preserves are declared as changed by the instructions
//! that suspend, so that the compiler saves those that are in use, and only those. Whatever else
//! an interrupted function needs has been saved above by the interrupt's entry.

use core::arch::{asm, naked_asm};

/// What a stack is started with: entered by a jump, with an empty stack and its pointer a multiple
/// of 16, so that it can call at once. A function of Rust expects to have been called and will not
/// do.
pub type Entry = unsafe extern "C" fn(u64, u64, u64) -> !;

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

/// Suspends the present stack as [`switch`] does, and enters `entry` with `arguments` on an empty
/// one.
///
/// # Safety
/// `save` is valid for a write; `top` is the 16-byte aligned upper end of a mapped stack that
/// nothing else uses; `entry` does not return.
#[inline(always)]
pub unsafe fn start(save: *mut usize, top: usize, entry: Entry, arguments: [u64; 3]) {
    // SAFETY: all registers are declared as changed but rbx and rbp, which are saved; this stack
    // comes back as it was left when somebody goes on with it. The other is empty and nobody's,
    // says the caller, and the arguments are in the registers where the C convention has them.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [r8], rsp",
            "mov rsp, r9",
            "jmp r10",
            "2:",
            "pop rbx",
            "pop rbp",
            inout("r8") save => _,
            inout("r9") top => _,
            inout("r10") entry => _,
            inout("rdi") arguments[0] => _,
            inout("rsi") arguments[1] => _,
            inout("rdx") arguments[2] => _,
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

/// Drops the present stack and enters `entry` with `arguments` on an empty one, which may be the
/// present one.
///
/// # Safety
/// As [`start`]; nothing on the present stack is needed any more.
#[inline(always)]
pub unsafe fn restart(top: usize, entry: Entry, arguments: [u64; 3]) -> ! {
    // SAFETY: the stack is mapped and nobody else's, or this one, of which nothing is needed any
    // more, says the caller; the arguments are in the registers where the C convention has them;
    // there is no coming back, so nothing is to be saved.
    unsafe {
        asm!(
            "mov rsp, r9",
            "jmp r10",
            in("r9") top,
            in("r10") entry,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            options(noreturn),
        );
    }
}

/// A function that calls the second of its arguments with the third by `$call`, after which it has 0 in eax and
/// the stack is as it was, less the two words below the saved registers.
macro_rules! attempt {
    ($($call:literal),+) => {
        naked_asm!(
            "push rbp",
            "push rbx",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            // The address to come back to, and MXCSR; a third word keeps the stack aligned for a call.
            "sub rsp, 24",
            "lea rax, [rip + 2f]",
            "mov [rsp], rax",
            "stmxcsr [rsp + 8]",
            "mov [rdi], rsp",
            "mov rdi, rdx",
            $($call,)+
            "2:",
            "cld",
            "ldmxcsr [rsp]",
            "add rsp, 16",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop rbx",
            "pop rbp",
            "ret",
        )
    };
}

/// Calls `work` with `data`, and returns 0; or 1, when [`give_up`] has come back here from there.
/// Where it is to come back to is left in `*saved` meanwhile.
///
/// # Safety
/// `saved` is valid for a write, and `work` may be called with `data`.
#[unsafe(naked)]
pub unsafe extern "C" fn attempt(
    saved: *mut usize,
    work: unsafe extern "C" fn(*mut ()),
    data: *mut (),
) -> u64 {
    attempt!("call rsi", "xor eax, eax", "add rsp, 8")
}

/// Calls `work` as [`attempt`] does, but on the stack with the upper end `top`; both are given up alike.
///
/// # Safety
/// As [`attempt`]; `top` is the 16-byte aligned upper end of a mapped stack that nothing else uses.
#[unsafe(naked)]
pub unsafe extern "C" fn attempt_on(
    saved: *mut usize,
    work: unsafe extern "C" fn(*mut ()),
    data: *mut (),
    top: usize,
) -> u64 {
    attempt!("lea rbx, [rsp + 8]", "mov rsp, rcx", "call rsi", "xor eax, eax", "mov rsp, rbx")
}

/// Drops what an [`attempt`], or one [on another stack](attempt_on), has called, and has that return 1, with
/// interrupts let through.
///
/// # Safety
/// `saved` is what the attempt has left there, it has not returned, and this is the stack that it has
/// called on, with interrupts let through; nothing of what it has called is gone on with. An interrupt
/// that is being served has been acknowledged.
#[unsafe(naked)]
pub unsafe extern "C" fn give_up(saved: usize) -> ! {
    // The flag is set last: interrupts find the stack as it is to be.
    naked_asm!("mov rsp, rdi", "mov eax, 1", "sti", "ret")
}
