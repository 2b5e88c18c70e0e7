//! Frames on their way, which may be lost, repeated, damaged, and overtake each other.

use crate::Random;
use core::ops::DerefMut;
use core::time::Duration;
use reflex_event::Instant;
use std::collections::VecDeque;

/// What a wire does to frames, in percent of them, and how long one takes.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Frames that vanish.
    pub lost: u64,
    /// Frames that arrive twice.
    pub repeated: u64,
    /// Frames that are overtaken by up to `jitter`.
    pub delayed: u64,
    /// Frames with a flipped bit.
    pub damaged: u64,
    /// Time on the wire.
    pub latency: Duration,
    /// Most extra time of delayed frames.
    pub jitter: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lost: 0,
            repeated: 0,
            delayed: 0,
            damaged: 0,
            latency: Duration::from_micros(50),
            jitter: Duration::from_millis(5),
        }
    }
}

struct OnWire<F> {
    due: Instant,
    frame: F,
}

/// The frames on one direction of a wire.
pub struct Flight<F> {
    random: Random,
    faults: Faults,
    frames: VecDeque<OnWire<F>>,
}

impl<F: DerefMut<Target = [u8]>> Flight<F> {
    /// A wire without faults, until [`set_faults`](Self::set_faults); what those do follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let (random, faults) = (Random::new(seed), Faults::default());
        Self { random, faults, frames: VecDeque::new() }
    }

    /// Changes what the wire does from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// How many frames are on their way.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether none is on its way.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Sends a frame. When it is to arrive twice, `copy` makes the other one, if it can.
    pub fn put(&mut self, now: Instant, mut frame: F, copy: impl FnOnce(&F) -> Option<F>) {
        if self.random.percent(self.faults.lost) {
            return;
        }
        if self.random.percent(self.faults.damaged) && !frame.is_empty() {
            let at = self.random.below(frame.len() as u64) as usize;
            frame[at] ^= 1 << self.random.below(8);
        }
        if self.random.percent(self.faults.repeated)
            && let Some(copy) = copy(&frame)
        {
            self.insert(now, copy);
        }
        self.insert(now, frame);
    }

    fn insert(&mut self, now: Instant, frame: F) {
        let mut due = now + self.faults.latency;
        if self.random.percent(self.faults.delayed) {
            let jitter = self.faults.jitter.as_nanos() as u64;
            due = due + Duration::from_nanos(self.random.below(jitter.max(1)));
        }
        let at = self.frames.partition_point(|other| other.due <= due);
        self.frames.insert(at, OnWire { due, frame });
    }

    /// When the next frame arrives.
    pub fn next_due(&self) -> Option<Instant> {
        self.frames.front().map(|first| first.due)
    }

    /// The next frame that has arrived by `now`.
    pub fn arrived(&mut self, now: Instant) -> Option<F> {
        let arrived = self.next_due()? <= now;
        arrived.then(|| self.frames.pop_front()).flatten().map(|first| first.frame)
    }
}
