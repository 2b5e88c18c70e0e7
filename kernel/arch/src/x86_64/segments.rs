//! Segments, the task state segment, and the stacks that vectors switch to.

use super::paging::PAGE;
use ::x86_64::instructions::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use ::x86_64::instructions::tables::load_tss;
use ::x86_64::structures::gdt::{DescriptorFlags, SegmentSelector};
use core::arch::asm;
use core::mem::offset_of;
use core::ops::Range;

/// The code segment's selector, as found in interrupt frames.
pub const CODE_SELECTOR: u16 = 0x08;
/// The data segment's selector, as found in interrupt frames.
pub const DATA_SELECTOR: u16 = 0x10;
const TASK_SELECTOR: u16 = 0x18;

/// The TSS of long mode is 104 bytes; IST 1 is at byte 36, the I/O map's offset at byte 102
/// (SDM vol. 3, figure 8-11).
const TASK_WORDS: usize = 26;
const TASK_IST1_WORD: usize = 9;

/// A stack of the interrupt stack table. The discriminant is the number gates name it by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Ist {
    /// Interrupts. The entry stub leaves it at once, so it is free again for nesting.
    Interrupt = 1,
    /// Page faults and all other exceptions, so that a stack overflow can be reported.
    Exception = 2,
    /// Double faults.
    DoubleFault = 3,
    /// Non-maskable interrupts.
    Nmi = 4,
    /// Machine checks.
    MachineCheck = 5,
}

/// A stack above a page that is to be unmapped.
#[repr(C, align(4096))]
struct Guarded<const BYTES: usize> {
    guard: [u8; PAGE as usize],
    stack: [u8; BYTES],
}

impl<const BYTES: usize> Guarded<BYTES> {
    const fn new() -> Self {
        Self { guard: [0; PAGE as usize], stack: [0; BYTES] }
    }

    fn guard(&self) -> u64 {
        (&raw const self.guard) as u64
    }

    fn range(&self) -> Range<u64> {
        let bottom = (&raw const self.stack) as u64;
        bottom..bottom + BYTES as u64
    }
}

/// One processor's segment tables and vector stacks. The crash report runs on the exception
/// stacks, which is what sizes them.
#[repr(C, align(4096))]
pub struct Segments {
    interrupt: Guarded<4096>,
    exception: Guarded<16384>,
    double_fault: Guarded<16384>,
    nmi: Guarded<8192>,
    machine_check: Guarded<8192>,
    task: [u32; TASK_WORDS],
    table: [u64; 5],
    /// The processor's number; it is found from the table's address.
    number: u32,
}

impl Segments {
    /// Empty tables: all zero, so that they take no room in the image.
    pub const fn new() -> Self {
        Self {
            interrupt: Guarded::new(),
            exception: Guarded::new(),
            double_fault: Guarded::new(),
            nmi: Guarded::new(),
            machine_check: Guarded::new(),
            task: [0; TASK_WORDS],
            table: [0; 5],
            number: 0,
        }
    }

    /// Fills the tables in and makes this processor use them, and be known by `number`. The base of the segment
    /// GS is 0 after that.
    ///
    /// # Safety
    /// Ring 0, long mode, once, before any gate names an [`Ist`].
    pub unsafe fn load(&'static mut self, number: u32) {
        self.number = number;
        for (ist, stack) in self.stacks() {
            let word = TASK_IST1_WORD + 2 * (ist as usize - 1);
            self.task[word] = stack.end as u32;
            self.task[word + 1] = (stack.end >> 32) as u32;
        }
        // An I/O map that begins behind the segment's limit is none.
        self.task[TASK_WORDS - 1] = (size_of_val(&self.task) as u32) << 16;
        let task = (&raw const self.task) as u64;
        self.table = [
            0,
            DescriptorFlags::KERNEL_CODE64.bits(),
            DescriptorFlags::KERNEL_DATA.bits(),
            task_descriptor(task),
            task >> 32,
        ];
        let mut pointer = [0_u8; 10];
        pointer[..2].copy_from_slice(&(size_of_val(&self.table) as u16 - 1).to_le_bytes());
        pointer[2..].copy_from_slice(&((&raw const self.table) as u64).to_le_bytes());
        // SAFETY: `pointer` has the limit and address of the table just filled in; its
        // selectors name a 64-bit code segment, a data segment and a TSS, which live forever.
        unsafe {
            asm!("lgdt [{}]", in(reg) &pointer, options(readonly, nostack));
            CS::set_reg(SegmentSelector(CODE_SELECTOR));
            let data = SegmentSelector(DATA_SELECTOR);
            SS::set_reg(data);
            DS::set_reg(data);
            ES::set_reg(data);
            FS::set_reg(data);
            GS::set_reg(data);
            load_tss(SegmentSelector(TASK_SELECTOR));
        }
    }

    /// The stacks and what uses each.
    pub fn stacks(&self) -> [(Ist, Range<u64>); 5] {
        [
            (Ist::Interrupt, self.interrupt.range()),
            (Ist::Exception, self.exception.range()),
            (Ist::DoubleFault, self.double_fault.range()),
            (Ist::Nmi, self.nmi.range()),
            (Ist::MachineCheck, self.machine_check.range()),
        ]
    }

    /// The pages under the stacks, to be unmapped.
    pub fn guards(&self) -> [u64; 5] {
        [
            self.interrupt.guard(),
            self.exception.guard(),
            self.double_fault.guard(),
            self.nmi.guard(),
            self.machine_check.guard(),
        ]
    }
}

/// The number of the processor that this runs on, as [`Segments::load`] was told: from nothing but what the
/// processor has in its registers, so that it can be asked wherever an exception may come.
pub fn number() -> u32 {
    let from_table = offset_of!(Segments, number) - offset_of!(Segments, table);
    let mut pointer = [0_u8; 10];
    // SAFETY: SGDT writes the limit and the address of the table in use, ten bytes. That table is one that `load`
    // has set, which is in a `Segments` that lives forever and is not written to any more; the number has its place
    // there.
    unsafe {
        asm!("sgdt [{}]", in(reg) &mut pointer, options(nostack, preserves_flags));
        let table = pointer.last_chunk().map_or(0, |address| u64::from_le_bytes(*address));
        *((table + from_table as u64) as *const u32)
    }
}

impl Default for Segments {
    fn default() -> Self {
        Self::new()
    }
}

/// The low half of an available 64-bit TSS's descriptor (SDM vol. 3, figure 8-4).
fn task_descriptor(address: u64) -> u64 {
    const LIMIT: u64 = (TASK_WORDS * 4 - 1) as u64;
    const PRESENT_TSS: u64 = 0x89 << 40;
    LIMIT | (address & 0xff_ffff) << 16 | PRESENT_TSS | (address >> 24 & 0xff) << 56
}
