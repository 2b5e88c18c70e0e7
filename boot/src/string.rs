//! The C memory functions that compiled code calls.
//!
//! In assembly: a loop in Rust may be compiled into a call to the very function it is in. They
//! move 16 bytes at a time, as an emulator executes `rep movsb` byte by byte. The last, partial
//! block is moved as a whole block that overlaps the one before it.

use core::arch::naked_asm;

/// Copies `length` bytes; the two may not overlap.
///
/// # Safety
/// As C's `memcpy`.
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // A forward `memmove` is one.
    naked_asm!("jmp {}", sym memmove)
}

/// Copies `length` bytes, which may overlap.
///
/// # Safety
/// As C's `memmove`.
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // Up to 32 bytes are all read before any is written, so overlap does not matter. Beyond,
    // the direction keeps the source ahead of the destination, and the blocks at the far end
    // are read before the loop and written after it.
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 3f",
        "cmp rdx, 32",
        "ja 2f",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + rdx - 16]",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm1",
        "ret",
        "2:",
        "mov rcx, rdi",
        "sub rcx, rsi",
        "cmp rcx, rdx",
        "jb 5f",
        // Forward: the last 16 bytes apart, the loop up to them.
        "movups xmm1, [rsi + rdx - 16]",
        "lea r8, [rdi + rdx - 16]",
        "sub rsi, rdi",
        // Four blocks at a time as long as they end before the last one.
        "lea r9, [r8 - 48]",
        "cmp rdi, r9",
        "ja 4f",
        "9:",
        "movups xmm0, [rsi + rdi]",
        "movups xmm2, [rsi + rdi + 16]",
        "movups xmm3, [rsi + rdi + 32]",
        "movups xmm4, [rsi + rdi + 48]",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm2",
        "movups [rdi + 32], xmm3",
        "movups [rdi + 48], xmm4",
        "add rdi, 64",
        "cmp rdi, r9",
        "jbe 9b",
        "cmp rdi, r8",
        "jae 20f",
        "4:",
        "movups xmm0, [rsi + rdi]",
        "movups [rdi], xmm0",
        "add rdi, 16",
        "cmp rdi, r8",
        "jb 4b",
        "20:",
        "movups [r8], xmm1",
        "ret",
        // Backward: the first 16 bytes apart, the loop down to them.
        "5:",
        "movups xmm1, [rsi]",
        "6:",
        "movups xmm0, [rsi + rdx - 16]",
        "movups [rdi + rdx - 16], xmm0",
        "sub rdx, 16",
        "cmp rdx, 16",
        "ja 6b",
        "movups [rdi], xmm1",
        "ret",
        // Under 16 bytes: two overlapping halves of 8, 4 or 2, or one byte.
        "3:",
        "cmp edx, 8",
        "jb 7f",
        "mov r8, [rsi]",
        "mov r9, [rsi + rdx - 8]",
        "mov [rdi], r8",
        "mov [rdi + rdx - 8], r9",
        "ret",
        "7:",
        "cmp edx, 4",
        "jb 8f",
        "mov r8d, [rsi]",
        "mov r9d, [rsi + rdx - 4]",
        "mov [rdi], r8d",
        "mov [rdi + rdx - 4], r9d",
        "ret",
        "8:",
        "test edx, edx",
        "jz 9f",
        // One to three bytes: the first, the middle and the last, which may be the same.
        "mov rcx, rdx",
        "shr rcx, 1",
        "mov r8b, [rsi]",
        "mov r9b, [rsi + rcx]",
        "mov r10b, [rsi + rdx - 1]",
        "mov [rdi], r8b",
        "mov [rdi + rcx], r9b",
        "mov [rdi + rdx - 1], r10b",
        "9:",
        "ret",
    )
}

/// Sets `length` bytes to the low byte of `value`.
///
/// # Safety
/// As C's `memset`.
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "movzx r8d, sil",
        "mov r9, 0x0101010101010101",
        "imul r8, r9",
        "cmp rdx, 16",
        "jb 3f",
        "movq xmm0, r8",
        "punpcklqdq xmm0, xmm0",
        "lea rcx, [rdi + rdx - 16]",
        "2:",
        "movups [rdi], xmm0",
        "add rdi, 16",
        "cmp rdi, rcx",
        "jb 2b",
        "movups [rcx], xmm0",
        "ret",
        "3:",
        "cmp edx, 8",
        "jb 4f",
        "mov [rdi], r8",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "4:",
        "cmp edx, 4",
        "jb 5f",
        "mov [rdi], r8d",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        "5:",
        "test edx, edx",
        "jz 6f",
        "mov rcx, rdx",
        "shr rcx, 1",
        "mov [rdi], r8b",
        "mov [rdi + rcx], r8b",
        "mov [rdi + rdx - 1], r8b",
        "6:",
        "ret",
    )
}

/// Compares `length` bytes: negative, zero or positive as the first difference says.
///
/// # Safety
/// As C's `memcmp`.
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    naked_asm!(
        "xor ecx, ecx",
        "2:",
        "lea r8, [rcx + 16]",
        "cmp r8, rdx",
        "ja 4f",
        "movups xmm0, [rdi + rcx]",
        "movups xmm1, [rsi + rcx]",
        "pcmpeqb xmm0, xmm1",
        "pmovmskb eax, xmm0",
        "xor eax, 0xffff",
        "jnz 3f",
        "mov rcx, r8",
        "jmp 2b",
        // A difference: the lowest set bit says where in the block.
        "3:",
        "bsf eax, eax",
        "add rcx, rax",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx edx, byte ptr [rsi + rcx]",
        "sub eax, edx",
        "ret",
        "4:",
        "cmp rcx, rdx",
        "jae 5f",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "inc rcx",
        "sub eax, r8d",
        "jz 4b",
        "ret",
        "5:",
        "xor eax, eax",
        "ret",
    )
}

/// Compares `length` bytes for equality: zero when equal.
///
/// # Safety
/// As BSD's `bcmp`.
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    naked_asm!("jmp {}", sym memcmp)
}

/// Bytes before the first zero.
///
/// # Safety
/// As C's `strlen`.
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn strlen(text: *const u8) -> usize {
    naked_asm!("mov rax, -1", "2:", "inc rax", "cmp byte ptr [rdi + rax], 0", "jne 2b", "ret",)
}

#[cfg(test)]
mod tests;
