//! Interrupt entry: from the vector to Rust, and back.
//!
//! The processor enters every vector on an interrupt stack (IST) of its own, because the
//! interrupted code may be using the 128 bytes under its stack pointer (the red zone of the
//! System V ABI, which precompiled `core` uses). The entry copies what the processor pushed to
//! below the red zone of the *interrupted* stack and moves there, so the IST stack is free for the
//! next interrupt at once, and a preempted context keeps all its state on its own stack.
//!
//! General registers that a call may change, xmm0 to xmm15 and MXCSR are saved by moves: FXSAVE
//! is several times slower under emulation. The x87 state is not saved, as Rust never uses it.

use core::arch::{asm, global_asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The first vector handed out; those below are exceptions.
pub const FIRST_VECTOR: u8 = 0x20;

/// How many vectors have an entry: a KiB of them, and several for each device that an image drives.
pub const VECTORS: usize = 64;

/// Bytes from one vector's entry to the next.
const ENTRY_SIZE: usize = 16;

/// Bytes under a stack pointer that belong to the interrupted function (System V ABI, 3.2.2).
const RED_ZONE: usize = 128;

global_asm!(
    ".pushsection .text.reflex_vectors, \"ax\", @progbits",
    ".balign 16",
    ".global reflex_vectors",
    "reflex_vectors:",
    ".set reflex_vector, {first}",
    ".rept {count}",
    ".balign {size}",
    "pushq $reflex_vector",
    "jmp {entry}",
    ".set reflex_vector, reflex_vector + 1",
    ".endr",
    ".popsection",
    first = const FIRST_VECTOR,
    count = const VECTORS,
    size = const ENTRY_SIZE,
    entry = sym entry,
    options(att_syntax)
);

unsafe extern "C" {
    static reflex_vectors: u8;

    /// Where the entry goes on when what it calls returns.
    static reflex_interrupted: u8;

    /// What every interrupt calls, interrupts masked, on the interrupted stack; the kernel's
    /// runtime defines it. Interrupts are masked again when it returns.
    pub(crate) safe fn reflex_interrupt(vector: u64);
}

/// The address of a vector's entry, for the interrupt descriptor table; `None` for a vector
/// that has none.
pub fn entry_address(vector: u8) -> Option<usize> {
    let place = usize::from(vector.checked_sub(FIRST_VECTOR)?);
    (place < VECTORS).then(|| &raw const reflex_vectors as usize + place * ENTRY_SIZE)
}

/// When the last interrupt was entered, by the time stamp counter, with the feature `stamp`.
static STAMP: AtomicU64 = AtomicU64::new(0);

/// When the last interrupt was entered, by the time stamp counter; 0 without the feature `stamp`.
///
/// Under `-icount` this is the count at the entry's first instruction: the four that come before
/// the counter is read and the four from there on that do the noting cancel out.
pub fn entered_at() -> u64 {
    STAMP.load(Relaxed)
}

/// An interrupt's frame on the interrupted stack, as far as it tells where that goes on.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted {
    /// The interrupted instruction.
    pub rip: u64,
    /// The interrupted stack pointer.
    pub rsp: u64,
}

/// Words from the return address of what the entry calls to the first that it moved: xmm registers
/// and MXCSR with the padding, and seven general registers.
const SAVED_WORDS: usize = 1 + 264 / 8 + 7;

/// Looks for the frame of the interrupt that came last, in the words of a stack from its pointer
/// up. For crash reports: it may be mistaken, when words left behind look like one.
pub fn interrupted(words: impl Iterator<Item = u64> + Clone) -> Option<Interrupted> {
    let returns = &raw const reflex_interrupted as u64;
    let mut from = words;
    loop {
        if from.next()? == returns {
            // Behind the two registers that were pushed first and the vector.
            let mut frame = from.skip(SAVED_WORDS - 1 + 3);
            let (rip, _, _, rsp) = (frame.next()?, frame.next()?, frame.next()?, frame.next()?);
            return Some(Interrupted { rip, rsp });
        }
    }
}

/// The common entry. The stack holds, upwards: vector, RIP, CS, RFLAGS, RSP, SS.
#[unsafe(naked)]
unsafe extern "C" fn entry() {
    naked_asm!(
        "push rax",
        "push rcx",
        ".if {stamp}",
        "push rdx",
        "rdtsc",
        "mov dword ptr [{at}], eax",
        "mov dword ptr [{at} + 4], edx",
        "pop rdx",
        ".endif",
        // The interrupted stack pointer, less its red zone and the eight words to be moved.
        "mov rax, [rsp + 48]",
        "sub rax, {moved}",
        "and rax, -16",
        "pop qword ptr [rax]",
        "pop qword ptr [rax + 8]",
        "pop qword ptr [rax + 16]",
        "pop qword ptr [rax + 24]",
        "pop qword ptr [rax + 32]",
        "pop qword ptr [rax + 40]",
        "pop qword ptr [rax + 48]",
        "pop qword ptr [rax + 56]",
        "mov rsp, rax",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "mov rdi, [rax + 16]",
        "sub rsp, 264",
        ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "movaps [rsp + 16*\\n], xmm\\n",
        ".endr",
        "stmxcsr [rsp + 256]",
        "cld",
        "call {interrupt}",
        ".global reflex_interrupted",
        "reflex_interrupted:",
        ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "movaps xmm\\n, [rsp + 16*\\n]",
        ".endr",
        "ldmxcsr [rsp + 256]",
        "add rsp, 264",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "add rsp, 8",
        "iretq",
        stamp = const cfg!(feature = "stamp") as u32,
        at = sym STAMP,
        moved = const RED_ZONE + 64,
        interrupt = sym reflex_interrupt,
    )
}

/// An entry that returns at once, for the local APIC's spurious vector, which is not
/// acknowledged (Intel SDM volume 3, 11.9).
///
/// # Safety
/// Only the processor enters it, through a gate.
#[unsafe(naked)]
pub unsafe extern "C" fn spurious() {
    naked_asm!("iretq")
}

/// Lets interrupts through.
///
/// # Safety
/// Every vector a device may raise has an entry, and the interrupt stacks are set up.
#[inline(always)]
pub unsafe fn enable() {
    // SAFETY: every interrupt that can come has its entry, says the caller. Not `nomem`: what an
    // interrupt changes must be read again.
    unsafe { asm!("sti", options(nostack)) }
}

/// Masks interrupts.
#[inline(always)]
pub fn disable() {
    // SAFETY: masking interrupts breaks no memory rule.
    unsafe { asm!("cli", options(nostack)) }
}

/// Whether interrupts are let through.
#[inline(always)]
pub fn enabled() -> bool {
    let flags: u64;
    // SAFETY: reads the flags; the push stays above the red zone because of no `nostack`.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(nomem, preserves_flags)) }
    flags & 1 << 9 != 0
}

/// Lets interrupts through and halts until one has been served. With interrupts masked on
/// entry, none can slip in between the caller's last check and the halt: `sti` takes effect
/// after the instruction that follows it (Intel SDM volume 2, STI).
///
/// # Safety
/// As [`enable`].
#[inline(always)]
pub unsafe fn enable_and_halt() {
    // SAFETY: every interrupt that can come has its entry, says the caller. Not `nomem`: what the
    // interrupt that ends the halt has changed must be read again.
    unsafe { asm!("sti", "hlt", options(nostack)) }
}
