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
/// What it is longer than two round trips, at least, where acknowledgements are not delayed: more than one segment is under
/// way.
const PROBE_MARGIN: Duration = Duration::from_millis(20);
/// Time-outs in a row are each twice as long as the one before, up to this (RFC 6298, 2.5).
const MOST: Duration = Duration::from_secs(60);

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

    /// RFC 6298, 2.3, but for 2.4's second.
    fn time_out(self) -> Duration {
        self.smoothed + MARGIN.max(self.variation * 4)
    }

    /// RFC 8985, 7.2, with a margin for what varies.
    fn probe_time_out(self) -> Duration {
        let probe = self.smoothed * 2 + PROBE_MARGIN.max(self.variation * 4);
        probe.min(self.time_out())
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
    /// Since the last progress: the first time-out, if it was a short one.
    probed: bool,
    /// And those after it.
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

    /// A segment with text or a FIN was sent, to `end`.
    #[inline]
    pub(crate) fn note_sent(&mut self, end: u32, now: Time) {
        match self.sent {
            Some(sent) if ahead(end, sent) <= 0 => {
                // What acknowledges one that was sent twice says nothing of the round trip (RFC 6298, 3).
                self.timed = None;
                // It is waited for from now on, smoltcp's own repetitions included.
                self.waits = self.waits.map(|(acknowledged, _)| (acknowledged, instant(now)));
            }
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

    /// The peer has acknowledged the bytes in front of `to` selectively, from `from` on.
    pub(super) fn note_selected(&mut self, from: u32, to: u32, now: Time) {
        if let Some((end, since)) = self.timed
            && ahead(end, from) > 0
            && ahead(to, end) >= 0
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

    /// When the oldest byte under way is to be sent again, should smoltcp not do it before; `None`: that is left to smoltcp.
    pub(super) fn due(&mut self, acknowledged: u32, now: Instant) -> Option<Instant> {
        if !self.has_in_flight(acknowledged) {
            self.waits = None;
            return None;
        }
        let progress = self.waits.filter(|(before, _)| *before == acknowledged);
        if progress.is_none() {
            (self.probed, self.outs) = (false, 0);
        }
        let (_, since) = *self.waits.insert(progress.unwrap_or((acknowledged, now)));
        let trip = self.round_trip?;
        let wait = match self.is_probe(acknowledged) {
            true => trip.probe_time_out(),
            false => trip.time_out().saturating_mul(1 << self.outs.min(16)).min(MOST),
        };
        Some(since + wait)
    }

    /// Whether the next time-out is the first since the last progress, with more than one segment under way: then
    /// no acknowledgement is waited for that the peer delays, and it may come sooner.
    fn is_probe(&self, acknowledged: u32) -> bool {
        let several = self.sent.is_some_and(|sent| ahead(sent, acknowledged) > LONGEST as i32);
        several && !self.probed && self.outs == 0
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
        match self.is_probe(acknowledged) {
            true => self.probed = true,
            false => self.outs = self.outs.saturating_add(1),
        }
        self.waits = Some((acknowledged, now));
        self.point = self.sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Time {
        Time::from_millis(milliseconds)
    }

    /// RFC 6298, 3: once it was sent once.
    #[test]
    fn a_selective_acknowledgement_times_the_segment_that_it_covers() {
        let mut recovery = Recovery::default();
        recovery.note_sent(100, at(0));
        recovery.note_sent(200, at(1));
        for (from, to) in [(100, 200), (0, 99)] {
            recovery.note_selected(from, to, at(5));
            assert_eq!(recovery.due(0, instant(at(5))), None, "{from} to {to}");
        }
        recovery.note_selected(50, 200, at(10));
        assert_eq!(recovery.due(0, instant(at(10))), Some(instant(at(5 + 10 + 200))));

        let mut repeated = Recovery::default();
        repeated.note_sent(100, at(0));
        repeated.note_sent(100, at(1));
        repeated.note_selected(50, 100, at(10));
        assert_eq!(repeated.due(0, instant(at(10))), None);
    }

    /// RFC 6298, 5.5 and 2.5; and no longer than that through a loss that lasts.
    #[test]
    fn each_time_out_is_twice_as_long_up_to_a_minute_and_progress_begins_anew() {
        let mut recovery = Recovery::default();
        recovery.note_sent(100, at(0));
        recovery.note_acknowledged(100, at(10));
        recovery.note_sent(200, at(10));
        let mut waited = 0;
        for tries in 0..300 {
            let now = instant(at(10 + waited));
            let due = recovery.due(100, now).unwrap();
            let wait = due.since(now).as_millis() as i64;
            assert_eq!(wait, (210 << tries.min(16)).min(60_000), "{tries}");
            waited += wait;
            recovery.time_out(100, due);
        }
        recovery.note_sent(300, at(10 + waited));
        let now = instant(at(10 + waited));
        assert_eq!(recovery.due(200, now), Some(instant(at(10 + waited + 210))));
    }
}
