//! NetIO's appliances with each other: publishers, subscribers, an event builder, each an image of its own.

use reflex_qemu::machine::Outcome;
use reflex_qemu::protocol::{Event, Figure};

use crate::guest::Guest;
use crate::rdma::{Lab, PATIENCE, ok};

/// A publisher that waits for its subscribers.
fn publisher(lab: &Lab, number: u8, words: &str) -> Guest {
    let mut image = lab.image("netio-publish", lab.station(number), words);
    image.running.wait_for_text("publishes at port 7000", PATIENCE).unwrap();
    image
}

/// What an image that ended by itself has printed, by the figure's name.
fn printed(outcome: &Outcome, name: &str) -> Figure {
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
    let figure = outcome.lines.iter().rev().find_map(|line| match &line.event {
        Some(Event::Figure(figure)) if figure.case == name => Some(figure.clone()),
        _ => None,
    });
    figure.unwrap_or_else(|| panic!("no {name}:\n{}", outcome.tail(30)))
}

fn subscribe(lab: &Lab, number: u8, words: &str) -> Outcome {
    let words = format!("publisher=10.88.0.1 {words}");
    lab.image("netio-subscribe", lab.station(number), &words).finish()
}

#[test]
fn every_subscriber_gets_every_message() {
    let Some(lab) = Lab::open() else { return };
    for over in ["tcp", "rdma"] {
        for how in ["size=100 count=20000", "size=3000 count=2000 unbuffered"] {
            let count = how.split(['=', ' ']).nth(3).unwrap();
            let words = format!("over={over} rate=0 subscribers=4 {how}");
            let image = publisher(&lab, 1, &words);
            let outcome = subscribe(&lab, 2, &format!("over={over} links=4 count={count}"));
            let figure = printed(&outcome, "received");
            assert_eq!(figure.parameters.get("missed").map(String::as_str), Some("0"), "{words}");
            let all = 4 * count.parse::<u64>().unwrap();
            assert_eq!(figure.parameters.get("count"), Some(&all.to_string()), "{words}");
            image.stop();
        }
    }
}

#[test]
fn a_slow_subscriber_misses_some_and_another_one_does_not() {
    let Some(lab) = Lab::open() else { return };
    let image = publisher(&lab, 1, "over=rdma rate=0 size=500 subscribers=2 slow=drop");
    // It takes longer for a message than all of the others' take together.
    let slow = "publisher=10.88.0.1 over=rdma slow=20000 count=200";
    let slow = lab.image("netio-subscribe", lab.station(2), slow);
    let swift = subscribe(&lab, 3, "over=rdma count=5000");
    printed(&swift, "received");
    let missed = printed(&slow.finish(), "received").parameters["missed"].clone();
    assert!(missed.parse::<u64>().unwrap() > 0, "it was waited for");
    image.stop();
}

#[test]
fn events_are_built_of_what_three_publishers_send() {
    let Some(lab) = Lab::open() else { return };
    for over in ["tcp", "rdma"] {
        let source = |number: u8| {
            publisher(&lab, number, &format!("over={over} rate=500 size=200 source={number}"))
        };
        let sources = [1, 2, 3].map(source);
        let publishers = "10.88.0.1,10.88.0.2:7000,10.88.0.3";
        let words = format!("over={over} publishers={publishers} count=500 window=100000");
        let outcome = lab.image("netio-readout", lab.station(4), &words).finish();
        let figure = printed(&outcome, "built");
        assert_eq!((figure.value, figure.parameters["given_up"].as_str()), (500.0, "0"));
        sources.into_iter().for_each(|source| _ = source.stop());
    }
}

/// A publisher that is turned off and comes again is found again, by the subscriber that waits for it.
#[test]
fn a_publisher_that_comes_again_is_found_again() {
    let Some(lab) = Lab::open() else { return };
    for over in ["tcp", "rdma"] {
        let words = format!("publisher=10.88.0.1 over={over} count=3000");
        // It is there before its publisher is.
        let mut subscriber = lab.image("netio-subscribe", lab.station(2), &words);
        subscriber.running.wait_for_text("subscribes at", PATIENCE).unwrap();
        let first = publisher(&lab, 1, &format!("over={over} rate=1000 count=1000"));
        subscriber.running.wait_for_text("subscribed to", PATIENCE).unwrap();
        first.stop();
        let second = publisher(&lab, 1, &format!("over={over} rate=0"));
        let outcome = subscriber.finish();
        assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
        second.stop();
    }
}

/// The peer's program has the protocol from its page, over plain verbs.
#[test]
fn linux_speaks_the_same_protocol() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(3));
    let image = publisher(&lab, 1, "over=rdma rate=0 count=4000 subscribers=2");
    let received = ok(linux.run("netio subscribe 10.88.0.1 2 4000", PATIENCE));
    assert!(received.contains("figure netio received"), "{received}");
    image.stop();
    let source = linux.start("netio publish 10.88.0.3 64 4000 2 buffered").unwrap();
    linux.wait_for_output(source, "ready", PATIENCE).unwrap();
    let words = "publisher=10.88.0.3 over=rdma links=2 count=4000";
    let outcome = lab.image("netio-subscribe", lab.station(2), words).finish();
    // The image is turned off as soon as it has everything, so how the publisher ends says nothing.
    assert_eq!(printed(&outcome, "received").parameters["count"], "8000");
}
