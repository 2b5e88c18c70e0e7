//! Several cores with steps that interleave at random: messages of all sizes of rings and lists are delayed and overtake each
//! other between pairs, never within one, and none is lost.

use proptest::prelude::*;
use proptest::sample::Index;
use reflex_across::{Doorbell, Full, PairRing, Port, Senders};
use reflex_event::Priority;

const CORES: usize = 3;
const RING: usize = 2;
const WAITING: usize = 3;
/// How many messages a core takes from one other at a time.
const LIMIT: usize = 2;

type Ends = Port<'static, u32, u32, WAITING>;

/// A core of the simulated machine, and what it knows of the others.
struct Core {
    ports: Vec<Option<Ends>>,
    /// An interrupt is on its way to it.
    interrupted: bool,
    /// It is halted.
    asleep: bool,
    /// The next number to each other, and the next from each.
    sent: [u32; CORES],
    taken: [u32; CORES],
    /// Owners of messages that wait, in order.
    waits: [Vec<u32>; CORES],
    /// A message to that core was refused, and it has not been told of room.
    refused: [bool; CORES],
}

struct Machine {
    bells: &'static [Doorbell; CORES],
    cores: Vec<Core>,
}

impl Machine {
    fn new() -> Self {
        // Leaked, as the runtime's rings are for ever: a few hundred bytes a case.
        let bells: &'static [Doorbell; CORES] =
            Box::leak(Box::new([const { Doorbell::new() }; CORES]));
        let mut producers: Vec<Vec<_>> = (0..CORES).map(|_| Vec::new()).collect();
        let mut consumers: Vec<Vec<_>> = (0..CORES).map(|_| Vec::new()).collect();
        for from in producers.iter_mut() {
            for to in consumers.iter_mut() {
                let (producer, consumer) =
                    Box::leak(Box::new(PairRing::<u32, RING>::new())).split();
                from.push(producer);
                to.push(consumer);
            }
        }
        let core = |(own, (producers, consumers)): (usize, (Vec<_>, Vec<_>))| {
            let ends = producers.into_iter().zip(consumers).enumerate();
            let port = |(peer, (producer, consumer))| {
                (peer != own).then(|| Port::new(own, &bells[peer], producer, consumer, 0))
            };
            Core {
                ports: ends.map(port).collect(),
                interrupted: false,
                asleep: false,
                sent: [0; CORES],
                taken: [0; CORES],
                waits: [const { Vec::new() }; CORES],
                refused: [false; CORES],
            }
        };
        let cores = producers.into_iter().zip(consumers).enumerate().map(core).collect();
        Self { bells, cores }
    }

    /// Core `from` sends the next number to `to`, if it is awake and need not wait for room.
    fn send(&mut self, from: usize, to: usize, priority: Priority) {
        let core = &mut self.cores[from];
        let Some(port) = &mut core.ports[to] else { return };
        if core.asleep || core.refused[to] {
            return;
        }
        let number = core.sent[to];
        match port.send(number, priority, number) {
            Ok(sent) => {
                core.sent[to] += 1;
                core.waits[to].extend(sent.waits.then_some(number));
                self.cores[to].interrupted |= sent.interrupt;
            }
            Err(Full(back)) => {
                assert_eq!((back, port.waiting()), (number, WAITING));
                core.refused[to] = true;
            }
        }
    }

    /// A core looks at its marks, running something of this priority, or sleeps when there are none.
    fn look(&mut self, own: usize, level: Option<Priority>) {
        let core = &mut self.cores[own];
        if core.asleep && !core.interrupted {
            return;
        }
        (core.asleep, core.interrupted) = (false, false);
        let senders = match level {
            Some(priority) => self.bells[own].run(priority),
            None => self.bells[own].sleep(),
        };
        core.asleep = level.is_none() && senders.is_empty();
        senders.for_each(|from| self.serve(own, from));
    }

    fn serve(&mut self, own: usize, from: usize) {
        let core = &mut self.cores[own];
        let port = core.ports[from].as_mut().expect("nobody marks itself");
        for _ in 0..LIMIT {
            let Some(number) = port.take() else { break };
            assert_eq!(number, core.taken[from], "in order, and none lost");
            core.taken[from] += 1;
        }
        let waits = &mut core.waits[from];
        let served = port.finish(|owner| assert_eq!(waits.remove(0), owner, "in order"));
        assert_eq!(waits.len(), port.waiting());
        core.refused[from] &= !served.room;
        if served.left {
            let mut left = Senders::NONE;
            left.insert(from);
            self.bells[own].put_back(left);
            // The job is posted again.
            core.interrupted = true;
        }
        self.cores[from].interrupted |= served.interrupt;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(Index, Index, u8),
    Look(Index, Option<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let level = || 0..64u8;
    prop_oneof![
        3 => (any::<Index>(), any::<Index>(), level()).prop_map(|(from, to, level)| Step::Send(from, to, level)),
        2 => (any::<Index>(), prop::option::of(level())).prop_map(|(core, level)| Step::Look(core, level)),
    ]
}

proptest! {
    /// After any steps, cores that only ever wake by interrupts, and sleep as soon as they may, have soon taken all.
    #[test]
    fn nothing_is_lost_between_cores(steps in prop::collection::vec(step(), 0..200)) {
        let mut machine = Machine::new();
        let priority = |level| Priority::new(level).expect("below 64");
        (0..CORES).for_each(|core| machine.look(core, Some(Priority::LOWEST)));
        for step in steps {
            match step {
                Step::Send(from, to, level) => machine.send(from.index(CORES), to.index(CORES), priority(level)),
                Step::Look(core, level) => machine.look(core.index(CORES), level.map(priority)),
            }
        }
        // What is under way is finite: a message takes at most so many looks to its place.
        for _ in 0..8 * (RING + WAITING) {
            (0..CORES).for_each(|core| machine.look(core, None));
        }
        for (own, core) in machine.cores.iter().enumerate() {
            for (peer, other) in machine.cores.iter().enumerate() {
                prop_assert_eq!(core.taken[peer], other.sent[own]);
                prop_assert!(core.waits[peer].is_empty() && !core.refused[peer]);
            }
            prop_assert!(core.asleep && !core.interrupted, "a core finds no rest");
        }
    }
}
