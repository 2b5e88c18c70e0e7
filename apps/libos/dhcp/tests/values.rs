//! Lists, names and points in time.

use reflex_dhcp::*;
use std::time::Duration;

#[test]
fn a_list_keeps_what_there_is_room_for() {
    let mut list: List<u8, 3> = List::new();
    assert!(list.is_empty() && list.first().is_none());
    for number in 1..=3 {
        assert!(list.push(number));
    }
    assert!(!list.push(4));
    assert_eq!((list.len(), list.iter().collect::<Vec<_>>()), (3, vec![1, 2, 3]));
    list.push_over(5);
    assert_eq!(list.into_iter().collect::<Vec<_>>(), [2, 3, 5]);
}

#[test]
fn names_are_names() {
    let name = |text: &str| Name::new(text.bytes()).map(|name| name.as_str().to_owned());
    let label = "x".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "y".repeat(61));
    assert_eq!(longest.len(), LONGEST_NAME);
    for good in ["a", "a.b", "A-1_b.c", "1.2.3.4", &label, &longest] {
        assert_eq!(name(good).as_deref(), Some(good));
    }
    assert_eq!(name("a.").as_deref(), Some("a"));
    assert_eq!(name("a\0\0").as_deref(), Some("a"));
    let (too_long, long_label) = (format!("{longest}z"), format!("{label}x"));
    for bad in ["", ".", "a..b", ".a", "a b", "a\0b", "ä", "a/b", "a\n", &too_long, &long_label] {
        assert_eq!(name(bad), None, "{bad}");
    }
    assert_eq!(format!("{0} {0:?}", Name::new(*b"a.b").unwrap()), "a.b \"a.b\"");
}

#[test]
fn time_ends_far_away() {
    let second = Instant::from_nanos(1_000_000_000);
    assert_eq!(second + Duration::MAX, Instant::FAR);
    assert_eq!(second.since(Instant::ZERO), Duration::from_secs(1));
    assert_eq!(Instant::ZERO.since(second), Duration::ZERO);
    assert_eq!(second.as_nanos(), 1_000_000_000);
}

/// A client lies in its host, and what it moves about lies on the stack of a handler, which is small.
#[test]
fn clients_and_leases_are_small() {
    assert!(size_of::<Client>() <= 1400, "{}", size_of::<Client>());
    assert!(size_of::<Lease>() <= 520, "{}", size_of::<Lease>());
}
