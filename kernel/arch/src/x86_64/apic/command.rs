//! What one processor has the others do: interrupts between them, and their start (SDM vol. 3, 11.6 and 9.4).

use super::{COMMAND, LocalApic, X2APIC_MSRS};
use ::x86_64::registers::model_specific::Msr;
use core::arch::asm;
use core::hint::spin_loop;

/// The half of the command with the destination, where the registers are in memory.
const COMMAND_HIGH: u32 = 0x310;

const DELIVERY_PENDING: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;
const NMI: u32 = 4 << 8;
const INIT: u32 = 5 << 8;
const START_UP: u32 = 6 << 8;

/// The highest identifier that an interrupt can be sent to where the registers are in memory.
const HIGHEST_BY_MEMORY: u32 = 0xfe;

impl LocalApic {
    /// Whether an interrupt can be sent to the processor `id`.
    pub fn reaches(&self, id: u32) -> bool {
        self.base == 0 || id <= HIGHEST_BY_MEMORY
    }

    /// Interrupts the processor `id` on `vector`. What was written to memory before is there when it comes.
    ///
    /// Where the registers are in memory the command is two words: no interrupt of this processor may send
    /// between them, so code that sends with interrupts on is kept apart from handlers that send.
    #[inline]
    pub fn send(&self, id: u32, vector: u8) {
        self.command(id, ASSERT | u32::from(vector));
    }

    /// A non-maskable interrupt for the processor `id`.
    pub fn send_nmi(&self, id: u32) {
        self.command(id, ASSERT | NMI);
    }

    /// Has the processor `id` forget all it did and wait for [`send_start_up`](Self::send_start_up).
    pub fn send_init(&self, id: u32) {
        self.command(id, ASSERT | INIT);
    }

    /// Has the processor `id`, which waits, begin in real mode at the start of the page at `page`, which is below
    /// 1 MiB. One that does not wait takes no notice.
    pub fn send_start_up(&self, id: u32, page: u64) {
        debug_assert!(page < 1 << 20 && page.is_multiple_of(4096));
        self.command(id, ASSERT | START_UP | (page >> 12) as u32);
    }

    #[inline]
    fn command(&self, id: u32, command: u32) {
        if self.base == 0 {
            // SAFETY: fences have no effect but order: a write to an MSR of the APIC's is not ordered by itself
            // (SDM vol. 3, 11.12.3). The processor has x2APIC, and so this register.
            unsafe {
                asm!("mfence", "lfence", options(nostack, preserves_flags));
                let whole = u64::from(id) << 32 | u64::from(command);
                Msr::new(X2APIC_MSRS + (COMMAND >> 4)).write(whole);
            }
        } else {
            // One command at a time; the register tells when the last has been taken.
            while self.read(COMMAND) & DELIVERY_PENDING != 0 {
                spin_loop();
            }
            self.write(COMMAND_HIGH, id << 24);
            self.write(COMMAND, command);
        }
    }
}
