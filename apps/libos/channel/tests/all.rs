//! Channels over a simulated kernel.

use proptest::prelude::*;
use reflex_channel::{Reason, Sender};
use reflex_event::{Context, Error, EventSystem, Priority};
use reflex_testkit::{Clock, SimKernel};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

const CAPACITY: usize = 4;

/// Messages that panic the handler are odd thousands.
const POISON: u32 = 1_000;

type Log = Arc<Mutex<Vec<u32>>>;

/// A receiving context, its channel, and what its handlers were given.
struct World {
    kernel: SimKernel,
    receiver: Context<()>,
    sending: Context<()>,
    sender: Sender<SimKernel, u32>,
    received: Log,
    told: Arc<Mutex<u32>>,
}

impl World {
    fn new() -> Self {
        let kernel = SimKernel::new(Clock::default(), 1);
        let (receiver, sending) = (kernel.context((), 8_192), kernel.context((), 8_192));
        let told = Arc::new(Mutex::new(0));
        let heard = told.clone();
        let sender = Sender::new(&kernel, receiver, CAPACITY, 4)
            .and_then(|sender| {
                sender.when_room(sending, Priority::LOW, move |()| *heard.lock().unwrap() += 1)
            })
            .unwrap();
        Self { kernel, receiver, sending, sender, received: Log::default(), told }
    }

    fn attach(&self) -> Result<(), Error> {
        let log = self.received.clone();
        let attached = self.sender.attach(self.receiver, Priority::HIGH, move |(), message| {
            log.lock().unwrap().push(message);
            assert!(message < POISON, "told to fail");
        });
        attached.map(drop)
    }

    /// Sends in a section, so that the receiving end does not run before it is let.
    fn send(&self, message: u32) -> Result<(), Reason> {
        let sent = self.kernel.section(|| self.sender.send(message));
        sent.map_err(|refused| {
            assert_eq!(refused.value, message, "it comes back as it was");
            refused.reason
        })
    }
}

#[test]
fn each_message_is_given_once_and_in_turn() {
    let world = World::new();
    assert_eq!(world.send(0), Err(Reason::Closed));
    world.attach().unwrap();
    assert_eq!(world.attach(), Err(Error::Exclusive));
    for message in 1..=3 {
        world.sender.send(message).unwrap();
    }
    world.kernel.run_until_idle();
    assert_eq!(*world.received.lock().unwrap(), [1, 2, 3]);
    let counters = world.sender.counters();
    assert_eq!((counters.sent, counters.received, counters.closed), (3, 3, 1));
    assert_eq!(world.sender.queued(), 0);
}

#[test]
fn a_full_channel_refuses_and_tells_when_it_has_drained() {
    let world = World::new();
    world.attach().unwrap();
    world.kernel.section(|| {
        for message in 0..CAPACITY as u32 {
            world.sender.send(message).unwrap();
        }
        for _ in 0..3 {
            assert_eq!(world.send(9), Err(Reason::Full));
        }
        assert_eq!(*world.told.lock().unwrap(), 0);
    });
    world.kernel.run_until_idle();
    assert_eq!(*world.told.lock().unwrap(), 1, "once for all that were refused");
    assert_eq!(*world.received.lock().unwrap(), [0, 1, 2, 3]);
    assert_eq!(world.sender.counters().full, 3);
    // It is not told again before it is refused again.
    world.sender.send(4).unwrap();
    world.kernel.run_until_idle();
    assert_eq!(*world.told.lock().unwrap(), 1);
}

/// Senders that were refused run by their priorities, the highest first, when there is room.
#[test]
fn the_highest_sender_is_told_first() {
    let world = World::new();
    world.attach().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let senders: Vec<_> = [10, 30, 20]
        .into_iter()
        .map(|level| {
            let order = order.clone();
            let priority = Priority::new(level).unwrap();
            let note = move |(): &mut ()| order.lock().unwrap().push(level);
            world.sender.when_room(world.sending, priority, note).unwrap()
        })
        .collect();
    world.kernel.section(|| {
        while world.sender.send(1).is_ok() {}
        for sender in &senders {
            assert_eq!(sender.send(2).unwrap_err().reason, Reason::Full);
        }
    });
    world.kernel.run_until_idle();
    assert_eq!(*order.lock().unwrap(), [30, 20, 10]);
}

#[test]
fn a_receiving_end_that_fails_closes_the_channel_and_the_next_goes_on() {
    let world = World::new();
    world.attach().unwrap();
    let failed = world.kernel.contain_in(world.receiver, (), || {
        world.kernel.section(|| {
            for message in [1, POISON, 3, 4] {
                world.send(message).unwrap();
            }
            assert_eq!(world.send(5), Err(Reason::Full));
        });
        world.kernel.run_until_idle();
    });
    assert!(failed);
    // The sender that waited is told, and finds why.
    assert_eq!(*world.told.lock().unwrap(), 1);
    assert_eq!(world.send(5), Err(Reason::Closed));
    assert_eq!(world.sender.receiver(), None);
    // What was not in the handler's hands is not lost: one is taken back, one waits for the next life.
    assert_eq!(world.sender.take_back(), Some(3));
    world.attach().unwrap();
    world.kernel.run_until_idle();
    assert_eq!(*world.received.lock().unwrap(), [1, POISON, 4]);
    // The sender was refused while there was none, and is told that there is one.
    assert_eq!(*world.told.lock().unwrap(), 2);
    assert_eq!(world.sender.take_back(), None);
    world.send(6).unwrap();
    world.kernel.run_until_idle();
    assert_eq!(world.received.lock().unwrap().last(), Some(&6));
}

#[test]
fn an_unregistered_receiving_end_closes_the_channel() {
    let world = World::new();
    world.attach().unwrap();
    world.kernel.unregister(world.sender.receiver().unwrap()).unwrap();
    assert_eq!(world.send(1), Err(Reason::Closed));
    world.attach().unwrap();
    world.send(2).unwrap();
}

/// The receiving end lasts as long as there is something that it could be given.
#[test]
fn the_last_sender_ends_the_receiving_end_behind_the_last_message() {
    let world = World::new();
    world.attach().unwrap();
    let World { kernel, sender, received, receiver, sending, .. } = world;
    let pools = [receiver, sending].map(|context| kernel.pool(context).unwrap());
    let event = sender.receiver().unwrap();
    let copy = sender.clone();
    sender.never_mind();
    drop(sender);
    kernel.section(|| {
        copy.send(1).unwrap();
        copy.send(2).unwrap();
        drop(copy);
        assert_eq!(kernel.activate(event, 1), Ok(()));
    });
    kernel.run_until_idle();
    assert_eq!(*received.lock().unwrap(), [1, 2]);
    assert_eq!(kernel.activate(event, 1), Err(Error::Stale));
    assert_eq!(pools.map(|pool| pool.stats().blocks), [0, 0], "nothing of it is left");
}

#[test]
fn a_channel_larger_than_its_home_is_refused() {
    let kernel = SimKernel::new(Clock::default(), 1);
    let home = kernel.context((), 4_096);
    let refused = Sender::<SimKernel, [u64; 8]>::new(&kernel, home, 1_000, 1).err();
    assert_eq!(refused, Some(Error::OutOfMemory));
    assert_eq!(Sender::<SimKernel, u64>::new(&kernel, home, usize::MAX, 1).err(), refused);
    assert_eq!(Sender::<SimKernel, u8>::new(&kernel, home, 0, 0).unwrap().capacity(), 1);
    assert_eq!(kernel.pool(home).unwrap().stats().blocks, 0);
}

/// Senders of equal priority that fill the channel whenever they can are told first by turns.
#[test]
fn no_sender_is_always_the_first_to_be_told() {
    let world = World::new();
    world.attach().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let senders: Vec<_> = (0..3)
        .map(|number| {
            let order = order.clone();
            let note = move |(): &mut ()| order.lock().unwrap().push(number);
            world.sender.when_room(world.sending, Priority::LOW, note).unwrap()
        })
        .collect();
    for _ in 0..4 {
        world.kernel.section(|| {
            while world.sender.clone().send(1).is_ok() {}
            for sender in &senders {
                assert_eq!(sender.send(2).unwrap_err().reason, Reason::Full);
            }
        });
        world.kernel.run_until_idle();
    }
    let firsts: Vec<u32> = order.lock().unwrap().chunks(3).map(|told| told[0]).collect();
    // The world's own sender has the first turn.
    assert_eq!(firsts, [0, 0, 1, 2]);
}

/// As many can be told as the channel was made for; a place comes back with its context's life.
#[test]
fn places_of_senders_are_bounded_and_come_back() {
    let world = World::new();
    let join = || world.sender.when_room(world.sending, Priority::LOW, |()| {});
    let joined: Vec<_> = (0..3).map(|_| join().unwrap()).collect();
    let registrations = world.kernel.registrations();
    assert_eq!(join().err(), Some(Error::LimitReached));
    assert_eq!(world.kernel.registrations(), registrations);
    joined[1].never_mind();
    let again = join().unwrap();
    // The one that has left does not wait in the place of the other.
    joined[1].send(1).unwrap_err();
    world.attach().unwrap();
    world.kernel.run_until_idle();
    assert_eq!(join().err(), Some(Error::LimitReached));
    // Its handles stay where they were, as in the state of a context that has failed.
    world.kernel.end(world.sending);
    for _ in 0..4 {
        join().unwrap();
    }
    drop(again);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    SendPoison,
    Run,
    Attach,
    Unregister,
    TakeBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Send),
        1 => Just(Step::SendPoison),
        3 => Just(Step::Run),
        2 => Just(Step::Attach),
        1 => Just(Step::Unregister),
        1 => Just(Step::TakeBack),
    ]
}

proptest! {
    /// Whatever happens to the receiving end, each message that was taken is given to a handler or taken back,
    /// once, and in turn; each that was not comes back; and a sender that was refused is told in the end.
    #[test]
    fn nothing_is_lost_doubled_or_overtaken(steps in prop::collection::vec(step(), 0..60)) {
        let world = World::new();
        let (mut queued, mut given) = (VecDeque::new(), Vec::new());
        let (mut attached, mut refused) = (false, false);
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Send | Step::SendPoison => {
                    let poison = if matches!(step, Step::SendPoison) { POISON } else { 0 };
                    let message = number as u32 + poison;
                    let expected = match (attached, queued.len()) {
                        (false, _) => Err(Reason::Closed),
                        (true, CAPACITY) => Err(Reason::Full),
                        _ => {
 queued.push_back(message);
 Ok(())
 }
                    };
                    prop_assert_eq!(world.send(message), expected);
                    refused |= expected.is_err();
                }
                Step::Run => {
                    let failed = world.kernel.contain(world.receiver, ());
                    let doomed = attached && queued.iter().any(|message| *message >= POISON);
                    prop_assert_eq!(failed, doomed);
                    while attached && let Some(next) = queued.pop_front() {
                        given.push(next);
                        attached = next < POISON;
                    }
                    let told = core::mem::take(&mut *world.told.lock().unwrap()) > 0;
                    // It may also have been told in vain: of a receiving end that came to its end at once.
                    prop_assert!(told || !(refused && attached), "refused and not told");
                    refused &= !told;
                }
                Step::Attach => {
                    let expected = if attached { Err(Error::Exclusive) } else { Ok(()) };
                    prop_assert_eq!(world.attach(), expected);
                    attached = true;
                }
                Step::Unregister => {
                    if let Some(event) = world.sender.receiver() {
                        world.kernel.unregister(event).unwrap();
                        attached = false;
                    }
                }
                Step::TakeBack => {
                    let expected = if attached { None } else { queued.pop_front() };
                    prop_assert_eq!(world.sender.take_back(), expected);
                }
            }
            prop_assert_eq!(&*world.received.lock().unwrap(), &given);
            prop_assert_eq!(world.sender.queued(), queued.len());
        }
    }
}
