//! The interrupt controller, as far as the kernel knows it: the timer, and interrupts of oneself.

use super::processor;
use crate::cpu::Features;

/// Where interrupt messages are sent to.
pub const DEFAULT_BASE: u64 = 0xfee0_0000;

/// The simulated processor's interrupt controller.
#[derive(Clone, Copy, Debug)]
pub struct LocalApic(());

impl LocalApic {
    /// The one that there is.
    pub const PRESENT: Self = Self(());

    /// Its identifier.
    pub fn id(&self) -> u32 {
        0
    }

    /// The timer counts what the time stamp counter counts.
    pub fn start_timer(&mut self, _: &Features, _: u64, _: u64) {}

    /// One timer interrupt, `nanos` from now. Replaces one still to come.
    pub fn arm(&self, nanos: u64) {
        processor::arm(nanos);
    }

    /// Takes back what [`LocalApic::arm`] asked for.
    pub fn disarm(&self) {
        processor::disarm();
    }

    /// Ends an interrupt: nothing is kept of one in service.
    pub fn end_of_interrupt(&self) {}

    /// Interrupts the processor on `vector`.
    pub fn interrupt_self(&self, vector: u8) {
        processor::raise(vector);
    }

    /// Interrupts the processor `id` on `vector`: there is one, which is 0.
    pub fn send(&self, id: u32, vector: u8) {
        assert_eq!(id, 0, "no such processor");
        processor::raise(vector);
    }
}
