//! Channels between contexts: bounded, by priority, and nothing is lost when an end fails (PE-9, PE-25).

use crate::containment::{SOON, until};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::channel::Reason;
use reflex::supervise::Setup;
use reflex::{Error, EventError, Priority, Sender, System};

/// Two contexts send as fast as the third takes, by timers, while the receiver's priority is between theirs: each
/// message comes once, and each sender's in turn; a sender goes on as soon as there is room.
#[reflex::test(group = "channels")]
fn senders_of_two_priorities_lose_nothing(system: System) -> Result<(), Error> {
    const MESSAGES: u32 = 2_000;
    static LAST: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    static DISORDER: AtomicU32 = AtomicU32::new(0);
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    struct Source {
        which: usize,
        sent: u32,
        to: Option<Sender<(usize, u32)>>,
    }
    impl Source {
        fn send(&mut self) {
            let Some(to) = self.to.clone() else { return };
            while self.sent < MESSAGES {
                match to.send((self.which, self.sent + 1)) {
                    Ok(()) => self.sent += 1,
                    Err(refused) => {
                        assert_eq!(refused.reason, Reason::Full);
                        assert_eq!(refused.value, (self.which, self.sent + 1));
                        REFUSED.fetch_add(1, Relaxed);
                        return;
                    }
                }
            }
        }
    }
    let sink = system.context("sink", ()).build()?;
    let channel = system.channel::<(usize, u32)>(8).on(sink, |(), (which, number)| {
        if LAST[which].swap(number, Relaxed) + 1 != number {
            DISORDER.fetch_add(1, Relaxed);
        }
    })?;
    let heap = system.heap();
    for (which, level) in [(0, Priority::HIGH), (1, Priority::LOW)] {
        let name = ["high", "low"][which];
        let source = Source { which, sent: 0, to: None };
        let context = system.context(name, source).priority(level).build()?;
        let to = channel.when_room(context, Source::send)?;
        system.after(Duration::from_micros(100)).on(context, move |source: &mut Source, _| {
            source.to = Some(to.clone());
            source.send();
        })?;
    }
    until(|| LAST.iter().all(|last| last.load(Relaxed) == MESSAGES));
    assert_eq!(DISORDER.load(Relaxed), 0);
    assert!(REFUSED.load(Relaxed) > 100, "the channel was never full");
    let counters = channel.counters();
    assert_eq!((counters.sent, counters.received), (2 * MESSAGES as u64, 2 * MESSAGES as u64));
    // What was taken of the heap is a timer each.
    assert!(system.heap().allocations - heap.allocations < 100);
    Ok(())
}

/// A receiver that fails again and again, in the middle of messages: senders are told precisely, and what was
/// not in its hands comes to its next life.
#[reflex::test(group = "channels")]
fn a_receiver_that_fails_loses_but_what_it_had_in_hand(system: System) -> Result<(), Error> {
    const LIVES: u32 = 20;
    static RECEIVED: AtomicU32 = AtomicU32::new(0);
    static ATTACHED: AtomicU32 = AtomicU32::new(0);
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let home = system.context("home", ()).priority(Priority::HIGH).build()?;
    let channel = system.channel::<u32>(4).unattached(home)?;
    assert_eq!(channel.send(0).map_err(|refused| refused.reason), Err(Reason::Closed));
    let end = channel.clone();
    system
        .context_with("receiver", move |setup: Setup<'_, ()>| {
            end.attach(setup.context(), |(), message| {
                assert_eq!(message, RECEIVED.fetch_add(1, Relaxed));
                assert!(!message.is_multiple_of(3), "with a message in hand");
            })?;
            ATTACHED.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .backoff(SOON, SOON)
        .build()?;
    let sender = channel.when_room(home, |()| {
        TOLD.fetch_add(1, Relaxed);
    })?;
    let mut next = 0;
    while next < 3 * LIVES {
        let told = TOLD.load(Relaxed);
        // In a section, so that messages come to wait.
        let refused = system.section(|| {
            loop {
                match sender.send(next) {
                    Ok(()) => next += 1,
                    Err(refused) => break refused,
                }
            }
        });
        assert_eq!(refused.value, next);
        assert!(matches!(refused.reason, Reason::Full | Reason::Closed), "{refused:?}");
        until(|| TOLD.load(Relaxed) > told);
    }
    until(|| RECEIVED.load(Relaxed) == next);
    assert!(ATTACHED.load(Relaxed) >= LIVES);
    let counters = channel.counters();
    assert_eq!((counters.sent, counters.received), (next as u64, next as u64));
    assert!(counters.closed > 0 && counters.full > 0, "{counters:?}");
    Ok(())
}

/// A sender that fails is not waited for, and what it had sent comes.
#[reflex::test(group = "channels")]
fn a_sender_that_fails_holds_nobody_up(system: System) -> Result<(), Error> {
    static RECEIVED: AtomicU32 = AtomicU32::new(0);
    static LET: AtomicBool = AtomicBool::new(false);
    let sink = system.context("sink", ()).priority(Priority::LOW).build()?;
    let channel = system.channel::<u32>(2).on(sink, |(), _| {
        RECEIVED.fetch_add(1, Relaxed);
    })?;
    let mut senders = Vec::new();
    for _ in 0..3 {
        let to = channel.clone();
        let context = system
            .context_with("sender", move |setup: Setup<'_, Sender<u32>>| {
                to.when_room(setup.context(), |sender: &mut Sender<u32>| {
                    assert!(LET.load(Relaxed), "told of room, and fails");
                    let _ = sender.send(7);
                })
            })
            .priority(Priority::HIGH)
            .backoff(SOON, SOON)
            .build()?;
        let fill = system.signal(reflex::SignalMode::Counter).on(context, |sender, _| {
            let sender: &mut Sender<u32> = sender;
            while sender.send(1).is_ok() {}
        })?;
        senders.push((context, fill));
    }
    system.section(|| senders.iter().try_for_each(|(_, fill)| fill.fire()))?;
    until(|| RECEIVED.load(Relaxed) == 2);
    for (context, _) in &senders {
        assert_eq!(system.stopped(context.id())?.failures, 1);
    }
    LET.store(true, Relaxed);
    channel.send(3).map_err(|_| "there is room")?;
    until(|| RECEIVED.load(Relaxed) == 3);
    Ok(())
}

/// More than the receiver's memory is refused, and takes nothing.
#[reflex::test(group = "channels")]
fn a_channel_larger_than_its_home_is_refused(system: System) -> Result<(), Error> {
    let home = system.context("home", ()).memory(4 << 10).build()?;
    let before = system.usage(home.id())?.memory.allocated;
    let refused = system.channel::<[u64; 8]>(1_000).on(home, |(), _| {});
    assert_eq!(refused.err(), Some(Error::Event(EventError::OutOfMemory)));
    assert_eq!(system.usage(home.id())?.memory.allocated, before);
    Ok(())
}
