//! Turning the machine off.

use super::acpi::{Register, SleepControl};
use super::cpu;
use super::port::Port;
use core::arch::asm;
use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

/// QEMU's `isa-debug-exit` device, as the host command configures it.
const DEBUG_EXIT: u16 = 0xf4;
/// Added to the status, so that an image's exit is told from QEMU's own small exit codes.
const DEBUG_EXIT_OFFSET: u8 = 16;

/// Ends the image with `status`: by the debug device, which carries it; else by ACPI, which
/// does not; where the firmware tells of no ACPI, by a reset, which small hypervisors take for the end.
///
/// # Safety
/// Ring 0; nothing is owed to any device. A register of `sleep` that is in memory is mapped.
pub unsafe fn exit(status: u8, sleep: Option<&SleepControl>) -> ! {
    super::interrupt::disable();
    // SAFETY: without that device, nobody listens at its port.
    unsafe { Port::new(DEBUG_EXIT).write(u32::from(status.wrapping_add(DEBUG_EXIT_OFFSET))) };
    match sleep {
        Some(SleepControl::Fixed { controls, types }) => {
            for (port, sleep_type) in controls.iter().zip(types) {
                if *port != 0 {
                    // SLP_TYP is in bits 10 to 12, SLP_EN is bit 13 (ACPI 6.5, 4.8.3.2.1).
                    let value = u16::from(sleep_type & 7) << 10 | 1 << 13;
                    // SAFETY: the firmware says that this is the control register.
                    unsafe { Port::new(*port).write(value) };
                }
            }
        }
        Some(SleepControl::Reduced { control, sleep_type }) => {
            // SLP_TYPx is in bits 2 to 4, SLP_EN is bit 5 (ACPI 6.5, 4.8.3.7).
            let value = (sleep_type & 7) << 2 | 1 << 5;
            match control {
                // SAFETY: the firmware says that this is the control register.
                Register::Port(port) => unsafe { Port::new(*port).write(value) },
                // SAFETY: the firmware says that this is the control register, and the caller has
                // it mapped.
                Register::Memory(address) => unsafe { (*address as *mut u8).write_volatile(value) },
            }
        }
        None => reset(),
    }
    cpu::halt()
}

/// Resets the machine: by the keyboard controller where there is one (as Firecracker has it), else by an exception
/// for which there is no handler, nor one for what comes of that.
fn reset() -> ! {
    /// A pulse of the processor's reset line.
    const PULSE: u8 = 0xfe;
    const KEYBOARD_COMMAND: u16 = 0x64;
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
    // SAFETY: ring 0, and the image has ended: nothing is to run after this, interrupts are masked, and the exception
    // that there is no handler for is what is wanted.
    unsafe {
        Port::new(KEYBOARD_COMMAND).write(PULSE);
        lidt(&nothing);
        asm!("ud2", options(noreturn, nomem, nostack))
    }
}
