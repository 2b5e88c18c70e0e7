//! Connections driven by a transport's events.

use crate::common;
use common::{NOON, SITE, responses};
use proptest::prelude::*;
use reflex_http::{Limits, Service, Stream};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A connection with bounded buffers. As with the real ones, bytes are shown up to where the
/// buffer wraps, and room is announced only after a write that asked for more than there was.
#[derive(Clone)]
pub(crate) struct Fake(pub(crate) Rc<RefCell<State>>);

pub(crate) struct State {
    pub(crate) receive: VecDeque<u8>,
    /// How many bytes there are up to where the buffer wraps.
    to_wrap: usize,
    pub(crate) send: Vec<u8>,
    pub(crate) room: usize,
    /// What the peer has not taken; `None` when nobody can tell.
    untaken: Option<usize>,
    pub(crate) short: bool,
    pub(crate) closed: bool,
    pub(crate) aborted: bool,
    /// How often something was sent.
    pub(crate) submissions: usize,
}

const RING: usize = 700;

impl Fake {
    pub(crate) fn new(room: usize) -> Self {
        Self(Rc::new(RefCell::new(State {
            receive: VecDeque::new(),
            to_wrap: RING,
            send: Vec::new(),
            room,
            untaken: Some(0),
            short: false,
            closed: false,
            aborted: false,
            submissions: 0,
        })))
    }
}

impl Stream for Fake {
    fn exchange(
        &mut self,
        buffer: &mut [u8],
        serve: impl FnOnce(&[u8], &mut [u8]) -> (usize, usize),
    ) -> (usize, usize) {
        let room = self.0.borrow().room.min(buffer.len());
        let shown: Vec<u8> = {
            let state = self.0.borrow();
            state.receive.iter().take(state.to_wrap).copied().collect()
        };
        if shown.is_empty() {
            return (0, 0);
        }
        let (taken, filled) = serve(&shown, &mut buffer[..room]);
        let mut state = self.0.borrow_mut();
        state.receive.drain(..taken);
        state.to_wrap -= taken;
        if state.to_wrap == 0 {
            state.to_wrap = RING;
        }
        drop(state);
        assert_eq!(self.send(&buffer[..filled]), filled);
        let unread = self.0.borrow().receive.len();
        (taken, unread)
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        let mut state = self.0.borrow_mut();
        assert!(!state.closed, "sent after closing");
        state.submissions += 1;
        let count = bytes.len().min(state.room);
        state.short |= count < bytes.len();
        state.room -= count;
        state.send.extend_from_slice(&bytes[..count]);
        count
    }

    fn room(&mut self) -> usize {
        self.0.borrow().room
    }

    fn untaken(&mut self) -> Option<usize> {
        self.0.borrow().untaken
    }

    fn close(&mut self) {
        let mut state = self.0.borrow_mut();
        assert!(!state.closed, "closed twice");
        state.closed = true;
    }

    fn abort(&mut self) {
        self.0.borrow_mut().aborted = true;
    }
}

fn service(slots: usize) -> Service<Fake> {
    Service::new(SITE, Limits::default(), slots, Some(NOON)).expect("a good site")
}

fn request(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes()
}

#[test]
fn slots_are_used_again_and_do_not_disturb_each_other() {
    let mut service = service(2);
    for round in 0..3 {
        let streams = [Fake::new(100_000), Fake::new(100_000)];
        for (slot, stream) in streams.iter().enumerate() {
            service.accepted(slot, stream.clone());
            stream.0.borrow_mut().receive.extend(b"GET / HT");
            service.ready(slot);
        }
        streams[1].0.borrow_mut().receive.extend(b"TP/1.1\r\nHost: h\r\n\r\n");
        service.ready(1);
        let state = streams[1].0.borrow();
        assert_eq!(responses(&state.send, &["GET"])[0].status, 200);
        assert!(streams[0].0.borrow().send.is_empty());
        // The first ends in the middle of its request.
        service.closed(0);
        service.closed(1);
        assert_eq!(service.counters().responses, round + 1);
    }
}

#[test]
fn a_slot_beyond_the_table_is_aborted() {
    let stream = Fake::new(100);
    let mut service = service(1);
    service.accepted(1, stream.clone());
    assert!(stream.0.borrow().aborted);
    service.ready(1);
    service.ended(1);
    service.closed(1);
}

#[test]
fn time_outs_reach_exactly_their_connections() {
    let mut service = service(3);
    let [silent, slow, busy] = [(); 3].map(|()| Fake::new(100_000));
    for (slot, stream) in [&silent, &slow, &busy].into_iter().enumerate() {
        service.accepted(slot, stream.clone());
    }
    let mut closed = [None; 3];
    let mut aborted = [None; 3];
    for second in 1..=100 {
        if second == 20 {
            slow.0.borrow_mut().receive.extend(b"GET");
            service.ready(1);
        }
        if second % 9 == 0 {
            busy.0.borrow_mut().receive.extend(request("/", ""));
            service.ready(2);
        }
        service.tick(second, Some(NOON + u64::from(second)));
        for (slot, stream) in [&silent, &slow, &busy].into_iter().enumerate() {
            if stream.0.borrow().closed {
                closed[slot].get_or_insert(second);
            }
            if stream.0.borrow().aborted && aborted[slot].is_none() {
                aborted[slot] = Some(second);
                service.closed(slot);
            }
        }
    }
    // The clock stood at 19 when the slow one began.
    assert_eq!(closed, [Some(61), Some(30), None]);
    assert_eq!(aborted, [Some(67), Some(36), None]);
    assert_eq!(responses(&slow.0.borrow().send, &["GET"])[0].status, 408);
    assert!(silent.0.borrow().send.is_empty());
}

/// Silent connections are closed at once; one that was answered just now has time for a request that is under way;
/// what is in hand is answered; and each response says that it is the last.
#[test]
fn a_shutdown_answers_what_is_in_hand_and_waits_for_no_silent_client() {
    let mut service = service(5);
    let [silent, quick, late, slow, reading] = [(); 5].map(|()| Fake::new(100_000));
    reading.0.borrow_mut().room = 200;
    for (slot, stream) in [&silent, &quick, &late, &slow, &reading].into_iter().enumerate() {
        service.accepted(slot, stream.clone());
    }
    let say = |service: &mut Service<Fake>, slot: usize, stream: &Fake, text: &[u8]| {
        stream.0.borrow_mut().receive.extend(text);
        service.ready(slot);
    };
    for second in 1..=10 {
        service.tick(second, None);
    }
    // The memo knows this one from now on.
    say(&mut service, 1, &quick, &request("/", ""));
    say(&mut service, 2, &late, &request("/", ""));
    say(&mut service, 3, &slow, b"GET / HTTP/1.1\r\n");
    say(&mut service, 4, &reading, &request("/big", ""));
    service.shut_down();
    let closed = |stream: &Fake| stream.0.borrow().closed;
    assert!(closed(&silent) && silent.0.borrow().send.is_empty());
    assert!(![&quick, &late, &slow, &reading].into_iter().any(closed));
    say(&mut service, 1, &quick, &request("/", ""));
    say(&mut service, 3, &slow, b"Host: h\r\n\r\n");
    for (stream, place) in [(&quick, 1), (&slow, 0)] {
        assert!(closed(stream));
        let sent = responses(&stream.0.borrow().send, &["GET"; 2][..=place]);
        assert_eq!(sent[place].status, 200);
        assert_eq!(sent[place].field("connection"), Some("close"));
    }
    service.tick(11, None);
    assert!(!closed(&late));
    service.tick(12, None);
    assert!(closed(&late));
    assert_eq!(responses(&late.0.borrow().send, &["GET"]).len(), 1);
    // It has all of what it has begun to read, in its time.
    reading.0.borrow_mut().room = 100_000;
    service.ready(4);
    service.tick(14, None);
    assert!(closed(&reading));
    assert_eq!(responses(&reading.0.borrow().send, &["GET"])[0].status, 200);
    assert_eq!(service.counters().timed_out, 0);
}

/// A peer that reads `rate` bytes of `/big` each `every` seconds, through a send buffer of 8 KB.
/// Returns when it had all of it and the connection was closed, or when it was aborted instead.
fn read_slowly(rate: usize, every: u32, fields: &str) -> Result<u32, u32> {
    const BUFFER: usize = 8192;
    let mut service = service(1);
    let stream = Fake::new(BUFFER);
    service.accepted(0, stream.clone());
    stream.0.borrow_mut().receive.extend(request("/big", fields));
    service.ready(0);
    let mut taken = 0;
    for second in 1..100_000 {
        let announce = {
            let mut state = stream.0.borrow_mut();
            if second % every == 0 {
                taken = (taken + rate).min(state.send.len());
            }
            state.untaken = Some(state.send.len() - taken);
            state.room = BUFFER - (state.send.len() - taken);
            // As the stack does it: when half of the buffer is free.
            state.room >= BUFFER / 2 && std::mem::take(&mut state.short)
        };
        if announce {
            service.ready(0);
        }
        service.tick(second, None);
        let state = stream.0.borrow();
        assert_eq!(
            service.counters().too_slow,
            u64::from(state.aborted && state.send.len() > taken)
        );
        if state.aborted && state.send.len() > taken {
            return Err(second);
        }
        if state.closed && state.send.len() == taken {
            assert_eq!(responses(&state.send, &["GET"])[0].body, common::BIG);
            return Ok(second);
        }
    }
    panic!("the connection is held for ever");
}

#[test]
fn a_slow_reader_gets_its_answer_and_a_stingy_one_does_not_hold_the_connection() {
    for fields in ["", "Connection: close\r\n"] {
        // 1,024 bytes in 30 seconds are enough, however they come.
        for (rate, every) in [(35, 1), (512, 15), (1024, 30), (1400, 30), (9000, 30)] {
            let done = read_slowly(rate, every, fields).expect("it reads fast enough");
            println!("{rate} bytes each {every} s, {fields:?}: {done} s");
            assert!(done < 30 * (21_000 / 1024 + 1) + 100);
        }
        for (rate, every) in [(0, 1), (1, 1), (1, 30), (33, 1), (1000, 30), (8000, 62)] {
            let cut = read_slowly(rate, every, fields).expect_err("it reads too slowly");
            println!("{rate} bytes each {every} s, {fields:?}: cut off after {cut} s");
            assert!(cut <= 62);
        }
    }
}

#[test]
fn what_cannot_be_told_now_is_asked_again() {
    let mut service = service(1);
    let stream = Fake::new(100_000);
    service.accepted(0, stream.clone());
    stream.0.borrow_mut().untaken = None;
    for second in 1..100 {
        service.tick(second, None);
        assert!(!stream.0.borrow().closed);
    }
    stream.0.borrow_mut().untaken = Some(0);
    service.tick(100, None);
    assert!(stream.0.borrow().closed);
}

#[test]
fn a_peer_that_ends_early_gets_all_its_answers() {
    let mut service = service(1);
    let stream = Fake::new(150);
    service.accepted(0, stream.clone());
    stream.0.borrow_mut().receive.extend([request("/big", ""), request("/", "")].concat());
    service.ready(0);
    service.ended(0);
    for _ in 0..1000 {
        stream.0.borrow_mut().room = 100;
        service.ready(0);
    }
    let state = stream.0.borrow();
    assert_eq!(responses(&state.send, &["GET"; 2])[1].status, 200);
    assert!(state.closed);
}

proptest! {
    /// Requests arrive and room becomes free in any order; the service is woken only when the
    /// transport would wake it.
    #[test]
    fn nothing_is_lost_and_nothing_waits_for_ever(
        targets in prop::collection::vec(
            prop::sample::select(vec!["/", "/big", "/nothing", "/docs", "/%2e"]), 1..12),
        pieces in prop::collection::vec(1usize..400, 1..40),
        rooms in prop::collection::vec(1usize..3000, 1..40),
    ) {
        let mut input: Vec<u8> =
            targets.iter().flat_map(|target| request(target, "")).collect();
        let mut service = service(1);
        let stream = Fake::new(0);
        service.accepted(0, stream.clone());
        let (mut pieces, mut rooms) = (pieces.iter().cycle(), rooms.iter().cycle());
        loop {
            let mut woken = false;
            if !input.is_empty() {
                let piece = input.drain(..(*pieces.next().unwrap()).min(input.len()));
                stream.0.borrow_mut().receive.extend(piece);
                service.ready(0);
                woken = true;
            }
            stream.0.borrow_mut().room += *rooms.next().unwrap();
            if std::mem::take(&mut stream.0.borrow_mut().short) {
                service.ready(0);
                woken = true;
            }
            if !woken {
                break;
            }
        }
        let state = stream.0.borrow();
        prop_assert!(state.receive.is_empty());
        let statuses: Vec<u16> = responses(&state.send, &vec!["GET"; targets.len()])
            .iter()
            .map(|response| response.status)
            .collect();
        let expected: Vec<u16> = targets
            .iter()
            .map(|target| match *target {
                "/nothing" => 404,
                "/docs" => 301,
                _ => 200,
            })
            .collect();
        prop_assert_eq!(statuses, expected);
    }
}
