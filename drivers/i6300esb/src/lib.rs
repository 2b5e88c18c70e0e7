//! The watchdog timer of Intel's 6300ESB I/O controller hub, which QEMU emulates
//! (`-device i6300esb`).
//!
//! It counts down twice. After the first time it could interrupt, which is left out here; after the
//! second it resets the machine, or does what QEMU's `-action watchdog=` says. Feeding it begins the
//! first count again. Section numbers are those of the "Intel 6300ESB I/O Controller Hub" datasheet
//! (order number 300641), chapter 16.
//!
//! Of its registers, two are in the function's configuration space and are taken by QEMU only when
//! they are written in their own width; the others are in memory, and each write to one has to be
//! preceded by two to the last of them.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;
use reflex_hil::Watchdog;
use reflex_pci::{Configuration, Function, Identity, Registers};

/// What the function calls itself.
pub const IDENTITY: Identity = Identity { vendor: 0x8086, device: 0x25ab };

/// The BAR that the registers in memory are in.
pub const BAR: u8 = 0;
/// How many bytes of it they take.
pub const LENGTH: usize = 16;

/// In the configuration space: what happens when a count ends, and how fast it goes (2 bytes).
const CONFIGURATION: u8 = 0x60;
/// The first count's end does not interrupt. All other bits are zero: the second's end resets the
/// machine, and the clock is the slow one.
const QUIET: u16 = 0b11;
/// In the configuration space: whether it runs (1 byte).
const LOCK: u8 = 0x68;
const STOPPED: u8 = 0;
const RUNNING: u8 = 1 << 1;

/// What each count begins at, 20 bits.
const COUNTS: [usize; 2] = [0x00, 0x04];
const LONGEST_COUNT: u64 = (1 << 20) - 1;
/// Reloading, and the state of the last reset.
const RELOAD: usize = 0x0c;
/// What has to be written to [`RELOAD`] before another register takes a write.
const UNLOCK: [u16; 2] = [0x80, 0x86];
/// Begins the first count again.
const FEED: u16 = 1 << 8;
/// It has reset the machine; writing it clears it.
const HAS_FIRED: u16 = 1 << 9;

/// The counts go by the PCI clock, 33 MHz, divided by 2^15.
const CLOCK_HZ: u64 = 33_000_000;
const DIVIDER: u64 = 1 << 15;

/// The longest time until a reset, in seconds.
pub const LONGEST_SECONDS: u32 = (2 * LONGEST_COUNT * DIVIDER / CLOCK_HZ) as u32;

/// A time that it cannot count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadTime;

impl fmt::Display for BadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the watchdog counts from 1 to {LONGEST_SECONDS} seconds")
    }
}

impl core::error::Error for BadTime {}

/// The timer, which does not run.
pub struct I6300Esb<C> {
    function: Function<C>,
    registers: Registers,
}

/// The timer, which runs.
pub struct Running {
    registers: Registers,
}

impl<C: Configuration> I6300Esb<C> {
    /// The timer at `function`. `registers` are its own: the first [`LENGTH`] bytes of [`BAR`].
    pub fn new(function: Function<C>, registers: Registers) -> Self {
        let mut timer = Self { function, registers };
        timer.function.write_byte(LOCK, STOPPED);
        timer
    }

    /// Whether it has reset the machine since this was last asked.
    pub fn take_has_fired(&mut self) -> bool {
        let fired = self.registers.read16(RELOAD) & HAS_FIRED != 0;
        if fired {
            unlock(&self.registers);
            self.registers.write16(RELOAD, HAS_FIRED);
        }
        fired
    }

    /// From now on the machine is reset when it has not been fed for `seconds`.
    ///
    /// # Errors
    /// [`BadTime`] when these are none, or more than [`LONGEST_SECONDS`].
    pub fn start(mut self, seconds: u32) -> Result<Running, BadTime> {
        if !(1..=LONGEST_SECONDS).contains(&seconds) {
            return Err(BadTime);
        }
        // Half of the time each, and no less.
        let count = (u64::from(seconds) * CLOCK_HZ).div_ceil(2 * DIVIDER).min(LONGEST_COUNT);
        self.function.write_half(CONFIGURATION, QUIET);
        for register in COUNTS {
            unlock(&self.registers);
            self.registers.write32(register, count as u32);
        }
        let mut running = Running { registers: self.registers };
        running.feed();
        self.function.write_byte(LOCK, RUNNING);
        Ok(running)
    }
}

impl Watchdog for Running {
    fn feed(&mut self) {
        unlock(&self.registers);
        self.registers.write16(RELOAD, FEED);
    }
}

/// The next write is taken.
fn unlock(registers: &Registers) {
    for word in UNLOCK {
        registers.write16(RELOAD, word);
    }
}
