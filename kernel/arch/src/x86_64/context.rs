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

/// Calls `work` with `data` by `$call`, which leaves the stack as it was; then rax is 0.
macro_rules! attempt {
    ($saved:expr, $work:expr, $data:expr, $top:expr, $($call:literal),+) => {{
        let failed: u64;
        // SAFETY: all registers are declared as changed but rbx and rbp, which are saved, so that the compiler saves
        // those that are in use. The stack is aligned for a call, and is so again after two words and two more. It
        // comes back as it was left: when the call returns, or by `give_up`, which takes the address off.
        unsafe {
            asm!(
                "push rbp",
                "push rbx",
                // The address to come back to, and MXCSR.
                "sub rsp, 16",
                "lea rax, [rip + 2f]",
                "mov [rsp], rax",
                "stmxcsr [rsp + 8]",
                "mov [r8], rsp",
                $($call,)+
                "add rsp, 8",
                "xor eax, eax",
                "2:",
                "cld",
                "ldmxcsr [rsp]",
                "add rsp, 8",
                "pop rbx",
                "pop rbp",
                inout("r8") $saved => _,
                inout("rsi") $work => _,
                inout("rdi") $data => _,
                inout("rcx") $top => _,
                out("rax") failed,
                out("rdx") _, out("r9") _, out("r10") _, out("r11") _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                clobber_abi("C"),
            );
        }
        failed != 0
    }};
}

/// Calls `work` with `data`; true when [`give_up`] has come back here from there. Where it is to come back to is
/// left in `*saved` meanwhile.
///
/// # Safety
/// `saved` is valid for a write, and `work` may be called with `data`.
#[inline(always)]
pub unsafe fn attempt(
    saved: *mut usize,
    work: unsafe extern "C" fn(*mut ()),
    data: *mut (),
) -> bool {
    attempt!(saved, work, data, 0_u64, "call rsi")
}

/// Calls `work` as [`attempt`] does, but on the stack with the upper end `top`; both are given up alike.
///
/// # Safety
/// As [`attempt`]; `top` is the 16-byte aligned upper end of a mapped stack that nothing else uses.
#[inline(always)]
pub unsafe fn attempt_on(
    saved: *mut usize,
    work: unsafe extern "C" fn(*mut ()),
    data: *mut (),
    top: usize,
) -> bool {
    attempt!(saved, work, data, top, "mov rbx, rsp", "mov rsp, rcx", "call rsi", "mov rsp, rbx")
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
    #[cfg(not(feature = "hosted"))]
    naked_asm!("mov rsp, rdi", "mov eax, 1", "sti", "ret");
    #[cfg(feature = "hosted")]
    naked_asm!(
        "mov rsp, rdi",
        "mov eax, 1",
        "mov byte ptr [rip + {enabled}], 1",
        "ret",
        enabled = sym crate::hosted::processor::ENABLED,
    )
}
