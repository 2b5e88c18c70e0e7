//! What the processor, or the kernel, has to stop: the ways in which handlers fail.

use core::arch::asm;
use core::hint::{black_box, spin_loop};
use reflex::System;

/// Bytes in memory that may be written and so must not run: `ret`, padded.
static DATA: [u8; 16] = [0xc3; 16];

/// Ways to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Panic,
    DivideByZero,
    DivideError,
    ReadNull,
    InvalidOpcode,
    JumpToData,
    Overflow,
    /// A stack overflow in a section of the kernel's, most likely.
    OverflowInKernel,
    /// For a context with a time budget.
    Spin,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Panic,
        Self::DivideByZero,
        Self::DivideError,
        Self::ReadNull,
        Self::InvalidOpcode,
        Self::JumpToData,
        Self::Overflow,
        Self::OverflowInKernel,
        Self::Spin,
    ];

    /// Fails. To be called where that ends the caller's context.
    pub(crate) fn commit(self, system: System) -> ! {
        match self {
            Self::Panic => panic!("told to panic"),
            Self::DivideByZero => {
                black_box(1 / black_box(0_u32));
            }
            // SAFETY: faults, and touches nothing but what it says.
            Self::DivideError => unsafe {
                asm!("xor edx, edx", "xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _);
            },
            Self::ReadNull => {
                let nowhere = black_box(core::ptr::null::<u64>());
                // SAFETY: the load is the processor's business alone, and faults: page zero is not
                // mapped.
                unsafe { asm!("mov {}, [{}]", out(reg) _, in(reg) nowhere, options(nostack)) };
            }
            // SAFETY: faults, and touches nothing.
            Self::InvalidOpcode => unsafe { asm!("ud2", options(nomem, nostack)) },
            Self::JumpToData => {
                let code = black_box(DATA.as_ptr());
                // SAFETY: the data is a `ret`, so even a call that came through would do nothing;
                // it faults, because data is not executable.
                unsafe { asm!("call {}", in(reg) code, clobber_abi("C")) };
            }
            Self::Overflow => {
                black_box(descend(black_box(1)));
            }
            Self::OverflowInKernel => {
                black_box(descend_calling(system, black_box(1)));
            }
            Self::Spin => spin(),
        }
        unreachable!("{self:?} was survived")
    }
}

/// Keeps the processor for itself.
pub(crate) fn spin() -> ! {
    loop {
        spin_loop();
    }
}

/// Calls itself until the stack is used up.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if depth == u64::MAX {
        return 0;
    }
    descend(depth + 1) + frame[(depth % 32) as usize]
}

/// As [`descend`], with a call of the kernel at each level that needs more stack than that.
#[inline(never)]
fn descend_calling(system: System, depth: u64) -> u64 {
    let mut frame = black_box([depth; 2]);
    system.section(|| {
        let mut bytes = [0; 64];
        system.random(&mut bytes);
        frame[1] = black_box(u64::from(bytes[0]));
    });
    if depth == u64::MAX {
        return 0;
    }
    descend_calling(system, depth + 1) + frame[(depth % 2) as usize]
}
