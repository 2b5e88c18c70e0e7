//! Detection of others with our address (RFC 5227 for IPv4; for IPv6 RFC 4862, 5.4, once).
//!
//! A new address is used at once and probed for meanwhile, as RFC 4429 has it for IPv6: an appliance
//! that starts in a tenth of a second is not to wait for seven. A station that has had the
//! address before us keeps it: while we probe, we withdraw. Afterwards we defend ours:
//!
//! ```text
//!  begin --> in use, probing --2.5 to 4.5 s--> in use, announced twice --> held
//!                 |                                 ^                       |
//!        conflict |                  no conflict    |    conflict: told and | an address of a lease:
//!                 v                                 |    defended, once in  | the second in ten
//!             withdrawn --5 s, later 60 s--> probing, not in use  <- - - - -+ seconds withdraws it
//!                                                                             (and DECLINE)
//! ```
//!
//! A configured address is never given up once it is held: an appliance is "the kind of device that
//! needs to have a well-known stable IP address" (2.4, c). One of a lease is, for its server has
//! others (2.4, b; RFC 2131, 4.4.4).

use core::time::Duration;
use reflex_event::Instant;

/// Conflicts after which trying again takes longer (RFC 5227, 1.1: MAX_CONFLICTS).
const MOST_CONFLICTS: u32 = 10;
/// How long after a conflict the address is probed for again.
const AGAIN: Duration = Duration::from_secs(5);
/// The same after many (RATE_LIMIT_INTERVAL).
const SELDOM: Duration = Duration::from_secs(60);
/// At most one defence in this time (DEFEND_INTERVAL).
const DEFEND: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
/// Time for others to answer the first probe before the address is announced.
const EARLY: Duration = Duration::from_millis(200);

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Say {
    /// Whether another station has the address (2.1.1).
    Probe,
    /// That we have it (2.3).
    Announce,
    /// None has: it is to be used from now on.
    Use,
}

/// What comes next, how long after it the next is due, and how much longer at most, by lot.
type Step = (Say, Duration, Duration);

/// For an address that is in use. PROBE_MIN and PROBE_MAX are one and two seconds, ANNOUNCE_WAIT and
/// ANNOUNCE_INTERVAL two.
const IN_USE: [Step; 6] = [
    (Say::Probe, EARLY, Duration::ZERO),
    (Say::Announce, Duration::from_millis(800), SECOND),
    (Say::Probe, SECOND, SECOND),
    (Say::Probe, Duration::from_secs(2), Duration::ZERO),
    (Say::Announce, Duration::from_secs(2), Duration::ZERO),
    (Say::Announce, Duration::ZERO, Duration::ZERO),
];
/// The step from which on an address in use is held.
const HELD: usize = 4;
/// For one that another station had.
const NOT_IN_USE: [Step; 4] = [
    (Say::Probe, SECOND, SECOND),
    (Say::Probe, SECOND, SECOND),
    (Say::Probe, Duration::from_secs(2), Duration::ZERO),
    // Goes on in `IN_USE`, with its announcements.
    (Say::Use, Duration::ZERO, Duration::ZERO),
];

/// Where an address is from, which decides what a conflict means for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    Configured,
    Leased,
}

/// What a conflict means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The address is to be used no longer.
    Withdraw,
    /// It is to be announced, once.
    Defend,
    /// Nothing: it has been defended not long ago.
    Keep,
}

/// The detection for one address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detection {
    origin: Origin,
    in_use: bool,
    /// Of the steps.
    at: usize,
    /// When it is due; `None`: all have been taken.
    due: Option<Instant>,
    conflicts: u32,
    /// Until when the address is not defended again.
    defended_until: Instant,
}

impl Detection {
    /// For an address that is used from `now` on.
    pub(crate) fn begin(origin: Origin, now: Instant) -> Self {
        let due = Some(now);
        Self { origin, in_use: true, at: 0, due, conflicts: 0, defended_until: Instant::ZERO }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a station that asks for the address, too, is in conflict with us.
    pub(crate) fn is_probing(&self) -> bool {
        !self.in_use || self.at < HELD
    }

    /// What is due at `now`. `lot`: any number.
    pub(crate) fn expired(&mut self, now: Instant, lot: u32) -> Option<Say> {
        self.due.filter(|due| *due <= now)?;
        let steps: &[Step] = if self.in_use { &IN_USE } else { &NOT_IN_USE };
        let &(say, wait, more) = steps.get(self.at)?;
        self.at += 1;
        if say == Say::Use {
            (self.in_use, self.at) = (true, HELD);
        }
        let more = more.mul_f32(lot as f32 / u32::MAX as f32);
        let last = self.in_use && self.at == IN_USE.len();
        self.due = (!last).then(|| now + wait + more);
        Some(say)
    }

    /// Another station has the address.
    pub(crate) fn conflict(&mut self, now: Instant) -> Outcome {
        let again = now < self.defended_until;
        if self.is_probing() || again && self.origin == Origin::Leased {
            self.conflicts = self.conflicts.saturating_add(1);
            let wait = if self.conflicts < MOST_CONFLICTS { AGAIN } else { SELDOM };
            (self.in_use, self.at, self.due) = (false, 0, Some(now + wait));
            return Outcome::Withdraw;
        }
        if again {
            return Outcome::Keep;
        }
        self.defended_until = now + DEFEND;
        Outcome::Defend
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// What is said until nothing is due, with milliseconds.
    fn all(detection: &mut Detection, lot: u32) -> Vec<(u64, Say)> {
        let mut said = vec![];
        while let Some(due) = detection.due() {
            let Some(say) = detection.expired(due, lot) else { break };
            said.push((due.as_nanos() / 1_000_000, say));
        }
        said
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    fn held(origin: Origin) -> Detection {
        let mut detection = Detection::begin(origin, at(0));
        all(&mut detection, 0);
        detection
    }

    /// RFC 5227, 2.1.1 and 2.3: three probes, one to two seconds apart, two announcements two
    /// seconds apart; and one early, for the address is in use.
    #[test]
    fn an_address_in_use_is_probed_and_announced() {
        use Say::{Announce, Probe};
        let least = [0, 200, 1000, 2000, 4000, 6000];
        let most = [0, 200, 2000, 4000, 6000, 8000];
        let say = [Probe, Announce, Probe, Probe, Announce, Announce];
        for (lot, times) in [(0, least), (u32::MAX, most)] {
            let mut detection = Detection::begin(Origin::Configured, at(0));
            let said = all(&mut detection, lot);
            assert_eq!(said, times.into_iter().zip(say).collect::<Vec<_>>());
            assert!(!detection.is_probing());
        }
        let mut early = Detection::begin(Origin::Configured, at(5));
        assert_eq!(early.expired(at(4), 0), None, "not due");
    }

    #[test]
    fn one_that_somebody_had_is_used_only_when_nobody_answers() {
        use Say::{Announce, Probe, Use};
        for origin in [Origin::Configured, Origin::Leased] {
            let mut detection = Detection::begin(origin, at(0));
            detection.expired(at(0), 0);
            assert_eq!(detection.conflict(at(1)), Outcome::Withdraw);
            let said = all(&mut detection, 0);
            let times = [5001, 6001, 7001, 9001, 9001, 11_001];
            let say = [Probe, Probe, Probe, Use, Announce, Announce];
            assert_eq!(said, times.into_iter().zip(say).collect::<Vec<_>>());
            assert!(!detection.is_probing());
        }
    }

    #[test]
    fn after_ten_conflicts_it_is_tried_once_a_minute() {
        let mut detection = Detection::begin(Origin::Configured, at(0));
        for n in 1..=12 {
            let now = detection.due().unwrap();
            assert_eq!(detection.expired(now, 7), Some(Say::Probe));
            assert_eq!(detection.conflict(now), Outcome::Withdraw);
            let wait = if n < 10 { 5 } else { 60 };
            assert_eq!(detection.due(), Some(now + Duration::from_secs(wait)), "{n}");
        }
    }

    /// 2.4, c.
    #[test]
    fn a_configured_address_is_defended_once_in_ten_seconds_and_kept() {
        let mut detection = held(Origin::Configured);
        for start in [20_000, 30_000] {
            assert_eq!(detection.conflict(at(start)), Outcome::Defend);
            for later in [0, 1, 9_999] {
                assert_eq!(detection.conflict(at(start + later)), Outcome::Keep);
            }
        }
    }

    /// 2.4, b.
    #[test]
    fn a_leased_address_is_defended_and_at_the_second_conflict_given_up() {
        let mut detection = held(Origin::Leased);
        assert_eq!(detection.conflict(at(20_000)), Outcome::Defend);
        assert_eq!(detection.conflict(at(30_000)), Outcome::Defend);
        assert_eq!(detection.conflict(at(39_999)), Outcome::Withdraw);
    }
}
