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

use super::core_words;
use core::arch::{asm, global_asm, naked_asm};

/// The first vector handed out; those below are exceptions.
pub const FIRST_VECTOR: u8 = 0x20;

/// How many vectors have an entry: a KiB of them, and several for each device that an image drives.
pub const VECTORS: usize = 64;

/// The timer's vector, behind those that are handed out. It has an entry of its own, which looks nothing up.
pub const TIMER_VECTOR: u8 = FIRST_VECTOR + VECTORS as u8;

/// The vector by which one processor has another forget translations of addresses. What it calls is `boot`'s.
pub const FLUSH_VECTOR: u8 = 0xfe;

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

    /// Where the two entries go on when what they call returns.
    static reflex_interrupted: u8;
    static reflex_timer_interrupted: u8;

    /// What every interrupt but the timer's calls, interrupts masked, on the interrupted stack; the
    /// kernel's runtime defines it. Interrupts are masked again when it returns.
    pub(crate) safe fn reflex_interrupt(vector: u64);

    /// What the timer's interrupt calls, in the same way.
    pub(crate) safe fn reflex_timer_interrupt();

    /// What the interrupt on [`FLUSH_VECTOR`] calls; it leaves interrupts masked.
    safe fn reflex_flush();
}

/// The address of a vector's entry, for the interrupt descriptor table; `None` for a vector
/// that has none.
pub fn entry_address(vector: u8) -> Option<usize> {
    match vector {
        TIMER_VECTOR => return Some(timer_entry as *const () as usize),
        FLUSH_VECTOR => return Some(flush_entry as *const () as usize),
        _ => {}
    }
    let place = usize::from(vector.checked_sub(FIRST_VECTOR)?);
    (place < VECTORS).then(|| &raw const reflex_vectors as usize + place * ENTRY_SIZE)
}

/// When this core's last interrupt was entered, by the time stamp counter; 0 without the feature `stamp`.
///
/// Under `-icount` this is the count at the entry's first instruction: those that come before the
/// counter is read and those from there on that do the noting are as many, and cancel out.
pub fn entered_at() -> u64 {
    core_words::stamp()
}

/// An interrupt's frame on the interrupted stack, as far as it tells where that goes on.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted {
    /// The interrupted instruction.
    pub rip: u64,
    /// The interrupted stack pointer.
    pub rsp: u64,
}

/// Words from the return address of what an entry calls to the interrupted rax, which is the first that was
/// moved: xmm registers and MXCSR with the padding, and eight general registers.
const SAVED_WORDS: usize = 1 + SAVED_STATE / 8 + 8;

/// Bytes for the xmm registers and MXCSR, with the padding that keeps the stack aligned.
const SAVED_STATE: usize = 272;

/// The least bytes from the interrupted stack pointer to the first word that was moved, but for the vector.
const MOVED: usize = RED_ZONE + 48;

/// Looks for the frame of the interrupt that came last, in the words of a stack from its pointer
/// up, each with its address. For crash reports: it may be mistaken, when words left behind are a whole one.
pub fn interrupted(words: impl Iterator<Item = (usize, u64)> + Clone) -> Option<Interrupted> {
    let entries = [
        (&raw const reflex_interrupted as u64, 1),
        (&raw const reflex_timer_interrupted as u64, 0),
    ];
    let mut from = words;
    loop {
        let (at, word) = from.next()?;
        let Some((_, vector)) = entries.iter().find(|(returns, _)| *returns == word) else {
            continue;
        };
        let mut frame = from.clone().skip(SAVED_WORDS + vector).map(|(_, word)| word);
        let (rip, _, _, rsp) = (frame.next()?, frame.next()?, frame.next()?, frame.next()?);
        // The entry has put the frame where that stack pointer says: a word that an earlier interrupt has left
        // does not have one like it.
        let moved = MOVED + size_of::<u64>() * vector;
        if rsp.wrapping_sub(moved as u64) & !15 == (at + size_of::<u64>() * SAVED_WORDS) as u64 {
            return Some(Interrupted { rip, rsp });
        }
    }
}

/// The entry `$name`, which calls `$call` and goes on at `$returns`. The stack holds, upwards: RIP, CS,
/// RFLAGS, RSP, SS; and first the vector, if it is `$numbered`: that is what is called with.
macro_rules! entry {
    ($name:ident, $numbered:literal, $call:ident, $returns:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                "push rax",
                // The interrupted stack pointer, less its red zone and the words to be moved.
                "mov rax, [rsp + {pointer}]",
                "sub rax, {moved}",
                "and rax, -16",
                "pop qword ptr [rax]",
                ".if {stamp}",
                "push rax",
                "push rdx",
                "rdtsc",
                "mov dword ptr gs:[rip + {words} + {at}], eax",
                "mov dword ptr gs:[rip + {words} + {at} + 4], edx",
                "pop rdx",
                "pop rax",
                ".if {numbered}",
                "nop",
                "nop",
                ".endif",
                ".endif",
                "pop qword ptr [rax + 8]",
                "pop qword ptr [rax + 16]",
                "pop qword ptr [rax + 24]",
                "pop qword ptr [rax + 32]",
                "pop qword ptr [rax + 40]",
                ".if {numbered}",
                "pop qword ptr [rax + 48]",
                ".endif",
                "mov rsp, rax",
                "push rcx",
                "push rdx",
                "push rsi",
                "push rdi",
                "push r8",
                "push r9",
                "push r10",
                "push r11",
                ".if {numbered}",
                "mov rdi, [rax + 8]",
                ".endif",
                "sub rsp, {state}",
                ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                "movaps [rsp + 16*\\n], xmm\\n",
                ".endr",
                "stmxcsr [rsp + 256]",
                "cld",
                "call {call}",
                concat!(".global ", $returns),
                concat!($returns, ":"),
                ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                "movaps xmm\\n, [rsp + 16*\\n]",
                ".endr",
                "ldmxcsr [rsp + 256]",
                "add rsp, {state}",
                "pop r11",
                "pop r10",
                "pop r9",
                "pop r8",
                "pop rdi",
                "pop rsi",
                "pop rdx",
                "pop rcx",
                "pop rax",
                ".if {numbered}",
                "add rsp, 8",
                ".endif",
                "iretq",
                numbered = const $numbered as u32,
                pointer = const 32 + 8 * $numbered as usize,
                moved = const MOVED + 8 * $numbered as usize,
                stamp = const cfg!(feature = "stamp") as u32,
                words = sym core_words::reflex_core_words,
                at = const core_words::STAMP,
                state = const SAVED_STATE,
                call = sym $call,
            )
        }
    };
}

entry!(entry, true, reflex_interrupt, "reflex_interrupted");
entry!(timer_entry, false, reflex_timer_interrupt, "reflex_timer_interrupted");
entry!(flush_entry, false, reflex_flush, "reflex_flush_interrupted");

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
