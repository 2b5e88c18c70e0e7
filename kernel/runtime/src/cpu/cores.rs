//! The cores that there are, as all of them see it.

use core::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};
use reflex_event::MOST_CORES;

/// What the others know of a core.
pub(crate) struct Seat {
    state: AtomicU32,
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
static SEATS: [Seat; MOST_CORES as usize] =
    [const { Seat { state: AtomicU32::new(ABSENT) } }; MOST_CORES as usize];

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
pub(crate) fn begin() {
    for (number, seat) in SEATS.iter().enumerate() {
        seat.set(if number == 0 { Stage::Up } else { Stage::Absent });
    }
}

impl Seat {
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
