//! What is known of a connection's bytes under way, from which a loss is told: see `loss`.

use crate::ip::time::instant;
use core::time::Duration;
use reflex_event::Instant;
use smoltcp::time::Instant as Time;

/// More segments than this behind a hole, or repetitions, and it is a loss (RFC 5681, 3.2).
pub(super) const REPETITIONS: u8 = 3;
/// Bytes behind a hole that are more than two full segments (RFC 6675, 4, `IsLost`).
const BEHIND: u32 = 2 * LONGEST as u32;
/// No segment has more bytes of text.
pub(super) const LONGEST: usize = 1460;
/// What a time-out is longer than the round trip, at least: peers delay acknowledgements for so long.
const MARGIN: Duration = Duration::from_millis(200);
/// Time-outs in a row, each twice as long as the one before, until smoltcp's own is left to act.
const MOST: u8 = 3;

/// What is known of the round trip (RFC 6298, 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct RoundTrip {
    smoothed: Duration,
    variation: Duration,
}

impl RoundTrip {
    fn first(sample: Duration) -> Self {
        Self { smoothed: sample, variation: sample / 2 }
    }

    fn with(self, sample: Duration) -> Self {
        let difference = self.smoothed.abs_diff(sample);
        Self {
            smoothed: (self.smoothed * 7 + sample) / 8,
            variation: (self.variation * 3 + difference) / 4,
        }
    }

    fn time_out(self) -> Duration {
        self.smoothed + MARGIN.max(self.variation * 4)
    }
}

/// How a connection's sent bytes fare.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Recovery {
    /// Behind the last byte that was ever sent.
    pub(super) sent: Option<u32>,
    /// While a loss is made good: behind the last byte that was sent when it was noticed (RFC 6582's "recover").
    point: Option<u32>,
    /// Segments that have told of a loss with this acknowledged.
    told: u8,
    told_of: u32,
    /// The end of a segment that was sent once, and when: its acknowledgement says how long the round trip is.
    timed: Option<(u32, Instant)>,
    round_trip: Option<RoundTrip>,
    /// What was acknowledged when the time-out began, and when that was.
    waits: Option<(u32, Instant)>,
    /// Time-outs since the last progress.
    outs: u8,
}

/// How far `number` is in front of `other`, which may be behind it.
pub(super) fn ahead(number: u32, other: u32) -> i32 {
    number.wrapping_sub(other) as i32
}

impl Recovery {
    /// Whether acknowledgements say no more than they say.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.point.is_none()
    }

    /// A segment with text was sent, to `end`.
    #[inline]
    pub(crate) fn note_sent(&mut self, end: u32, now: Time) {
        match self.sent {
            // What acknowledges one that was sent twice says nothing of the round trip (RFC 6298, 3).
            Some(sent) if ahead(end, sent) <= 0 => self.timed = None,
            _ => {
                self.sent = Some(end);
                if self.timed.is_none() {
                    self.timed = Some((end, instant(now)));
                }
            }
        }
    }

    /// The peer has acknowledged everything in front of `acknowledged`.
    #[inline]
    pub(crate) fn note_acknowledged(&mut self, acknowledged: u32, now: Time) {
        if let Some((end, since)) = self.timed
            && ahead(acknowledged, end) >= 0
        {
            self.measure(instant(now).since(since));
        }
    }

    /// Forgets what is being measured.
    pub(crate) fn measure_nothing(&mut self) {
        self.timed = None;
    }

    fn measure(&mut self, sample: Duration) {
        self.timed = None;
        let before = self.round_trip;
        self.round_trip = Some(before.map_or(RoundTrip::first(sample), |trip| trip.with(sample)));
    }

    /// Whether bytes are under way.
    fn has_in_flight(&self, acknowledged: u32) -> bool {
        self.sent.is_some_and(|sent| ahead(sent, acknowledged) > 0)
    }

    /// When the oldest byte under way is to be sent again; `None`: that is left to smoltcp.
    pub(super) fn due(&mut self, acknowledged: u32, now: Instant) -> Option<Instant> {
        if !self.has_in_flight(acknowledged) {
            self.waits = None;
            return None;
        }
        let progress = self.waits.filter(|(before, _)| *before == acknowledged);
        if progress.is_none() {
            self.outs = 0;
        }
        let (_, since) = *self.waits.insert(progress.unwrap_or((acknowledged, now)));
        let time_out = self.round_trip.filter(|_| self.outs < MOST)?.time_out();
        Some(since + time_out * (1 << self.outs))
    }

    /// Takes in an acceptable segment: whether the first segment under way is to be sent again.
    /// `progress`: it acknowledges more than the one before; `repeated`: it says nothing but the same again; `behind`:
    /// bytes that the peer has behind a hole.
    pub(super) fn hear(
        &mut self,
        acknowledged: u32,
        progress: bool,
        repeated: bool,
        behind: u32,
    ) -> bool {
        if !self.has_in_flight(acknowledged)
            || self.point.is_some_and(|end| ahead(acknowledged, end) >= 0)
        {
            self.point = None;
            self.told = 0;
            return false;
        }
        if self.told_of != acknowledged {
            (self.told, self.told_of) = (0, acknowledged);
        }
        if self.point.is_some() {
            return progress;
        }
        self.told += u8::from(repeated || behind > 0);
        let lost = self.told >= REPETITIONS || behind > BEHIND;
        if lost {
            self.point = self.sent;
        }
        lost
    }

    /// The time-out has come: everything under way may be lost.
    pub(super) fn time_out(&mut self, acknowledged: u32, now: Instant) {
        self.outs += 1;
        self.waits = Some((acknowledged, now));
        self.point = self.sent;
    }
}
