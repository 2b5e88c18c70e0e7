//! At what rates the time stamp counter and the local APIC's timer count.
//!
//! CPUID tells on some machines. Elsewhere both are watched for [`WINDOW_NANOS`] beside a timer
//! of known rate. Between looks at that timer the processor spins on registers: a port read is
//! slow in an emulator, and slower when it counts instructions.

use super::apic::LocalApic;
use super::clock;
use super::cpu::Features;
use super::port::Port;
use core::arch::asm;
use core::arch::x86_64::__cpuid;

/// How long a measurement takes: 2,386 counts of the slower timer, so that it is right within 0.1 %.
pub const WINDOW_NANOS: u64 = 2_000_000;

/// The 8254's input clock.
const PIT_HZ: u64 = 1_193_182;
/// The ACPI power-management timer's clock (ACPI 6.5, 4.8.3.3).
const PM_TIMER_HZ: u64 = 3_579_545;
/// Taken for the TSC's rate when no timer of known rate is there: counts are then nanoseconds.
const ASSUMED_HZ: u64 = 1_000_000_000;

/// Where the rates are from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// CPUID, by the processor or the hypervisor.
    Cpuid,
    /// The 8254's channel 2.
    Pit,
    /// The ACPI power-management timer.
    PmTimer,
    /// Nothing: the TSC is taken to count nanoseconds.
    Assumed,
}

/// The rates.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of the time stamp counter.
    pub tsc_hz: u64,
    /// Of the local APIC's counter, at divide 1.
    pub apic_hz: u64,
    /// Bound on their relative error, in parts per million.
    pub error_ppm: u32,
    /// Where they are from.
    pub source: Source,
}

/// Finds the rates. `pm_timer` is the port of the power-management timer, if there is one.
///
/// # Safety
/// Ring 0, interrupts masked, the APIC's timer masked; nobody else uses the 8254 or port 0x61.
pub unsafe fn measure(features: &Features, apic: &LocalApic, pm_timer: Option<u16>) -> Rates {
    if let Some((tsc_hz, apic_hz)) = by_cpuid(features) {
        return Rates { tsc_hz, apic_hz, error_ppm: 100, source: Source::Cpuid };
    }
    // SAFETY: ring 0, and nobody else uses the 8254 or port 0x61, says the caller.
    let pit = unsafe { Pit::start() };
    let mut measured = pit.and_then(|mut pit| {
        watch(apic, PIT_HZ, || u32::from(pit.count()), 0xffff).map(|rates| (rates, Source::Pit))
    });
    if measured.is_none() {
        measured = pm_timer.and_then(|port| {
            let mut port = Port::<u32>::new(port);
            // It counts up where the 8254 counts down; bits above 24 may be missing.
            // SAFETY: the firmware says that this port is the timer's.
            watch(apic, PM_TIMER_HZ, || !unsafe { port.read() } & 0xff_ffff, 0xff_ffff)
                .map(|rates| (rates, Source::PmTimer))
        });
    }
    match measured {
        Some(((tsc_hz, apic_hz, error_ppm), source)) => {
            Rates { tsc_hz, apic_hz, error_ppm, source }
        }
        None => Rates {
            tsc_hz: ASSUMED_HZ,
            apic_hz: ASSUMED_HZ,
            error_ppm: 1_000_000,
            source: Source::Assumed,
        },
    }
}

/// The TSC's and the APIC's rates from CPUID: the hypervisors' leaf 0x4000_0010 has both in
/// kHz; leaf 0x15 has the crystal's rate, which is also the APIC timer's (SDM vol. 3, 11.5.4).
fn by_cpuid(features: &Features) -> Option<(u64, u64)> {
    if features.hypervisor && (0x4000_0010..0x4001_0000).contains(&__cpuid(0x4000_0000).eax) {
        let leaf = __cpuid(0x4000_0010);
        if leaf.eax != 0 && leaf.ebx != 0 {
            return Some((u64::from(leaf.eax) * 1000, u64::from(leaf.ebx) * 1000));
        }
    }
    if __cpuid(0).eax >= 0x15 {
        let leaf = __cpuid(0x15);
        if leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0 {
            let crystal = u64::from(leaf.ecx);
            return Some((crystal * u64::from(leaf.ebx) / u64::from(leaf.eax), crystal));
        }
    }
    None
}

/// What all counters were at one moment, and how long looking took.
#[derive(Clone, Copy)]
struct Sample {
    reference: u32,
    tsc: u64,
    apic: u32,
    width: u64,
}

/// Watches the counters beside `reference`, which counts down at `hz` and wraps at `mask`.
/// Returns both rates and their error bound; `None` when the reference stands still.
fn watch(
    apic: &LocalApic,
    hz: u64,
    mut reference: impl FnMut() -> u32,
    mask: u32,
) -> Option<(u64, u64, u32)> {
    apic.free_run();
    let mut look = || {
        let before = clock::tsc();
        let apic = apic.count();
        let reference = reference();
        let width = clock::tsc().wrapping_sub(before);
        Sample { reference, tsc: before.wrapping_add(width / 2), apic, width }
    };
    let wanted = (WINDOW_NANOS * hz / 1_000_000_000) as u32;
    let first = narrowest(&mut look);
    // Far more looks than any processor needs for the window, in case the timer is dead.
    for _ in 0..100_000 {
        spin();
        if first.reference.wrapping_sub(look().reference) & mask >= wanted {
            break;
        }
    }
    let last = narrowest(&mut look);
    let elapsed = u64::from(first.reference.wrapping_sub(last.reference) & mask);
    if elapsed < u64::from(wanted) {
        return None;
    }
    let rate = |counted: u64| (u128::from(counted) * u128::from(hz) / u128::from(elapsed)) as u64;
    let counted = last.tsc.wrapping_sub(first.tsc).max(1);
    let doubt = (first.width + last.width) / 2 + counted / elapsed;
    let error_ppm = (u128::from(doubt) * 1_000_000 / u128::from(counted)) as u32;
    Some((rate(counted), rate(u64::from(first.apic.wrapping_sub(last.apic))), error_ppm))
}

/// The quickest of a few looks: in an emulator, the first ones are slow and the host may
/// interrupt any.
fn narrowest(look: &mut impl FnMut() -> Sample) -> Sample {
    let mut best = look();
    for _ in 0..15 {
        let next = look();
        if next.width < best.width {
            best = next;
        }
    }
    best
}

/// Some microseconds of nothing.
fn spin() {
    // SAFETY: counts a register down to zero.
    unsafe {
        asm!("2: dec {0}", "jnz 2b", inout(reg) 4000_u64 => _, options(nomem, nostack));
    }
}

/// Channel 2 of the 8254, counting down from 0xffff without making a sound.
struct Pit(());

impl Pit {
    const CHANNEL_2: u16 = 0x42;
    const COMMAND: u16 = 0x43;
    const GATE: u16 = 0x61;

    /// Starts the count; `None` when nothing answers.
    ///
    /// # Safety
    /// Ring 0; nobody else uses the ports.
    unsafe fn start() -> Option<Self> {
        // SAFETY: ring 0, and nobody else uses the ports, says the caller; they are the 8254's on
        // every PC, and port 0x61's other bits stay as they are.
        unsafe {
            let mut gate = Port::<u8>::new(Self::GATE);
            let old = gate.read();
            gate.write(old & !0b10 | 0b01);
            Port::new(Self::COMMAND).write(0b1011_0000_u8); // channel 2, both bytes, mode 0
            Port::new(Self::CHANNEL_2).write(0xff_u8);
            Port::new(Self::CHANNEL_2).write(0xff_u8);
        }
        let mut pit = Self(());
        // A missing device reads as all ones forever.
        (0..100).any(|_| pit.count() != 0xffff).then_some(pit)
    }

    fn count(&mut self) -> u16 {
        // SAFETY: ring 0, and nobody else uses the ports, says `start`'s caller.
        unsafe {
            Port::new(Self::COMMAND).write(0b1000_0000_u8); // latch channel 2
            let mut channel = Port::<u8>::new(Self::CHANNEL_2);
            let low = channel.read();
            u16::from_le_bytes([low, channel.read()])
        }
    }
}
