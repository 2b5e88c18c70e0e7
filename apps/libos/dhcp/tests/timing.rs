//! Lease times and the moments in them (RFC 2131, 3.3 and 4.4.5).

use crate::support::answer::Answer;
use crate::support::script::Script;
use reflex_dhcp::*;

fn times(ack: Answer, lease: u32, t1: u32, t2: u32) -> Answer {
    ack.seconds(lease).with(58, t1.to_be_bytes()).with(59, t2.to_be_bytes())
}

/// T1 and T2 of the lease in seconds since its beginning.
fn moments(script: &Script) -> (f64, f64) {
    let seconds = |moment: Instant| moment.as_nanos() as f64 / 1e9 - 1000.0;
    (seconds(script.lease().renewal), seconds(script.lease().rebinding))
}

/// A little sooner than they say, never later.
#[track_caller]
fn assert_moments(
    ack: impl FnOnce(&crate::support::sent::Sent) -> Answer,
    t1: f64,
    t2: f64,
) -> u64 {
    let script = Script::bound_by(ack);
    let (renewal, rebinding) = moments(&script);
    assert!((t1 * 31.0 / 32.0 - 0.001..=t1).contains(&renewal), "{renewal} and not {t1}");
    assert_eq!(rebinding, t2);
    script.odd(Oddity::Timers)
}

/// RFC 2131, 4.4.5: T1 is half of the lease, T2 seven eighths.
#[test]
fn t1_and_t2_are_a_half_and_seven_eighths() {
    assert_eq!(assert_moments(Answer::ack, 1800.0, 3150.0), 0);
    assert_eq!(assert_moments(|to| Answer::ack(to).seconds(80), 40.0, 70.0), 0);
}

/// RFC 2132, 9.11 and 9.12.
#[test]
fn t1_and_t2_are_as_the_server_says() {
    assert_eq!(assert_moments(|to| times(Answer::ack(to), 3600, 100, 200), 100.0, 200.0), 0);
    let t1 = |to: &_| Answer::ack(to).with(58, 900u32.to_be_bytes());
    assert_eq!(assert_moments(t1, 900.0, 3150.0), 0);
    let t2 = |to: &_| Answer::ack(to).with(59, 2000u32.to_be_bytes());
    assert_eq!(assert_moments(t2, 1800.0, 2000.0), 0);
}

/// RFC 2131, 4.4.5: T1 is before T2, and T2 before the end.
#[test]
fn t1_and_t2_out_of_order_do_not_count() {
    for (t1, t2) in [(0, 2000), (2000, 1000), (1000, 1000), (1000, 3600), (3601, 3602), (0, 0)] {
        let odd = assert_moments(|to| times(Answer::ack(to), 3600, t1, t2), 1800.0, 3150.0);
        assert_eq!(odd, 1, "{t1} {t2}");
    }
    // One alone, beyond the other's usual place.
    let t1 = |to: &_| Answer::ack(to).with(58, 3300u32.to_be_bytes());
    assert_eq!(assert_moments(t1, 1800.0, 3150.0), 1);
}

/// A server that wants to hear of its clients every second does not.
#[test]
fn t1_is_not_sooner_than_a_minute() {
    assert_moments(|to| times(Answer::ack(to), 3600, 1, 3000), 60.0, 3000.0);
    assert_moments(|to| times(Answer::ack(to), 3600, 1, 2), 1800.0, 3150.0);
    assert_moments(|to| times(Answer::ack(to), 3600, 1, 60), 1800.0, 3150.0);
    // Unless the lease is short.
    assert_moments(|to| times(Answer::ack(to), 40, 1, 35), 20.0, 35.0);
}

/// RFC 2131, 3.3: all ones are for ever.
#[test]
fn a_lease_for_ever_is_never_prolonged() {
    let script = Script::bound_by(|to| Answer::ack(to).seconds(u32::MAX));
    assert_eq!(script.lease().expiry, Instant::FAR);
    assert_eq!(script.client.deadline(), Instant::FAR);
}

/// The longest lease with an end has one.
#[test]
fn a_lease_of_a_century_ends() {
    let script = Script::bound_by(|to| Answer::ack(to).seconds(u32::MAX - 1));
    let lease = script.lease();
    assert!(lease.renewal < lease.rebinding && lease.rebinding < lease.expiry);
    assert!(lease.expiry < Instant::FAR);
}

/// RFC 2131, table 3: the time must be said, in the offer or in the acknowledgement.
#[test]
fn a_lease_without_a_time_is_none() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    script.arrives(&Answer::offer(&discover).without(51));
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer::ack(&request).without(51), Error::NoLeaseTime);
    script.arrives(&Answer::ack(&request));
    script.tells(Action::Granted);

    let mut script = Script::begin();
    script.acquire(Answer::offer, |to| Answer::ack(to).without(51));
}

/// A lease that is over before it can be used is none.
#[test]
fn a_lease_of_no_seconds_is_none() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    for seconds in [0, 1, MIN_LEASE - 1] {
        script.refuses(&Answer::offer(&discover).seconds(seconds), Error::LeaseTooShort);
    }
    script.arrives(&Answer::offer(&discover).seconds(MIN_LEASE));
    let request = script.leaves(Kind::Request);
    script.refuses(&Answer::ack(&request).seconds(0), Error::LeaseTooShort);
    script.arrives(&Answer::ack(&request).seconds(MIN_LEASE));
    script.tells(Action::Granted);
}

/// Leases of ten seconds are prolonged twice in ten seconds, and no more often.
#[test]
fn the_shortest_lease_is_prolonged_in_its_half() {
    let mut script = Script::bound_by(|to| Answer::ack(to).seconds(MIN_LEASE));
    let mut before = 0.0;
    for _ in 0..20 {
        let request = script.leaves_within(before + 4.8..=before + 5.0, Kind::Request);
        before = script.seconds();
        script.arrives(&Answer::ack(&request).seconds(MIN_LEASE));
        script.tells(Action::Renewed);
    }
}

/// A lease that was held for a minute has worked, and all servers are asked at once when it ends; a
/// shorter one is as good as none.
#[test]
fn a_lease_has_worked_after_a_minute() {
    for (seconds, wait) in [(60, 0.0), (59, 4.0)] {
        let mut script = Script::bound_by(|to| Answer::ack(to).seconds(seconds));
        script.leaves(Kind::Request);
        script.leaves(Kind::Request);
        let end = f64::from(seconds);
        script.tells_at(end, Action::Lost(Loss::Expired));
        script.leaves_at(end + wait, Kind::Discover);
    }
}
