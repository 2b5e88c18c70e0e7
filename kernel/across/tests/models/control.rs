//! Two cores that control each other at the same time.

use crate::core_model::Core;
use crate::model;
use crate::requests::{Requests, Token};
use crate::rings::ends;
use crate::{Port, bell::Senders};
use loom::sync::Arc;
use loom::thread;
use reflex_event::Priority;

/// A message between them.
#[derive(Clone, Copy)]
enum Message {
    /// Do something.
    Control(Token),
    /// It is done.
    Done(Token),
}

/// Asks `asked` times, and serves the other until it has been answered and has answered as often itself.
fn control(own: usize, here: &Core, there: &Core, mut port: Port<'_, Message, (), 2>, asked: u32) {
    let mut requests = Requests::<u32, 1>::new();
    let (mut asks, mut told, mut performed) = (0, 0, 0);
    while told < asked || performed < asked || port.waiting() > 0 {
        if asks < asked
            && let Ok(token) = requests.begin(asks)
        {
            let sent = port.send(Message::Control(token), Priority::DEFAULT, ());
            there.interrupt(sent.expect("one request at a time has a place").interrupt);
            asks += 1;
        }
        assert_eq!(here.wait().next(), Some(1 - own));
        while let Some(message) = port.take() {
            match message {
                Message::Control(token) => {
                    performed += 1;
                    let sent = port.answer(Message::Done(token), Priority::DEFAULT, ());
                    there.interrupt(sent.expect("a place is kept for it").interrupt);
                }
                Message::Done(token) => {
                    assert_eq!(requests.finish(token), Some(told), "each is told once, in turn");
                    assert_eq!(requests.finish(token), None);
                    told += 1;
                }
            }
        }
        let served = port.finish(drop);
        there.interrupt(served.interrupt);
        if served.left {
            let mut left = Senders::NONE;
            left.insert(1 - own);
            here.bell.put_back(left);
        }
    }
    assert_eq!((asks, told, performed), (asked, asked, asked));
}

/// The rings have one slot, so that requests and answers are in each other's way: all are told, once each.
fn both_are_told(asked: u32, preemptions: usize) {
    model(preemptions, move || {
        let cores = [0, 1].map(|_| Arc::new(Core::new()));
        let (to_second, from_first) = ends::<Message, 1>();
        let (to_first, from_second) = ends::<Message, 1>();
        let [first, second] = cores.clone();
        let other = thread::spawn(move || {
            let port = Port::new(1, &first.bell, to_first, from_first, 1);
            control(1, &second, &first, port, asked);
        });
        let [first, second] = cores;
        let port = Port::new(0, &second.bell, to_second, from_second, 1);
        control(0, &first, &second, port, asked);
        other.join().unwrap();
    });
}

#[test]
fn each_is_told_once_that_it_is_done() {
    both_are_told(1, 2);
}

#[test]
fn a_place_serves_again() {
    both_are_told(2, 1);
}
