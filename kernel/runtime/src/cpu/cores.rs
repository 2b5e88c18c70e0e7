//! The cores that there are, as all of them see it.

use super::Cpu;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
use reflex_across::Doorbell;
use reflex_event::MOST_CORES;

/// What the others know of a core.
pub(crate) struct Seat {
    state: AtomicU32,
    /// Its block, as long as it is there: for the first core, which introduces the others to each other.
    block: AtomicPtr<Cpu>,
    /// In which others say that they have sent something.
    bell: Doorbell,
    /// The identifier of its interrupt controller, and behind that the vector on which it is told to look.
    reached_by: AtomicU64,
}

/// How far a core has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// It is not there, or has not set its kernel up yet.
    Absent,
    /// Its kernel works.
    Up,
    /// Its kernel could not be set up.
    Failed,
}

/// A seat for each core that there may be, by its number.
static SEATS: [Seat; MOST_CORES as usize] = [const { Seat::new() }; MOST_CORES as usize];

const ABSENT: u32 = 0;
const UP: u32 = 1;
const FAILED: u32 = 2;

/// What is known of a core.
pub(crate) fn seat(core: u32) -> Option<&'static Seat> {
    SEATS.get(core as usize)
}

/// How many cores are up. They are the first ones.
pub(crate) fn count() -> u32 {
    SEATS.iter().take_while(|seat| seat.stage() == Stage::Up).count() as u32
}

/// The first core has begun, and no other.
pub(crate) fn begin(block: &'static Cpu) {
    SEATS.iter().for_each(|seat| seat.set(Stage::Absent));
    SEATS[0].set_block(block);
    SEATS[0].set(Stage::Up);
}

impl Seat {
    /// Nobody's.
    const fn new() -> Self {
        Self {
            state: AtomicU32::new(ABSENT),
            block: AtomicPtr::new(null_mut()),
            bell: Doorbell::new(),
            reached_by: AtomicU64::new(0),
        }
    }

    /// The core's doorbell.
    pub(crate) fn bell(&self) -> &Doorbell {
        &self.bell
    }

    /// Says where the core's block is.
    pub(crate) fn set_block(&self, block: &'static Cpu) {
        self.block.store(core::ptr::from_ref(block).cast_mut(), Release);
    }

    /// The core's block, if it has begun to have one.
    pub(crate) fn block(&self) -> Option<&'static Cpu> {
        // SAFETY: the pointers that are not null are those of `set_block`.
        unsafe { self.block.load(Acquire).as_ref() }
    }

    /// By which interrupt controller and vector the core is told to look.
    pub(crate) fn reached_by(&self) -> (u32, u8) {
        let both = self.reached_by.load(Relaxed);
        ((both >> 8) as u32, both as u8)
    }

    /// Says by what the core is told to look: before it can be asked for.
    pub(crate) fn set_reached_by(&self, apic: u32, vector: u8) {
        self.reached_by.store(u64::from(apic) << 8 | u64::from(vector), Relaxed);
    }

    /// How far the core has come. What it did before it said so has been done.
    pub(crate) fn stage(&self) -> Stage {
        match self.state.load(Acquire) {
            UP => Stage::Up,
            FAILED => Stage::Failed,
            _ => Stage::Absent,
        }
    }

    /// Says how far the core has come.
    pub(crate) fn set(&self, stage: Stage) {
        let state = match stage {
            Stage::Absent => ABSENT,
            Stage::Up => UP,
            Stage::Failed => FAILED,
        };
        self.state.store(state, Release);
    }
}
