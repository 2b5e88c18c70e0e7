//! The two ways to PCI's configuration space.

use core::hint::spin_loop;
use core::ops::RangeInclusive;
use core::ptr::NonNull;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};
use virtio_drivers::Hal;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

/// Configuration space with registers that can be written in part: some devices take a write as
/// what it is only if it has the register's width.
pub trait Configuration: ConfigurationAccess {
    /// Writes the byte at `offset`.
    fn write_byte(&mut self, function: DeviceFunction, offset: u8, data: u8);

    /// Writes the two bytes at `offset`, which is even; an odd one is taken for the one below.
    fn write_half(&mut self, function: DeviceFunction, offset: u8, data: u16);
}

/// Bytes of ECAM per bus: 32 devices of 8 functions of 4 KiB.
const BUS: u64 = 1 << 20;

/// The memory-mapped configuration space, at the address that ACPI's MCFG table tells (PCI Express
/// base specification, 7.2.2).
#[derive(Clone, Copy)]
pub struct Ecam {
    /// Where the first of `buses` is mapped.
    base: NonNull<u8>,
    first: u8,
    last: u8,
}

impl Ecam {
    /// Maps the configuration space of `buses`; `physical` is where bus 0 is or would be, as in
    /// MCFG. A mebibyte is mapped for each bus.
    ///
    /// # Safety
    /// The configuration space of these buses is really there.
    pub unsafe fn map<H: Hal>(physical: u64, buses: RangeInclusive<u8>) -> Self {
        let (first, last) = (*buses.start(), *buses.end());
        let count = u64::from(last.saturating_sub(first)) + 1;
        let start = physical + u64::from(first) * BUS;
        // SAFETY: so many bytes from there are the configuration space of these buses, says the
        // caller.
        let base = unsafe { H::mmio_phys_to_virt(start, (count * BUS) as usize) };
        Self { base, first, last }
    }

    /// The register's offset from `base`, or `None` on a bus that is not mapped.
    fn place(&self, function: DeviceFunction, offset: u8) -> Option<usize> {
        let mapped = (self.first..=self.last).contains(&function.bus) && function.valid();
        let bus = usize::from(function.bus.wrapping_sub(self.first));
        mapped.then_some(
            bus << 20
                | usize::from(function.device) << 15
                | usize::from(function.function) << 12
                | usize::from(offset),
        )
    }

    /// The address, likewise, of the `T` that `offset` is in.
    fn register<T>(&self, function: DeviceFunction, offset: u8) -> Option<NonNull<T>> {
        let offset = offset - offset % size_of::<T>() as u8;
        // SAFETY: within the buses that `map` mapped, which `place` checks.
        self.place(function, offset).map(|place| unsafe { self.base.add(place) }.cast())
    }

    /// Writes the `T` that `offset` is in.
    fn write<T>(&mut self, function: DeviceFunction, offset: u8, data: T) {
        if let Some(register) = self.register::<T>(function, offset) {
            // SAFETY: `register` gives an address in what `map` has mapped for good, a multiple of the
            // type's size. What the device then does is for the driver that has the function to know.
            unsafe { register.write_volatile(data) }
        }
    }
}

impl ConfigurationAccess for Ecam {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        match self.register::<u32>(function, offset) {
            // SAFETY: `register` gives an address in what `map` has mapped for good, a multiple of
            // 4; reading configuration space changes nothing.
            Some(register) => unsafe { register.read_volatile() },
            // What a bus without devices reads as.
            None => u32::MAX,
        }
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        self.write(function, offset, data);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

impl Configuration for Ecam {
    fn write_byte(&mut self, function: DeviceFunction, offset: u8, data: u8) {
        self.write(function, offset, data);
    }

    fn write_half(&mut self, function: DeviceFunction, offset: u8, data: u16) {
        self.write(function, offset, data);
    }
}

/// The configuration space by the ports 0xcf8 (address) and 0xcfc (data): PCI 3.0, 3.2.2.3.2.
#[derive(Clone, Copy)]
pub struct Ports(&'static AtomicBool);

impl Ports {
    /// Takes the two ports, if a host bridge answers there; `taken` is false, and what all values of this type take
    /// turns by.
    ///
    /// # Safety
    /// Nothing else of the machine is at these ports, and nobody uses them but values of this type with the same
    /// `taken`: an access is two steps, with interrupts masked.
    #[cfg(target_arch = "x86_64")]
    pub unsafe fn find(taken: &'static AtomicBool) -> Option<Self> {
        let ports = Self(taken);
        let host = DeviceFunction { bus: 0, device: 0, function: 0 };
        (ports.read_word(host, 0) != u32::MAX).then_some(ports)
    }
}

/// What is written to 0xcf8 to choose a register.
fn address(function: DeviceFunction, offset: u8) -> u32 {
    1 << 31
        | u32::from(function.bus) << 16
        | u32::from(function.device & 31) << 11
        | u32::from(function.function & 7) << 8
        | u32::from(offset & !3)
}

#[cfg(target_arch = "x86_64")]
impl ConfigurationAccess for Ports {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        self.in_turn(|| {
            let data;
            // SAFETY: the ports are ours by `find`'s contract; the accesses touch no memory.
            unsafe {
                core::arch::asm!(
                    "out dx, eax", "add dx, 4", "in eax, dx",
                    inout("dx") 0xcf8u16 => _, inout("eax") address(function, offset) => data,
                    options(nomem, nostack),
                );
            }
            data
        })
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        self.write(function, offset & !3, Width::Word, data);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

#[cfg(target_arch = "x86_64")]
impl Configuration for Ports {
    fn write_byte(&mut self, function: DeviceFunction, offset: u8, data: u8) {
        self.write(function, offset, Width::Byte, data.into());
    }

    fn write_half(&mut self, function: DeviceFunction, offset: u8, data: u16) {
        self.write(function, offset & !1, Width::Half, data.into());
    }
}

/// How much of a register is written.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
enum Width {
    Byte,
    Half,
    Word,
}

#[cfg(target_arch = "x86_64")]
impl Ports {
    /// Writes a register, or a part of it; `offset` is a multiple of the width.
    fn write(&mut self, function: DeviceFunction, offset: u8, width: Width, data: u32) {
        use core::arch::asm;
        let port = 0xcfc_u16 + u16::from(offset & 3);
        // SAFETY: the ports are ours by `find`'s contract; the accesses touch no memory.
        self.in_turn(|| unsafe {
            let register = address(function, offset);
            asm!("out dx, eax", in("dx") 0xcf8_u16, in("eax") register, options(nomem, nostack));
            match width {
                Width::Byte => {
                    asm!("out dx, al", in("dx") port, in("al") data as u8, options(nomem, nostack));
                }
                Width::Half => {
                    asm!("out dx, ax", in("dx") port, in("ax") data as u16, options(nomem, nostack));
                }
                Width::Word => {
                    asm!("out dx, eax", in("dx") port, in("eax") data, options(nomem, nostack));
                }
            }
        });
    }

    /// Makes an access, which is two steps, where nobody comes between: with interrupts masked, and other processors
    /// waiting.
    fn in_turn<R>(&self, access: impl FnOnce() -> R) -> R {
        const INTERRUPTS: u64 = 1 << 9;
        let flags: u64;
        // SAFETY: code that reaches ports may mask interrupts, which breaks no memory rule.
        unsafe { core::arch::asm!("pushfq", "pop {}", "cli", out(reg) flags) };
        while self.0.swap(true, Acquire) {
            spin_loop();
        }
        let result = access();
        self.0.store(false, Release);
        if flags & INTERRUPTS != 0 {
            // SAFETY: they were let through before.
            unsafe { core::arch::asm!("sti") };
        }
        result
    }
}

/// Either of the two.
#[derive(Clone, Copy)]
pub enum Access {
    /// By memory.
    Ecam(Ecam),
    /// By ports.
    Ports(Ports),
}

#[cfg(target_arch = "x86_64")]
impl ConfigurationAccess for Access {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        match self {
            Self::Ecam(ecam) => ecam.read_word(function, offset),
            Self::Ports(ports) => ports.read_word(function, offset),
        }
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        match self {
            Self::Ecam(ecam) => ecam.write_word(function, offset, data),
            Self::Ports(ports) => ports.write_word(function, offset, data),
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

#[cfg(target_arch = "x86_64")]
impl Configuration for Access {
    fn write_byte(&mut self, function: DeviceFunction, offset: u8, data: u8) {
        match self {
            Self::Ecam(ecam) => ecam.write_byte(function, offset, data),
            Self::Ports(ports) => ports.write_byte(function, offset, data),
        }
    }

    fn write_half(&mut self, function: DeviceFunction, offset: u8, data: u16) {
        match self {
            Self::Ecam(ecam) => ecam.write_half(function, offset, data),
            Self::Ports(ports) => ports.write_half(function, offset, data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_chosen_by_bus_device_function_and_offset() {
        let function = DeviceFunction { bus: 3, device: 31, function: 7 };
        assert_eq!(address(function, 0x3f), 0x8003_ff3c);
    }

    #[test]
    fn buses_that_are_not_mapped_have_no_registers() {
        let ecam = Ecam { base: NonNull::dangling(), first: 2, last: 3 };
        let at = |bus, device| ecam.place(DeviceFunction { bus, device, function: 1 }, 6);
        assert_eq!(at(1, 0), None);
        assert_eq!(at(4, 0), None);
        assert_eq!(at(2, 32), None);
        assert_eq!(at(3, 5), Some(0x10_0000 + 5 * 0x8000 + 0x1000 + 6));
        let none = DeviceFunction { bus: 1, device: 0, function: 0 };
        assert_eq!(ecam.read_word(none, 0), u32::MAX);
    }
}
