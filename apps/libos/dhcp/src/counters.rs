//! What was received and sent, and what was wrong with it.

use crate::error::{Error, Oddity};

/// Counts since the client was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Messages sent.
    pub sent: u64,
    /// Messages that were accepted.
    pub accepted: u64,
    refused: [u64; Error::ALL.len()],
    odd: [u64; Oddity::ALL.len()],
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self { sent: 0, accepted: 0, refused: [0; _], odd: [0; _] }
    }

    /// How many frames and messages were refused for this reason.
    pub const fn refused(&self, error: Error) -> u64 {
        self.refused[error as usize]
    }

    /// How often this was met.
    pub const fn odd(&self, oddity: Oddity) -> u64 {
        self.odd[oddity as usize]
    }

    pub(crate) fn refuse(&mut self, error: Error) {
        self.refused[error as usize] += 1;
    }

    pub(crate) fn note(&mut self, oddity: Oddity) {
        self.odd[oddity as usize] += 1;
    }
}
