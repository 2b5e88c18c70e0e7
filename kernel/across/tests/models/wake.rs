//! Sleep and wake: each that has sent something is heard, and a core that is beaten is interrupted.

use crate::core_model::Core;
use crate::model;
use crate::rings::ends;
use loom::sync::Arc;
use loom::thread;
use reflex_event::Priority;

/// Two cores send to a third, which sleeps whenever it has nothing: it gets everything, and each one's in order.
#[test]
fn no_wake_up_is_lost() {
    model(2, || {
        let core = Arc::new(Core::new());
        let senders = [1, 2].map(|number| {
            let (mut producer, consumer) = ends::<u32, 2>();
            let core = core.clone();
            let sender = move || {
                for message in 0..2 - number % 2 {
                    producer.push(message).expect("there is room");
                    core.interrupt(core.bell.ring(number as usize, Priority::DEFAULT));
                }
            };
            (thread::spawn(sender), consumer)
        });
        let [(first, from_first), (second, from_second)] = senders;
        let mut from = [from_first, from_second];
        let mut next = [0, 0];
        while next != [1, 2] {
            for sender in core.wait() {
                while let Some(message) = from[sender - 1].pop() {
                    assert_eq!(message, next[sender - 1], "the order of one sender is kept");
                    next[sender - 1] += 1;
                }
            }
        }
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// A core runs something urgent, and then something that the message beats. Either it finds the message as it goes down, or it
/// is interrupted then.
#[test]
fn what_beats_a_core_that_goes_down_interrupts_it() {
    model(4, || {
        let core = Arc::new(Core::new());
        assert!(core.bell.run(Priority::HIGH).is_empty());
        let other = core.clone();
        let sender = thread::spawn(move || other.bell.ring(7, Priority::DEFAULT));
        let found = core.bell.run(Priority::LOW).next();
        let interrupted = sender.join().unwrap();
        assert!(found == Some(7) || interrupted, "neither found nor interrupted");
        if found.is_none() {
            assert_eq!(core.bell.run(Priority::LOW).next(), Some(7));
        }
    });
}

/// What does not beat the core leaves a mark alone.
#[test]
fn what_is_beaten_does_not_interrupt() {
    model(4, || {
        let core = Arc::new(Core::new());
        assert!(core.bell.run(Priority::DEFAULT).is_empty());
        let other = core.clone();
        let sender = thread::spawn(move || other.bell.ring(3, Priority::DEFAULT));
        core.bell.raise(Priority::HIGH);
        assert!(!sender.join().unwrap());
        assert!(core.bell.is_marked());
        assert_eq!(core.bell.run(Priority::DEFAULT).collect::<Vec<_>>(), [3]);
    });
}

/// Of those that ring at a sleeping core at once, one interrupts it for all that are no more urgent.
#[test]
fn one_interrupt_is_for_all() {
    model(4, || {
        let core = Arc::new(Core::new());
        assert!(core.bell.sleep().is_empty());
        let ring = |number| {
            let core = core.clone();
            thread::spawn(move || core.bell.ring(number, Priority::DEFAULT))
        };
        let due = [ring(1), ring(2)].map(|sender| usize::from(sender.join().unwrap()));
        assert_eq!(due.iter().sum::<usize>(), 1);
        assert!(core.bell.ring(3, Priority::HIGH), "a more urgent one is not for less");
        assert!(!core.bell.ring(4, Priority::HIGH));
        assert_eq!(core.bell.run(Priority::LOWEST).collect::<Vec<_>>(), [1, 2, 3, 4]);
    });
}
