//! A ring that is too small for what is sent: what has no room waits, and goes when there is some.

use crate::core_model::Core;
use crate::model;
use crate::rings::ends;
use crate::{Port, port::Full};
use loom::sync::Arc;
use loom::thread;
use reflex_event::Priority;

const PRIORITY: Priority = Priority::DEFAULT;

/// The ring has one slot and the list two places: of three messages some wait, and all arrive in order. The sender sleeps
/// when it has sent, so that it goes on only when it is told that there is room.
#[test]
fn what_waits_goes_when_there_is_room() {
    model(2, || {
        let (sender, receiver) = (Arc::new(Core::new()), Arc::new(Core::new()));
        let (producer, from_sender) = ends::<u32, 1>();
        let (back, from_receiver) = ends::<u32, 1>();
        let (here, there) = (sender.clone(), receiver.clone());
        let sending = thread::spawn(move || {
            let mut port = Port::<u32, u32, 2>::new(0, &there.bell, producer, from_receiver, 0);
            let mut waits = Vec::new();
            for message in 0..3 {
                let sent = port.send(message, PRIORITY, message).expect("three have places");
                there.interrupt(sent.interrupt);
                waits.extend(sent.waits.then_some(message));
            }
            let mut gone = Vec::new();
            while port.waiting() > 0 {
                assert_eq!(here.wait().next(), Some(1));
                let served = port.finish(|owner| gone.push(owner));
                there.interrupt(served.interrupt);
            }
            assert_eq!(gone, waits, "each owner is told once");
        });
        let mut port = Port::<u32, u32, 2>::new(1, &sender.bell, back, from_sender, 0);
        let mut next = 0;
        while next < 3 {
            assert_eq!(receiver.wait().next(), Some(0));
            while let Some(message) = port.take() {
                assert_eq!(message, next);
                next += 1;
            }
            let served = port.finish(|_| unreachable!("nothing waits here"));
            sender.interrupt(served.interrupt);
            if served.left {
                let mut left = crate::bell::Senders::NONE;
                left.insert(0);
                receiver.bell.put_back(left);
            }
        }
        sending.join().unwrap();
    });
}

/// Beyond the list, too, a message comes back, and its sender is told when there is room.
#[test]
fn what_is_refused_is_told_of_room() {
    model(2, || {
        let (sender, receiver) = (Arc::new(Core::new()), Arc::new(Core::new()));
        let (producer, from_sender) = ends::<u32, 1>();
        let (back, from_receiver) = ends::<u32, 1>();
        let (here, there) = (sender.clone(), receiver.clone());
        let sending = thread::spawn(move || {
            let mut port = Port::<u32, (), 2>::new(0, &there.bell, producer, from_receiver, 1);
            let mut next = 0;
            while next < 3 {
                match port.send(next, PRIORITY, ()) {
                    Ok(sent) => {
                        there.interrupt(sent.interrupt);
                        next += 1;
                    }
                    Err(Full(message)) => {
                        assert_eq!(message, next);
                        let mut room = false;
                        while !room {
                            assert_eq!(here.wait().next(), Some(1));
                            let served = port.finish(drop);
                            there.interrupt(served.interrupt);
                            room = served.room;
                        }
                    }
                }
            }
            while port.waiting() > 0 {
                assert_eq!(here.wait().next(), Some(1));
                let served = port.finish(drop);
                there.interrupt(served.interrupt);
            }
        });
        let mut port = Port::<u32, (), 2>::new(1, &sender.bell, back, from_sender, 1);
        let mut next = 0;
        while next < 3 {
            assert_eq!(receiver.wait().next(), Some(0));
            while let Some(message) = port.take() {
                assert_eq!(message, next);
                next += 1;
            }
            sender.interrupt(port.finish(drop).interrupt);
        }
        sending.join().unwrap();
    });
}
