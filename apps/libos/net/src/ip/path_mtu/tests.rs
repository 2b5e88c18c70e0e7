//! What is learnt of ways, and how much of it is kept.

use super::*;
use proptest::prelude::*;

const REMOTE: u32 = 0xc000_0207;

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn paths() -> Paths {
    Paths::new(&[7; 16])
}

#[test]
fn what_a_router_says_counts_for_ten_minutes() {
    let mut paths = paths();
    assert_eq!(paths.get(REMOTE, at(0)), Path::UNKNOWN);
    assert!(paths.too_long(REMOTE, 1500, 1400, at(5)));
    let learnt = Path { longest: 1400, fragmented: false };
    assert_eq!(paths.get(REMOTE, at(604)), learnt);
    assert_eq!(paths.get(REMOTE + 1, at(6)), Path::UNKNOWN);
    assert_eq!(paths.get(REMOTE, at(605)), Path::UNKNOWN);
}

#[test]
fn what_teaches_nothing_is_not_believed() {
    let mut paths = paths();
    // As long as what did not fit, or longer.
    assert!(!paths.too_long(REMOTE, 1500, 1500, at(0)));
    assert!(!paths.too_long(REMOTE, 1500, 9000, at(0)));
    assert!(paths.too_long(REMOTE, 1500, 1000, at(0)));
    // Never more than before.
    assert!(!paths.too_long(REMOTE, 1500, 1400, at(1)));
    assert_eq!(paths.get(REMOTE, at(2)).longest, 1000);
    assert!(paths.too_long(REMOTE, 1000, 900, at(3)));
}

#[test]
fn silly_lengths_make_no_silly_packets() {
    let mut paths = paths();
    assert!(paths.too_long(REMOTE, 1500, 68, at(0)));
    assert_eq!(paths.get(REMOTE, at(1)), Path { longest: LEAST, fragmented: true });
}

#[test]
fn a_router_that_names_no_length_is_understood() {
    for (length, expected) in [(1500, 1492), (1492, 1006), (1000, LEAST), (600, LEAST)] {
        let mut paths = paths();
        assert!(paths.too_long(REMOTE, length, 0, at(0)));
        assert_eq!(paths.get(REMOTE, at(1)).longest, expected, "{length}");
    }
}

#[test]
fn silence_leads_to_shorter_packets_that_may_be_fragmented() {
    let mut paths = paths();
    assert!(paths.unanswered(REMOTE, at(0)));
    assert_eq!(paths.get(REMOTE, at(1)), Path { longest: TUNNEL, fragmented: true });
    assert!(paths.unanswered(REMOTE, at(1)));
    assert_eq!(paths.get(REMOTE, at(2)), Path { longest: SMALL, fragmented: true });
    assert!(!paths.unanswered(REMOTE, at(2)), "there is nothing shorter");
    assert_eq!(paths.get(REMOTE, at(3)), Path { longest: SMALL, fragmented: true });
}

#[test]
fn a_segment_is_sent_three_times_before_its_way_is_doubted() {
    let mut repeats = Repeats::default();
    let mut sent = |sequence: u32| {
        repeats.sent(sequence);
        let suspect = repeats.suspect();
        if suspect.is_some() {
            repeats.doubted();
        }
        suspect
    };
    assert_eq!([sent(0), sent(0), sent(0)], [None, None, Some(0)]);
    // Then two more decide.
    assert_eq!([sent(0), sent(0)], [None, Some(0)]);
    // Another segment begins anew.
    assert_eq!([sent(0), sent(1), sent(0), sent(0)], [None; 4]);
}

#[test]
fn identifications_of_one_destination_are_not_repeated_soon() {
    let mut paths = paths();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..=u16::MAX {
        assert!(seen.insert(paths.identification(REMOTE)));
    }
}

#[test]
fn identifications_of_one_destination_tell_nothing_of_others() {
    let mut paths = paths();
    let before = paths.identification(REMOTE);
    let others = (1..=1000).filter(|other| paths.identification(REMOTE + other) == before);
    assert!(others.count() < 8, "they begin anywhere");
    // Of 1,000, some four share its counter.
    let gap = paths.identification(REMOTE).wrapping_sub(before);
    assert!((1..16).contains(&gap), "{gap}");
}

proptest! {
    /// However many destinations there are, the table stays as large as it is; the latest is known.
    #[test]
    fn the_table_is_bounded(remotes in prop::collection::vec(1u32.., 1..2000)) {
        let mut paths = paths();
        for (second, remote) in remotes.iter().enumerate() {
            let now = at(second as u64);
            let fresh = paths.get(*remote, now) == Path::UNKNOWN;
            prop_assert_eq!(paths.too_long(*remote, 1500, 1400, now), fresh);
            prop_assert_eq!(paths.get(*remote, now).longest, 1400);
        }
        prop_assert_eq!(paths.sets.len() * WAYS, 256);
    }
}
