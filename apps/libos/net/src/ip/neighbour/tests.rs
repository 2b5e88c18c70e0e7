//! What a neighbour's entry makes of what it hears.

use super::*;

const A: u128 = 0x0a00_0001;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 66];

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

#[test]
fn counts_as_gone_after_three_requests_and_is_still_asked_for() {
    let mut table = Neighbours::new(&[7; 16]);
    assert_eq!(table.resolve(A, at(0)), (Answer::Pending, Ask::Broadcast));
    assert_eq!(table.resolve(A, at(0)), (Answer::Pending, Ask::No));
    assert_eq!(table.resolve(A, at(1)), (Answer::Pending, Ask::Broadcast));
    assert_eq!(table.resolve(A, at(2)), (Answer::Pending, Ask::Broadcast));
    assert_eq!(table.resolve(A, at(3)), (Answer::Gone, Ask::No), "what has waited gives up");
    for second in 4..1000 {
        // As often as RFC 1122, 2.3.2.1 lets it be.
        assert_eq!(table.resolve(A, at(second)), (Answer::Gone, Ask::Broadcast));
        assert_eq!(table.resolve(A, at(second)), (Answer::Gone, Ask::No));
    }
    assert_eq!(table.heard(A, MAC, Claim::Answer, at(1000)), Heard::Known);
    assert_eq!(table.resolve(A, at(1000)), (Answer::Known(MAC, at(1060)), Ask::No));
}

/// Linux' `arp_accept=0`: what passes by makes no entries.
#[test]
fn a_stranger_is_learnt_only_when_it_asks_for_us() {
    let mut table = Neighbours::new(&[7; 16]);
    for claim in [Claim::Answer, Claim::Announcement, Claim::Hint] {
        assert_eq!(table.heard(A, MAC, claim, at(0)), Heard::Nothing);
        assert_eq!(table.knows(A), None);
    }
    assert_eq!(table.heard(A, MAC, Claim::Question, at(0)), Heard::Known);
    assert_eq!(table.knows(A), Some(MAC));
}

/// A neighbour that is waited for may tell its address in any way.
#[test]
fn one_that_is_waited_for_is_heard_however_it_speaks() {
    let ways =
        [(Claim::Answer, 60), (Claim::Question, 60), (Claim::Announcement, 1), (Claim::Hint, 1)];
    for (claim, until) in ways {
        let mut table = Neighbours::new(&[7; 16]);
        table.resolve(A, at(0));
        let epoch = table.epoch;
        assert_eq!(table.heard(A, MAC, claim, at(0)), Heard::Known);
        assert_ne!(table.epoch, epoch);
        // What was not told to us is confirmed at its first use.
        let ask = if until == 60 { Ask::No } else { Ask::Confirm(MAC) };
        assert_eq!(table.resolve(A, at(0)), (Answer::Known(MAC, at(until)), ask));
    }
}

/// Of two answers to one question the first counts: proxies, hosts with two interfaces.
#[test]
fn the_second_answer_to_a_question_is_not_heard() {
    let mut table = Neighbours::new(&[7; 16]);
    table.resolve(A, at(0));
    table.heard(A, MAC, Claim::Answer, at(0));
    assert_eq!(table.heard(A, OTHER, Claim::Answer, at(0)), Heard::Nothing);
    assert_eq!(table.knows(A), Some(MAC));
    // Later it is no second answer, but an adapter team that moves its clients (balance-alb).
    assert_eq!(table.heard(A, OTHER, Claim::Answer, at(1)), Heard::Moved(MAC));
}

/// RFC 826: the sender's address is merged into an entry there is.
#[test]
fn a_neighbour_that_moved_is_believed_at_once_and_confirmed() {
    for claim in [Claim::Announcement, Claim::Question] {
        let mut table = Neighbours::new(&[7; 16]);
        table.heard(A, MAC, Claim::Question, at(0));
        let epoch = table.epoch;
        assert_eq!(table.heard(A, OTHER, claim, at(0)), Heard::Moved(MAC));
        assert_ne!(table.epoch, epoch, "what remembers the old one looks again");
        let expected = (Answer::Known(OTHER, at(1)), Ask::Confirm(OTHER));
        assert_eq!(table.resolve(A, at(0)), expected);
        assert_eq!(table.heard(A, OTHER, Claim::Announcement, at(0)), Heard::Nothing, "again");
        assert_eq!(table.heard(A, OTHER, Claim::Answer, at(0)), Heard::Known);
        assert_eq!(table.resolve(A, at(5)), (Answer::Known(OTHER, at(60)), Ask::No));
    }
}

/// One that took the address and does not answer has it for three seconds.
#[test]
fn one_that_moved_and_does_not_answer_is_asked_for_everywhere() {
    let mut table = Neighbours::new(&[7; 16]);
    table.heard(A, MAC, Claim::Question, at(0));
    table.heard(A, OTHER, Claim::Announcement, at(10));
    for second in 10..13 {
        let expected = (Answer::Known(OTHER, at(second + 1)), Ask::Confirm(OTHER));
        assert_eq!(table.resolve(A, at(second)), expected);
    }
    assert_eq!(table.resolve(A, at(13)), (Answer::Pending, Ask::Broadcast));
}

#[test]
fn a_former_address_that_still_answers_has_it_back() {
    let mut table = Neighbours::new(&[7; 16]);
    table.heard(A, MAC, Claim::Question, at(0));
    assert_eq!(table.heard(A, OTHER, Claim::Announcement, at(10)), Heard::Moved(MAC));
    let epoch = table.epoch;
    assert_eq!(table.heard(A, MAC, Claim::Answer, at(10)), Heard::Disputed);
    assert_ne!(table.epoch, epoch);
    assert_eq!(table.resolve(A, at(10)), (Answer::Known(MAC, at(70)), Ask::No));
    for second in 10..13 {
        let heard = table.heard(A, OTHER, Claim::Announcement, at(second));
        assert_eq!(heard, Heard::Nothing, "the dispute lasts");
    }
    // A master that did not know yet that it was none any more; the new one says so again.
    assert_eq!(table.heard(A, OTHER, Claim::Announcement, at(13)), Heard::Moved(MAC));
    // Too late to object: then it is a move of its own.
    assert_eq!(table.heard(A, MAC, Claim::Announcement, at(14)), Heard::Moved(OTHER));
}

#[test]
fn changes_nobody_asked_for_are_at_most_one_a_second() {
    let mut table = Neighbours::new(&[7; 16]);
    table.heard(A, MAC, Claim::Question, at(0));
    let mut moved = 0;
    for n in 0..1000u64 {
        let mac = [2, 1, 0, 0, (n >> 8) as u8, n as u8];
        let now = Instant::from_nanos(10_000_000_000 + n * 10_000_000);
        moved += u32::from(table.heard(A, mac, Claim::Announcement, now) != Heard::Nothing);
    }
    assert_eq!(moved, 10);
    // An answer to our own question is heard at any time.
    table.resolve(A, at(20));
    assert_eq!(table.heard(A, MAC, Claim::Answer, at(20)), Heard::Known);
}

/// RFC 4861, 7.2.5, I: without "override", another address is a reason to ask, no more.
#[test]
fn a_hint_changes_nothing_but_has_the_neighbour_confirmed() {
    let mut table = Neighbours::new(&[7; 16]);
    table.heard(A, MAC, Claim::Question, at(0));
    assert_eq!(table.heard(A, MAC, Claim::Hint, at(1)), Heard::Nothing);
    assert_eq!(table.resolve(A, at(1)).1, Ask::No);
    assert_eq!(table.heard(A, OTHER, Claim::Hint, at(1)), Heard::Nothing);
    assert_eq!(table.resolve(A, at(1)), (Answer::Known(MAC, at(2)), Ask::Confirm(MAC)));
}

#[test]
fn an_old_answer_is_used_while_it_is_confirmed_and_dropped_when_it_is_not() {
    let mut table = Neighbours::new(&[7; 16]);
    table.heard(A, MAC, Claim::Question, at(0));
    let epoch = table.epoch;
    for second in 60..63 {
        let expected = (Answer::Known(MAC, at(second + 1)), Ask::Confirm(MAC));
        assert_eq!(table.resolve(A, at(second)), expected);
    }
    assert_eq!(table.resolve(A, at(63)), (Answer::Pending, Ask::Broadcast));
    assert_ne!(table.epoch, epoch);
}

#[test]
fn stays_bounded_and_prefers_those_that_answered() {
    let mut table = Neighbours::new(&[7; 16]);
    table.heard(A, MAC, Claim::Question, at(0));
    for address in 0x0b00_0000..0x0b00_4000 {
        table.resolve(address, at(1));
    }
    assert_eq!(table.resolve(A, at(2)).0, Answer::Known(MAC, at(60)));
}
