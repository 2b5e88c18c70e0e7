//! An address that a server grants and somebody else has: declined (RFC 2131, 4.4.4; RFC 5227, 2.4 b).

use super::server::*;
use crate::common;
use common::raw::arp;
use reflex_net::{ConflictDetection, ConflictOutcome};
use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::time::Duration;

const DECLINE: u8 = 4;
const OTHER: [u8; 6] = [2, 7, 7, 7, 7, 7];

std::thread_local! {
    static TOLD: RefCell<Vec<ConflictOutcome>> = const { RefCell::new(Vec::new()) };
}

fn leased() -> Leased {
    let mut leased = Leased::begin_with(|config| {
        config.conflict_detection = ConflictDetection::On;
        config.conflict = Some(|it| TOLD.with_borrow_mut(|told| told.push(it.outcome)));
    });
    leased.is_granted(&usual());
    leased
}

fn told() -> Vec<ConflictOutcome> {
    TOLD.with_borrow_mut(core::mem::take)
}

/// Others than this one say that the address is theirs.
fn claim() -> Vec<u8> {
    arp([0xff; 6], 1, (OTHER, OFFERED), ([0; 6], OFFERED))
}

/// The address that the client declines in what is sent.
fn declined(sent: &[Vec<u8>]) -> Vec<Option<Ipv4Addr>> {
    let declines = messages(sent).into_iter().filter(|message| message.kind == DECLINE);
    declines.map(|message| message.requested).collect()
}

#[test]
fn an_address_that_somebody_has_is_declined_and_another_asked_for() {
    let mut leased = leased();
    let answer = arp(leased.host.mac, 2, (OTHER, OFFERED), (leased.host.mac, [0; 4].into()));
    let sent = leased.hears(&answer);
    assert_eq!(declined(&sent), [Some(OFFERED)]);
    assert_eq!(leased.net().address(), None);
    assert_eq!(told(), [ConflictOutcome::Withdrawn]);
    // Ten seconds at least until the client asks again (RFC 2131, 3.1.5), and then it may be granted.
    assert!(messages(&leased.passes(Duration::from_secs(9))).is_empty());
    let is_discover = |sent: &[Vec<u8>]| messages(sent).iter().any(|it| it.kind == 1);
    leased.passes_until(Duration::from_secs(60), is_discover);
    leased.is_granted(&usual());
}

#[test]
fn one_in_use_is_defended_and_at_the_second_conflict_declined() {
    let mut leased = leased();
    leased.passes(Duration::from_secs(20));
    for _ in 0..2 {
        let sent = leased.hears(&claim());
        assert_eq!(sent, [arp([0xff; 6], 1, (leased.host.mac, OFFERED), ([0; 6], OFFERED))]);
        assert_eq!(told(), [ConflictOutcome::Defended]);
        leased.passes(Duration::from_secs(10));
    }
    leased.hears(&claim());
    let sent = leased.hears(&claim());
    assert_eq!(declined(&sent), [Some(OFFERED)]);
    assert_eq!(told(), [ConflictOutcome::Defended, ConflictOutcome::Withdrawn]);
    assert_eq!(leased.net().address(), None);
    assert_eq!(leased.net().counters().address_conflicts, 4);
}

/// The server hears of it though no transmit buffer is free at that moment.
#[test]
fn a_decline_waits_for_a_transmit_buffer() {
    let mut leased = leased();
    leased.passes(Duration::from_secs(20));
    leased.host.wire.stall(true);
    // The interface has 16: answers fill them.
    let question = arp([0xff; 6], 1, (OTHER, SERVER), ([0; 6], OFFERED));
    for _ in 0..16 {
        leased.hears(&question);
    }
    leased.hears(&claim());
    leased.hears(&claim());
    assert_eq!(leased.net().address(), None);
    leased.host.wire.stall(false);
    assert_eq!(declined(&leased.passes(Duration::from_secs(3))), [Some(OFFERED)]);
    told();
}
