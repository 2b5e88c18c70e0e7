//! Lies and storms: each lie has its count and no effect, and no storm makes the client one.

use crate::support::answer::Answer;
use crate::support::script::{Script, settings};
use crate::support::{Dice, OTHER, SERVER, ip, seed};
use reflex_dhcp::*;
use std::time::Duration;

#[test]
fn messages_that_are_for_somebody_else_are_refused() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    let good = Answer::offer(&discover);
    for (answer, error) in [
        (Answer { op: 1, ..good.clone() }, Error::NotReply),
        (Answer { op: 3, ..good.clone() }, Error::NotReply),
        (Answer { hardware: [6, 6, 0], ..good.clone() }, Error::OtherHardware),
        (Answer { hardware: [1, 8, 0], ..good.clone() }, Error::OtherHardware),
        (Answer { chaddr: [2, 0, 0, 0, 0, 0x43], ..good.clone() }, Error::OtherHardware),
        (Answer { cookie: [99, 130, 83, 98], ..good.clone() }, Error::NoCookie),
        (Answer { cookie: [0; 4], ..good.clone() }, Error::NoCookie),
        (good.clone().without(53), Error::NoMessageType),
    ] {
        script.refuses(&answer, error);
    }
    for kind in (0..=255).filter(|kind| ![2, 5, 6, 9].contains(kind)) {
        script.refuses(&good.clone().with(53, [kind]), Error::MessageType);
    }
    script.arrives(&good);
    script.leaves(Kind::Request);
}

#[test]
fn messages_that_are_cut_off_anywhere_do_nothing() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    // Every option that is there is needed, but for the router at the end.
    let message = Answer::offer(&discover).without(3).without(1).message();
    for length in 0..message.len() - 13 {
        let cut = &message[..length];
        script.call(|client, now, random| client.message(cut, now, random));
        script.silent();
        script.stands(Standing::Selecting);
    }
    assert_eq!(script.client.counters().refused(Error::MessageLength), 240);
    assert_eq!(script.client.counters().accepted, 0);
}

/// RFC 3203, 6: a forced renewal must be authenticated, or ignored.
#[test]
fn a_forced_renewal_is_ignored() {
    let mut script = Script::begin();
    let request = script.acquire(Answer::offer, Answer::ack);
    let force = Answer::ack(&request).with(53, [9]);
    script.refuses(&force, Error::Forcerenew);
    script.refuses(&Answer { xid: 0, ..force.clone() }, Error::Forcerenew);
    script.refuses(&force.with(90, [0; 11]), Error::Forcerenew);
    script.silent_until(1700.0);
}

/// How a server misbehaves.
type Server = fn(&mut Dice, &crate::support::sent::Sent) -> Vec<Answer>;

fn of_this_kind(sent: &crate::support::sent::Sent) -> Answer {
    match sent.kind {
        Kind::Discover => Answer::offer(sent),
        _ => Answer::ack(sent),
    }
}

const SERVERS: [(&str, Server); 9] = [
    ("refuses every request", |_, sent| match sent.kind {
        Kind::Request => vec![Answer::nak(sent)],
        _ => vec![Answer::offer(sent)],
    }),
    ("refuses under another name", |_, sent| match sent.kind {
        Kind::Request => vec![Answer::nak(sent).by(OTHER), Answer::nak(sent)],
        _ => vec![Answer::offer(sent)],
    }),
    ("gives leases of no time", |_, sent| vec![of_this_kind(sent).seconds(0)]),
    ("gives leases of the shortest time", |_, sent| vec![of_this_kind(sent).seconds(MIN_LEASE)]),
    ("refuses each renewal", |_, sent| match (sent.kind, sent.requested()) {
        (Kind::Request, None) => vec![Answer::nak(sent)],
        _ => vec![of_this_kind(sent).seconds(MIN_LEASE)],
    }),
    ("wants renewals every second", |_, sent| {
        vec![of_this_kind(sent).seconds(600).with(58, [0, 0, 0, 1]).with(59, [0, 0, 0, 2])]
    }),
    ("has ever new names", |dice, sent| {
        let name = ip(100 + dice.below(100) as u8);
        match sent.kind {
            Kind::Request => vec![Answer::nak(sent).by(sent.server().unwrap_or(name))],
            _ => vec![Answer::offer(sent).by(name)],
        }
    }),
    ("sends everything a hundred times", |dice, sent| {
        (0..100)
            .map(|_| match dice.below(3) {
                0 => Answer::offer(sent),
                1 => Answer::ack(sent).seconds(MIN_LEASE),
                _ => Answer::nak(sent),
            })
            .collect()
    }),
    ("offers and says no more", |_, sent| match sent.kind {
        Kind::Discover => vec![Answer::offer(sent)],
        _ => vec![],
    }),
];

/// A day with a server: when messages were sent, in seconds.
fn day(server: Server, dice: &mut Dice, conflicts: bool) -> Vec<f64> {
    let check = if conflicts { Check::Probe } else { Check::Trust };
    let mut client = Client::new(Settings { check, ..settings() });
    let mut draws = dice.clone();
    let mut random = || draws.next() as u32;
    let mut now = Instant::ZERO;
    let mut times = Vec::new();
    let mut due: Vec<Action> = client.start(None, now, &mut random).into_iter().collect();
    while now < Instant::ZERO + Duration::from_secs(86_400) {
        // Answers come at once, and their consequences too.
        while let Some(action) = due.pop() {
            match action {
                Action::Send(request) => {
                    times.push(now.as_nanos() as f64 / 1e9);
                    assert!(times.len() < 100_000, "a storm");
                    let mut frame = [0; LONGEST_FRAME];
                    let length = client.write_frame(&request, [2; 6], &mut frame).expect("room");
                    let sent = crate::support::sent::Sent::read(&frame[..length]);
                    for answer in server(dice, &sent) {
                        let frame = answer.frame();
                        due.extend(client.frame(&frame, UdpChecksum::Verify, now, &mut random));
                    }
                }
                Action::Probe(address) => due.extend(client.conflict(address, now, &mut random)),
                _ => {}
            }
        }
        let deadline = client.deadline();
        assert!(deadline > now || due.is_empty());
        now = deadline.max(now);
        due.extend(client.expired(now, &mut random));
        if let Some(lease) = client.lease() {
            assert!(now < lease.expiry);
        }
    }
    times
}

/// In any time *t* no more than what is promised.
fn assert_bounded(times: &[f64], what: &str) {
    for (first, from) in times.iter().enumerate() {
        for (last, to) in times.iter().enumerate().skip(first) {
            let most = f64::from(BURST) + (to - from) / INTERVAL.as_secs_f64();
            let count = last - first + 1;
            assert!(count as f64 <= most + 0.001, "{what}: {count} messages in {} s", to - from);
            if last - first > 2000 {
                break;
            }
        }
    }
}

#[test]
fn no_server_makes_the_client_a_storm() {
    let mut dice = Dice(seed());
    for conflicts in [false, true] {
        for (what, server) in SERVERS {
            let times = day(server, &mut dice, conflicts);
            assert!(times.len() > 100, "{what}: only {} messages in a day", times.len());
            assert_bounded(&times, what);
        }
    }
}

/// The bound does not hold because the client waits for long anyway.
#[test]
fn the_bound_is_reached_and_kept() {
    let mut client = Client::new(settings());
    let mut draws = 0;
    let mut random = || {
        draws += 1;
        draws
    };
    let mut sent = 0;
    for _ in 0..1000 {
        let actions = client.start(None, Instant::ZERO, &mut random);
        sent += actions.into_iter().filter(|action| matches!(action, Action::Send(_))).count();
    }
    assert_eq!(sent, BURST as usize);
    assert_eq!(client.counters().odd(Oddity::Paced), 1000 - u64::from(BURST));
    assert_eq!(client.deadline(), Instant::ZERO + INTERVAL);
}

/// Everything random, into a client in every state.
#[test]
fn noise_is_refused_and_counted() {
    let mut dice = Dice(seed());
    let mut script = Script::bound();
    let before = *script.client.counters();
    let mut count = 0;
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..dice.below(600)).map(|_| dice.next() as u8).collect();
        if let Some(op) = bytes.first_mut() {
            *op = 2;
        }
        script.call(|client, now, random| client.message(&bytes, now, random));
        count += 1;
    }
    let after = script.client.counters();
    let refused = |of: &Counters| Error::ALL.iter().map(|error| of.refused(*error)).sum::<u64>();
    assert_eq!(refused(after) - refused(&before), count);
    assert_eq!((after.accepted, after.sent), (before.accepted, before.sent));
    assert_eq!(script.lease().server(), SERVER);
}

/// Every reason has a sentence of its own.
#[test]
fn every_reason_has_a_sentence() {
    let mut sentences: Vec<String> = Error::ALL.iter().map(Error::to_string).collect();
    sentences.extend(Oddity::ALL.iter().map(Oddity::to_string));
    let count = sentences.len();
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), count);
    assert!(sentences.iter().all(|sentence| sentence.len() > 15 && !sentence.ends_with('.')));
}
