//! Turning the machine off.

use super::acpi::{Register, SleepControl};
use super::cpu;
use super::port::Port;

/// QEMU's `isa-debug-exit` device, as the host command configures it.
const DEBUG_EXIT: u16 = 0xf4;
/// Added to the status, so that an image's exit is told from QEMU's own small exit codes.
const DEBUG_EXIT_OFFSET: u8 = 16;

/// Ends the image with `status`: by the debug device, which carries it; else by ACPI, which
/// does not; else by stopping for good.
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
        None => {}
    }
    cpu::halt()
}
