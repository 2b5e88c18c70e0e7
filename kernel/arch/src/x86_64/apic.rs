//! The local APIC and its one-shot timer, by memory or by MSR (x2APIC).

use super::clock::{self, Scale};
use super::cpu::Features;
use super::interrupt::TIMER_VECTOR;
use crate::Error;
use ::x86_64::registers::model_specific::Msr;
use core::arch::asm;

mod command;

/// Where the registers are after reset.
pub const DEFAULT_BASE: u64 = 0xfee0_0000;
/// Bytes of the register page.
pub const REGISTERS: u64 = 4096;

const BASE_MSR: u32 = 0x1b;
const BASE_X2APIC: u64 = 1 << 10;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const DEADLINE_MSR: u32 = 0x6e0;
const X2APIC_MSRS: u32 = 0x800;

// Register offsets (SDM vol. 3, table 11-1).
const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const END_OF_INTERRUPT: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const COMMAND: u32 = 0x300;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const LVT_ERROR: u32 = 0x370;
const INITIAL_COUNT: u32 = 0x380;
const CURRENT_COUNT: u32 = 0x390;
const DIVIDE: u32 = 0x3e0;

/// The longest time that is asked of the timer, in nanoseconds: 18 minutes. Scaling it does
/// not overflow.
const FARTHEST: u64 = 1 << 40;

const MASKED: u32 = 1 << 16;
const TIMER_DEADLINE: u32 = 1 << 18;
const DELIVER_NMI: u32 = 4 << 8;
const DIVIDE_BY_1: u32 = 0b1011;

/// This processor's local APIC.
///
/// A plain value, cheap to copy: every copy reaches the same device.
#[derive(Clone, Copy, Debug)]
pub struct LocalApic {
    /// The registers' address; 0 when they are reached by MSR.
    base: u64,
    /// Nanoseconds to timer counts: of the APIC's counter, or of the TSC.
    scale: Scale,
    /// The longest time that is asked of the timer, in nanoseconds: as far as it reaches.
    longest: u64,
    /// The timer compares with the TSC.
    deadline: bool,
}

impl LocalApic {
    /// What stands for a local APIC before it is known. Not to be used.
    pub const ABSENT: Self = Self { base: 0, scale: Scale::IDENTITY, longest: 0, deadline: false };

    /// Where the registers are to be mapped before [`LocalApic::enable`]; `None` when they will
    /// be reached by MSR.
    pub fn address(features: &Features) -> Option<u64> {
        // SAFETY: every processor with a local APIC has this MSR, and it is only read.
        (!features.x2apic).then(|| unsafe { Msr::new(BASE_MSR).read() } & BASE_ADDRESS)
    }

    /// Switches the APIC on, with its timer masked and spurious interrupts on vector
    /// `spurious`.
    ///
    /// # Safety
    /// Ring 0 with interrupts masked; the registers are mapped as a device, and `spurious` has
    /// a gate.
    ///
    /// # Errors
    /// [`Error::NoApic`].
    pub unsafe fn enable(features: &Features, spurious: u8) -> Result<Self, Error> {
        if !features.apic {
            return Err(Error::NoApic);
        }
        let mut msr = Msr::new(BASE_MSR);
        // SAFETY: the MSR exists, and the address in it stays as it is.
        let base = unsafe {
            let old = msr.read();
            msr.write(old | BASE_ENABLE);
            if features.x2apic {
                // Only from the enabled state (SDM vol. 3, 11.12.1).
                msr.write(old | BASE_ENABLE | BASE_X2APIC);
            }
            old & BASE_ADDRESS
        };
        let apic = Self { base: if features.x2apic { 0 } else { base }, ..Self::ABSENT };
        apic.write(SPURIOUS, 1 << 8 | u32::from(spurious));
        apic.write(TASK_PRIORITY, 0);
        apic.write(LVT_TIMER, MASKED);
        apic.write(LVT_LINT0, MASKED);
        apic.write(LVT_LINT1, DELIVER_NMI);
        apic.write(LVT_ERROR, MASKED);
        apic.write(DIVIDE, DIVIDE_BY_1);
        Ok(apic)
    }

    /// This processor's APIC identifier, the destination of its interrupts.
    pub fn id(&self) -> u32 {
        let id = self.read(ID);
        if self.base == 0 { id } else { id >> 24 }
    }

    /// Lets the counter run down from its maximum without interrupting: for calibration.
    pub fn free_run(&self) {
        self.write(INITIAL_COUNT, u32::MAX);
    }

    /// The counter's value.
    pub fn count(&self) -> u32 {
        self.read(CURRENT_COUNT)
    }

    /// Makes the timer interrupt on [its vector](TIMER_VECTOR): by TSC deadline when the processor can, else by
    /// the APIC's own counter, which runs at `counter_hz`.
    pub fn start_timer(&mut self, features: &Features, counter_hz: u64, tsc_hz: u64) {
        self.write(INITIAL_COUNT, 0);
        self.deadline = features.tsc_deadline;
        self.scale = Scale::from_nanos_to(if self.deadline { tsc_hz } else { counter_hz });
        self.longest = FARTHEST;
        if !self.deadline {
            // One count less than there are: arming adds one.
            let reach = Scale::to_nanos_from(counter_hz).apply(u64::from(u32::MAX) - 1);
            self.longest = reach.min(FARTHEST);
        }
        let mode = if self.deadline { TIMER_DEADLINE } else { 0 };
        self.write(LVT_TIMER, mode | u32::from(TIMER_VECTOR));
        // SAFETY: a fence has no effect but order: the mode is in force before the first
        // deadline is written (SDM vol. 3, 11.5.4.1).
        unsafe { asm!("mfence", options(nostack)) };
    }

    /// One timer interrupt, not earlier than `nanos` from now. Replaces one still to come. When
    /// that is farther than the counter reaches (seconds, at most 18 minutes), the interrupt
    /// comes earlier, and the caller arms again.
    #[inline(always)]
    pub fn arm(&self, nanos: u64) {
        let ticks = self.scale.apply(nanos.min(self.longest)) + 1;
        if self.deadline {
            // SAFETY: `deadline` says that the processor has the MSR.
            unsafe { Msr::new(DEADLINE_MSR).write(clock::tsc().wrapping_add(ticks)) }
        } else {
            // It fits, because of `longest`.
            self.write(INITIAL_COUNT, ticks as u32);
        }
    }

    /// Takes back what [`LocalApic::arm`] asked for. An interrupt already pending still comes.
    #[inline]
    pub fn disarm(&self) {
        if self.deadline {
            // SAFETY: `deadline` says that the processor has the MSR.
            unsafe { Msr::new(DEADLINE_MSR).write(0) }
        } else {
            self.write(INITIAL_COUNT, 0);
        }
    }

    /// Ends the interrupt of the highest priority that is in service.
    #[inline(always)]
    pub fn end_of_interrupt(&self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    /// Interrupts this processor on `vector`: for tests and benchmarks.
    pub fn interrupt_self(&self, vector: u8) {
        const TO_SELF: u32 = 1 << 18;
        self.write(COMMAND, TO_SELF | u32::from(vector));
    }

    #[inline(always)]
    fn write(&self, register: u32, value: u32) {
        // SAFETY: `enable`'s caller has had the registers mapped, or the processor has x2APIC,
        // and then every register used here is an MSR.
        unsafe {
            if self.base != 0 {
                ((self.base + u64::from(register)) as *mut u32).write_volatile(value);
            } else {
                Msr::new(X2APIC_MSRS + (register >> 4)).write(u64::from(value));
            }
        }
    }

    #[inline]
    fn read(&self, register: u32) -> u32 {
        // SAFETY: `enable`'s caller has had the registers mapped, or the processor has x2APIC, and
        // then every register that is read here is an MSR. Reading changes none.
        unsafe {
            if self.base != 0 {
                ((self.base + u64::from(register)) as *const u32).read_volatile()
            } else {
                Msr::new(X2APIC_MSRS + (register >> 4)).read() as u32
            }
        }
    }
}
