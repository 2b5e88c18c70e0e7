//! The vector table, and entry from the processor's 32 exceptions.
//!
//! Stubs are generic over their [`Handler`], so that the table holds no state of this crate's.

use super::segments::{CODE_SELECTOR, Ist};
use core::arch::{asm, naked_asm};

/// What an exception found. Returning from the handler resumes at `rip`, `cs`, `rflags`,
/// `rsp`, `ss` with these registers, as the handler left them here.
///
/// Vector and x87 registers are not saved: the handler resumes only where nothing relies on
/// them, such as a dispatcher's abandonment point.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[allow(missing_docs, reason = "the fields are the registers of these names")]
pub struct ExceptionFrame {
    /// The faulting address, meaningful for vector 14.
    pub cr2: u64,
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    /// Which exception, 0 to 31.
    pub vector: u64,
    /// What the processor pushed; zero for exceptions without an error code.
    pub error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl ExceptionFrame {
    /// The exception's name, as the SDM spells it (vol. 3, table 6-1).
    pub fn name(&self) -> &'static str {
        name(self.vector as u8)
    }
}

/// An exception's name, as the SDM spells it (vol. 3, table 6-1).
pub fn name(vector: u8) -> &'static str {
    NAMES.get(usize::from(vector)).copied().unwrap_or("unknown exception")
}

const NAMES: [&str; 22] = [
    "divide error",
    "debug exception",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "BOUND range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack-segment fault",
    "general protection",
    "page fault",
    "reserved exception 15",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point exception",
    "virtualization exception",
    "control protection exception",
];

/// Exceptions for which the processor pushes an error code: 8, 10 to 14, 17, 21, 29, 30.
const WITH_ERROR_CODE: u32 = 1 << 8 | 0x1f << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;

/// What is called when an exception occurs.
pub trait Handler: 'static {
    /// Called on the exception's own stack, with interrupts masked. May change `frame`, and
    /// need not return.
    extern "C" fn handle(frame: &mut ExceptionFrame);
}

/// A gate of the vector table (SDM vol. 3, 6.14.1).
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate {
    low: u64,
    high: u64,
}

/// The vector table: 256 gates.
#[repr(C, align(4096))]
pub struct Idt([Gate; 256]);

impl Idt {
    /// A table without gates: all zero, so that it takes no room in the image.
    pub const fn new() -> Self {
        Self([Gate { low: 0, high: 0 }; 256])
    }

    /// Sets all 32 exceptions to call `H`.
    pub fn set_exceptions<H: Handler>(&mut self) {
        for (vector, stub) in stubs::<H>().into_iter().enumerate() {
            let ist = match vector {
                2 => Ist::Nmi,
                8 => Ist::DoubleFault,
                18 => Ist::MachineCheck,
                _ => Ist::Exception,
            };
            // SAFETY: the stub is an entry point for exactly this vector.
            unsafe { self.set(vector as u8, stub as *const () as u64, ist) };
        }
    }

    /// Makes `vector` enter at `address`, on stack `ist`, with interrupts masked.
    ///
    /// # Safety
    /// `address` is an entry point that expects the processor's interrupt frame for `vector`
    /// on the stack, keeps all registers, and ends with IRETQ.
    pub unsafe fn set(&mut self, vector: u8, address: u64, ist: Ist) {
        const PRESENT_INTERRUPT_GATE: u64 = 0x8e << 40;
        let low = address & 0xffff
            | u64::from(CODE_SELECTOR) << 16
            | u64::from(ist as u8) << 32
            | PRESENT_INTERRUPT_GATE
            | (address >> 16 & 0xffff) << 48;
        self.0[usize::from(vector)] = Gate { low, high: address >> 32 };
    }

    /// Makes this processor use the table.
    ///
    /// # Safety
    /// Ring 0, with [`Segments`](super::segments::Segments) loaded; the table lives forever
    /// and is afterwards only changed with interrupts masked.
    pub unsafe fn load(&self) {
        let mut pointer = [0_u8; 10];
        pointer[..2].copy_from_slice(&(size_of::<Self>() as u16 - 1).to_le_bytes());
        pointer[2..].copy_from_slice(&((&raw const *self) as u64).to_le_bytes());
        // SAFETY: `pointer` has the limit and address of a live table.
        unsafe { asm!("lidt [{}]", in(reg) &pointer, options(readonly, nostack)) };
    }
}

impl Default for Idt {
    fn default() -> Self {
        Self::new()
    }
}

/// Brings the stack to the same shape for all exceptions and goes on to [`common`].
#[unsafe(naked)]
extern "C" fn stub<H: Handler, const VECTOR: u32>() {
    naked_asm!(
        ".if {without_error_code}",
        "push 0",
        ".endif",
        "push {vector}",
        "jmp {common}",
        without_error_code = const (WITH_ERROR_CODE >> VECTOR & 1 == 0) as u32,
        vector = const VECTOR,
        common = sym common::<H>,
    )
}

/// Completes the [`ExceptionFrame`] and calls the handler with it. The stack is the vector's
/// own, so nothing of the interrupted code's red zone is touched.
#[unsafe(naked)]
extern "C" fn common<H: Handler>() {
    naked_asm!(
        "push rax", "push rbx", "push rcx", "push rdx", "push rsi", "push rdi", "push rbp",
        "push r8", "push r9", "push r10", "push r11",
        "push r12", "push r13", "push r14", "push r15",
        "mov rax, cr2",
        "push rax",
        "cld",
        "mov rdi, rsp",
        "mov rbx, rsp",
        "and rsp, -16",
        "call {handle}",
        "mov rsp, rbx",
        "add rsp, 8",
        "pop r15", "pop r14", "pop r13", "pop r12",
        "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rbp", "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rbx", "pop rax",
        "add rsp, 16",
        "iretq",
        handle = sym H::handle,
    )
}

fn stubs<H: Handler>() -> [extern "C" fn(); 32] {
    macro_rules! table {
        ($($vector:literal)*) => { [$(stub::<H, $vector>),*] };
    }
    table!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Handler for Nobody {
        extern "C" fn handle(_: &mut ExceptionFrame) {}
    }

    #[test]
    fn a_gate_holds_address_selector_and_stack() {
        let mut idt = Idt::new();
        // SAFETY: the table is never loaded.
        unsafe { idt.set(0x41, 0x1234_5678_9abc_def0, Ist::Interrupt) };
        assert_eq!(idt.0[0x41].low, 0x9abc_8e01_0008_def0);
        assert_eq!(idt.0[0x41].high, 0x1234_5678);
        assert_eq!(idt.0[0x40].low, 0);
    }

    #[test]
    fn every_exception_has_a_gate_and_faults_that_nest_have_their_own_stacks() {
        let mut idt = Idt::new();
        idt.set_exceptions::<Nobody>();
        let ist = |vector: usize| idt.0[vector].low >> 32 & 7;
        assert!((0..32).all(|vector| idt.0[vector].low >> 47 & 1 == 1));
        assert_eq!([ist(14), ist(8), ist(2), ist(18)], [2, 3, 4, 5]);
        assert_eq!(idt.0[32].low, 0);
    }
}
