//! Handlers that answer when they please, by way of a service and its connections.

use super::driver::{ROUTES, handle};
use crate::common::{NOON, SITE, responses};
use crate::service::Fake;
use proptest::prelude::*;
use reflex_http::{Answered, Call, Handlers, Limits, Reply, Routed, Service, Unavailable};
use std::cell::RefCell;
use std::rc::Rc;

type Memory = Box<[u8]>;

/// What the handlers were called with, and the slots that are over.
#[derive(Default)]
struct Seen {
    calls: Vec<(usize, Call<Memory>)>,
    gone: Vec<usize>,
    /// What blocks may have in all, and whether there are handlers.
    memory: usize,
    is_open: bool,
}

#[derive(Clone, Default)]
struct Desk(Rc<RefCell<Seen>>);

impl Handlers for Desk {
    type Block = Memory;

    fn block(&mut self, bytes: usize) -> Option<Memory> {
        (bytes <= self.0.borrow().memory).then(|| vec![0; bytes].into())
    }

    fn call(&mut self, slot: usize, call: Call<Memory>) -> Result<(), Unavailable> {
        let mut seen = self.0.borrow_mut();
        if !seen.is_open {
            return Err(Unavailable);
        }
        seen.calls.push((slot, call));
        Ok(())
    }

    fn gone(&mut self, slot: usize) {
        self.0.borrow_mut().gone.push(slot);
    }
}

struct World {
    service: Service<Fake, Routed<Desk>>,
    desk: Desk,
}

impl World {
    fn new() -> Self {
        let desk = Desk::default();
        (desk.0.borrow_mut().memory, desk.0.borrow_mut().is_open) = (1 << 20, true);
        let routes = Routed::new(&ROUTES, desk.clone()).expect("good routes");
        let service = Service::with_routes(SITE, routes, Limits::default(), 2, Some(NOON));
        Self { service: service.expect("a good site"), desk }
    }

    fn connect(&mut self, slot: usize, room: usize) -> Fake {
        let stream = Fake::new(room);
        self.service.accepted(slot, stream.clone());
        stream
    }

    fn say(&mut self, slot: usize, stream: &Fake, text: &str) {
        stream.0.borrow_mut().receive.extend(text.as_bytes());
        self.service.ready(slot);
    }

    /// Has the handler that was called first answer.
    fn answer(&mut self, round: &mut usize) -> bool {
        let call = {
            let mut seen = self.desk.0.borrow_mut();
            if seen.calls.is_empty() {
                return false;
            }
            seen.calls.remove(0)
        };
        for answer in handle(call.1, round) {
            self.service.answer(call.0, answer);
        }
        true
    }

    fn calls(&self) -> usize {
        self.desk.0.borrow().calls.len()
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn statuses(stream: &Fake, count: usize) -> Vec<u16> {
    let sent = stream.0.borrow().send.clone();
    responses(&sent, &vec!["GET"; count]).iter().map(|one| one.status).collect()
}

#[test]
fn a_reply_is_one_submission() {
    let mut world = World::new();
    let stream = world.connect(0, 10_000);
    world.say(0, &stream, &get("/v1/notes/7"));
    assert!(stream.0.borrow().send.is_empty());
    let before = stream.0.borrow().submissions;
    assert!(world.answer(&mut 0));
    assert_eq!(stream.0.borrow().submissions, before + 1);
    assert_eq!(statuses(&stream, 1), [200]);
    assert_eq!(world.desk.0.borrow().gone, [0]);
}

#[test]
fn without_memory_or_a_handler_clients_are_told_503() {
    let mut world = World::new();
    let stream = world.connect(0, 10_000);
    world.desk.0.borrow_mut().is_open = false;
    world.say(0, &stream, &get("/v1/notes/7").repeat(2));
    assert_eq!(statuses(&stream, 2), [503, 503]);
    assert!(!stream.0.borrow().closed);
    assert_eq!(world.service.counters().unavailable, 2);
    world.desk.0.borrow_mut().memory = 10;
    world.say(0, &stream, &get("/v1/notes/7"));
    assert_eq!(statuses(&stream, 3), [503, 503, 503]);
    assert!(stream.0.borrow().closed && world.calls() == 0);
}

#[test]
fn what_takes_too_long_ends_in_its_time() {
    let body = "POST /v1/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123";
    for (text, status, second) in [(body, 408, 31), (&*get("/v1/notes/7"), 503, 61)] {
        let mut world = World::new();
        let stream = world.connect(0, 10_000);
        world.say(0, &stream, text);
        for now in 1..second {
            world.service.tick(now, None);
            assert!(stream.0.borrow().send.is_empty(), "{now}");
        }
        world.service.tick(second, None);
        assert_eq!(statuses(&stream, 1), [status]);
        assert!(stream.0.borrow().closed);
        assert_eq!(world.desk.0.borrow().gone, [0]);
        // An answer that comes all the same changes nothing.
        world.service.answer(0, Answered::Reply(Reply::ok().text("late")));
        assert_eq!(statuses(&stream, 1), [status]);
    }
}

/// Each period of 30 seconds is to bring 1,024 bytes, however long the body is.
#[test]
fn a_slow_client_may_send_a_long_body_and_a_stingy_one_may_not() {
    for (target, each, lasts) in [
        ("/v1/echo", 35, true),
        ("/v1/pieces", 35, true),
        ("/v1/echo", 33, false),
        ("/v1/pieces", 33, false),
    ] {
        let mut world = World::new();
        let stream = world.connect(0, 10_000);
        let head = format!("POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 6000\r\n\r\n");
        world.say(0, &stream, &head);
        let mut sent = 0;
        for now in 1.. {
            let piece = (6000 - sent).min(each);
            world.say(0, &stream, &"x".repeat(piece));
            sent += piece;
            while world.answer(&mut 0) {}
            world.service.tick(now, None);
            if !stream.0.borrow().send.is_empty() {
                break;
            }
            assert!(now < 300, "it is waited for longer than it takes");
        }
        assert_eq!(statuses(&stream, 1)[0] < 300, lasts, "{target} {each}");
        assert_eq!(sent == 6000, lasts);
    }
}

#[test]
fn a_client_that_does_not_read_a_reply_is_cut_off() {
    let mut world = World::new();
    let stream = world.connect(0, 50);
    world.say(0, &stream, &get("/v1/notes/7"));
    assert!(world.answer(&mut 0));
    for now in 1..31 {
        world.service.tick(now, None);
        assert!(!stream.0.borrow().aborted, "{now}");
    }
    for now in 31..63 {
        world.service.tick(now, None);
    }
    assert!(stream.0.borrow().aborted);
    assert_eq!(world.service.counters().too_slow, 1);
}

#[test]
fn the_handler_is_told_of_a_connection_that_is_gone() {
    let mut world = World::new();
    let stream = world.connect(0, 1000);
    world.say(0, &stream, &get("/v1/notes/7"));
    world.service.closed(0);
    assert_eq!(world.desk.0.borrow().gone, [0]);
    let next = world.connect(0, 1000);
    assert!(world.answer(&mut 0));
    assert!(next.0.borrow().send.is_empty() && stream.0.borrow().send.is_empty());
}

#[test]
fn a_client_that_sends_no_more_gets_its_reply_first() {
    let mut world = World::new();
    let stream = world.connect(0, 1000);
    world.say(0, &stream, &get("/v1/notes/7").repeat(2));
    world.service.ended(0);
    assert!(!stream.0.borrow().closed);
    assert!(world.answer(&mut 0) && world.answer(&mut 0));
    assert_eq!(statuses(&stream, 2), [200, 200]);
    assert!(stream.0.borrow().closed);
}

proptest! {
    /// Requests arrive, room becomes free and handlers answer in any order; the service is woken only when the
    /// transport would wake it.
    #[test]
    fn nothing_is_lost_and_nothing_waits_for_ever(
        targets in prop::collection::vec(
            prop::sample::select(vec!["/v1/notes/7", "/", "/v1/files/a", "/v1/show", "/v1/notes/x"]), 1..10),
        steps in prop::collection::vec((1usize..300, 1usize..2000, any::<bool>()), 1..40),
    ) {
        let mut world = World::new();
        let stream = world.connect(0, 0);
        let input: String = targets.iter().map(|target| get(target)).collect();
        let (mut rest, mut steps) = (&input[..], steps.iter().cycle());
        loop {
            let (piece, room, answers) = *steps.next().unwrap();
            let mut woken = false;
            if !rest.is_empty() {
                let (first, behind) = rest.split_at(piece.min(rest.len()));
                rest = behind;
                world.say(0, &stream, first);
                woken = true;
            }
            if answers || rest.is_empty() {
                woken |= world.answer(&mut 0);
            }
            stream.0.borrow_mut().room += room;
            let was_short = std::mem::take(&mut stream.0.borrow_mut().short);
            if was_short {
                world.service.ready(0);
            }
            if !woken && !was_short {
                break;
            }
        }
        let expected: Vec<u16> = targets
            .iter()
            .map(|target| if *target == "/v1/notes/x" { 404 } else { 200 })
            .collect();
        prop_assert_eq!(statuses(&stream, targets.len()), expected);
    }
}
