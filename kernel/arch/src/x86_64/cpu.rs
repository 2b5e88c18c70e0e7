//! The processor: what it can do, and stopping it.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};

/// What CPUID says, as far as this kernel makes use of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// A local APIC (leaf 1, EDX 9).
    pub apic: bool,
    /// The local APIC can be reached by MSR (leaf 1, ECX 21).
    pub x2apic: bool,
    /// The local APIC's timer can be set to a TSC value (leaf 1, ECX 24).
    pub tsc_deadline: bool,
    /// RDRAND (leaf 1, ECX 30).
    pub rdrand: bool,
    /// A hypervisor is below (leaf 1, ECX 31).
    pub hypervisor: bool,
    /// Supervisor code may be kept from executing user pages (leaf 7, EBX 7).
    pub smep: bool,
    /// Supervisor code may be kept from reading user pages (leaf 7, EBX 20).
    pub smap: bool,
    /// User code may be kept from reading descriptor table addresses (leaf 7, ECX 2).
    pub umip: bool,
    /// Pages may be marked not executable (leaf 0x8000_0001, EDX 20).
    pub no_execute: bool,
    /// The TSC runs at one rate in all power states (leaf 0x8000_0007, EDX 8).
    pub invariant_tsc: bool,
}

impl Features {
    /// Asks the processor this runs on.
    pub fn detect() -> Self {
        let bit = |register: u32, bit: u32| register >> bit & 1 == 1;
        let highest = __cpuid(0).eax;
        let highest_extended = __cpuid(0x8000_0000).eax;
        let basic = __cpuid(1);
        let mut features = Self {
            apic: bit(basic.edx, 9),
            x2apic: bit(basic.ecx, 21),
            tsc_deadline: bit(basic.ecx, 24),
            rdrand: bit(basic.ecx, 30),
            hypervisor: bit(basic.ecx, 31),
            ..Self::default()
        };
        if highest >= 7 {
            let structured = __cpuid_count(7, 0);
            features.smep = bit(structured.ebx, 7);
            features.smap = bit(structured.ebx, 20);
            features.umip = bit(structured.ecx, 2);
        }
        if highest_extended >= 0x8000_0001 {
            features.no_execute = bit(__cpuid(0x8000_0001).edx, 20);
        }
        if highest_extended >= 0x8000_0007 {
            features.invariant_tsc = bit(__cpuid(0x8000_0007).edx, 8);
        }
        features
    }
}

/// The address of the instruction after this: where the caller has got to, if this is inlined.
#[inline(always)]
pub fn here() -> u64 {
    let address;
    // SAFETY: takes an address.
    unsafe { asm!("lea {}, [rip]", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// Stops this processor for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: with interrupts masked, HLT only stops the processor, which is the intent;
        // an NMI brings it back into the loop.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
