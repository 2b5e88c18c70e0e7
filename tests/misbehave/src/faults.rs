//! What the processor has to stop.

use core::arch::asm;
use core::hint::black_box;
use reflex::{Error, System};

/// Bytes in memory that may be written and so must not run: `ret`, padded.
static DATA: [u8; 16] = [0xc3; 16];

/// Reads page zero.
pub(crate) fn read_null() -> u64 {
    let nowhere = black_box(core::ptr::null::<u64>());
    let value;
    // SAFETY: the load is the processor's business alone, and faults: page zero is not mapped.
    unsafe { asm!("mov {}, [{}]", out(reg) value, in(reg) nowhere, options(nostack)) };
    value
}

/// Writes on the code of a function: its own first byte, were it to come through.
pub(crate) fn write_text(function: fn(System) -> Result<(), Error>) -> u64 {
    let code = function as *const () as u64;
    // SAFETY: the byte written is the one that is there, so even a store that came through would
    // change nothing; it faults, because text is not writable.
    unsafe {
        asm!(
            "mov {byte}, [{code}]",
            "mov [{code}], {byte}",
            byte = out(reg_byte) _,
            code = in(reg) code,
            options(nostack),
        );
    }
    code
}

/// Jumps to data.
pub(crate) fn execute_data() -> u64 {
    let code = black_box(DATA.as_ptr());
    // SAFETY: the data is a `ret`, so even a call that came through would do nothing; it faults,
    // because data is not executable.
    unsafe { asm!("call {}", in(reg) code, clobber_abi("C")) };
    code as u64
}

/// Executes an instruction that the processor promises never to know.
pub(crate) fn invalid_opcode() -> u64 {
    // SAFETY: faults, and touches nothing.
    unsafe { asm!("ud2", options(nomem, nostack)) };
    0
}

/// Masks interrupts, and keeps the processor for itself.
pub(crate) fn mask_and_spin() -> u64 {
    // SAFETY: touches no memory; nobody comes any more, and this does not go on.
    unsafe { asm!("cli", "2: jmp 2b", options(nomem, nostack, noreturn)) };
}

/// Calls itself until the stack is used up.
#[inline(never)]
pub(crate) fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if depth == u64::MAX {
        return 0;
    }
    descend(depth + 1) + frame[(depth % 32) as usize]
}
