//! Two engines and the link between them, on which everything happens that can happen.

use super::{Log, Port, Ram, Random};
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One end: a queue pair and what it works on.
pub(crate) struct Side {
    pub(crate) pair: QueuePair,
    pub(crate) shared: Option<ReceiveQueue>,
    pub(crate) memory: Ram,
    pub(crate) log: Log,
    pub(crate) address: Gid,
}

/// How often of a thousand times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) damaged: u64,
    /// Held up by up to so many nanoseconds, and so overtaken.
    pub(crate) delayed: u64,
    pub(crate) delay: u64,
    /// The port has but a few buffers.
    pub(crate) scarce: u64,
}

type Arrival = (u64, u64, usize, Vec<u8>);

pub(crate) struct Link {
    pub(crate) sides: [Side; 2],
    pub(crate) weather: Weather,
    pub(crate) random: Random,
    pub(crate) now: u64,
    /// Packets that were emitted.
    pub(crate) packets: u64,
    /// Packets under way: when they arrive, a count that keeps the order, the receiver, and bytes.
    wire: BinaryHeap<Reverse<Arrival>>,
    count: u64,
    frames: Vec<Vec<u8>>,
}

/// How the two queue pairs are set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) transport: Transport,
    pub(crate) mtu: PathMtu,
    pub(crate) window: u32,
    pub(crate) reads: u8,
    pub(crate) psn: [Psn; 2],
    pub(crate) queue: u32,
    pub(crate) segments: u32,
    pub(crate) is_v6: bool,
    pub(crate) is_shared: bool,
    pub(crate) rnr_retries: u8,
    pub(crate) retries: u8,
}

impl Plan {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport,
            mtu: PathMtu::B1024,
            window: 128,
            reads: 4,
            psn: [Psn::new(0x111111), Psn::new(0x222222)],
            queue: 64,
            segments: 4,
            is_v6: false,
            is_shared: false,
            rnr_retries: 7,
            retries: 7,
        }
    }

    pub(crate) fn addresses(&self) -> [Gid; 2] {
        if self.is_v6 {
            [1, 2].map(|last| std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into())
        } else {
            [1, 2].map(|last| Gid::from_ipv4_bytes([10, 0, 0, last]))
        }
    }

    fn side(&self, which: usize) -> Side {
        let number = [Qpn::new(0x11), Qpn::new(0x22)];
        let config = Config {
            sends: self.queue,
            receives: (!self.is_shared).then_some(self.queue),
            send_segments: self.segments,
            receive_segments: self.segments,
            reads: self.reads,
            mtu: PathMtu::B4096,
            window: self.window,
            ..Config::new(self.transport, number[which], Domain(1))
        };
        let addresses = self.addresses();
        let path = Envelope::new(addresses[which], addresses[1 - which], 0xc000);
        let mut log = Log::default();
        let mut pair = QueuePair::new(&config);
        let access = Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC;
        let (peer, own) = (self.psn[1 - which], self.psn[which]);
        let reliable = self.transport == Transport::Reliable;
        let none = Attributes::default();
        let steps = match self.transport {
            Transport::Datagram => [
                Attributes { partition: Some(PKey::DEFAULT), key: Some(QKey(0x1111)), ..none },
                none,
                Attributes { send_psn: Some(own), ..none },
            ],
            _ => [
                Attributes { partition: Some(PKey::DEFAULT), access: Some(access), ..none },
                Attributes {
                    path: Some(path),
                    mtu: Some(self.mtu),
                    destination: Some(number[1 - which]),
                    receive_psn: Some(peer),
                    max_reads_in: reliable.then_some(self.reads),
                    rnr_timer: reliable.then_some(RnrTimer::from_code(12)),
                    ..none
                },
                Attributes {
                    send_psn: Some(own),
                    timeout: reliable.then_some(AckTimeout::from_code(14)),
                    retries: reliable.then_some(self.retries),
                    rnr_retries: reliable.then_some(self.rnr_retries),
                    max_reads_out: reliable.then_some(self.reads),
                    ..none
                },
            ],
        };
        for (state, step) in [State::Init, State::Rtr, State::Rts].into_iter().zip(steps) {
            pair.modify(state, &step, &mut log).expect("a legal transition");
        }
        let shared = self.is_shared.then(|| ReceiveQueue::new(self.queue, self.segments));
        Side { pair, shared, memory: Ram::default(), log, address: addresses[which] }
    }

    pub(crate) fn link(&self, weather: Weather, random: Random) -> Link {
        let sides = [self.side(0), self.side(1)];
        let (wire, frames) = (BinaryHeap::new(), Vec::new());
        Link { sides, weather, random, now: 1, packets: 0, wire, count: 0, frames }
    }
}

impl Side {
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        now: u64,
    ) -> Result<(), reflex_rdma_wire::Error> {
        let packet = Packet::parse(bytes)?;
        let now = Instant::from_nanos(now);
        let Self { pair, shared, memory, log, .. } = self;
        pair.receive(&packet, now, memory, shared.as_mut(), log);
        Ok(())
    }

    pub(crate) fn post_receive(&mut self, request: &ReceiveRequest<'_>) {
        match &mut self.shared {
            Some(shared) => shared.post(request).expect("room"),
            None => self.pair.post_receive(request, &mut self.log).expect("room"),
        }
    }

    pub(crate) fn post_send(&mut self, request: &SendRequest<'_>) {
        self.pair.post_send(request, &mut self.log).expect("room");
    }

    /// What is due, with room for that many packets.
    pub(crate) fn transmit(&mut self, now: u64, room: u32, frames: &mut Vec<Vec<u8>>) -> u32 {
        let mut port = Port { memory: &self.memory, frames, room: room as usize };
        self.pair.transmit(Instant::from_nanos(now), u32::MAX, &mut port, &mut self.log)
    }

    pub(crate) fn down(&mut self) {
        let none = Attributes::default();
        self.pair.modify(State::Err, &none, &mut self.log).expect("always legal");
    }
}

impl Link {
    /// Lets a side emit what is due, into the weather.
    pub(crate) fn pump(&mut self, which: usize) {
        let mut rounds = 0;
        while self.sides[which].pair.is_due() {
            let scarce = self.random.often(self.weather.scarce);
            let room = if scarce { 1 + self.random.below(3) as u32 } else { u32::MAX };
            let mut frames = std::mem::take(&mut self.frames);
            self.sides[which].transmit(self.now, room, &mut frames);
            self.packets += frames.len() as u64;
            for frame in frames.drain(..) {
                self.carry(1 - which, frame);
            }
            self.frames = frames;
            if scarce {
                // Buffers come back later, after something else has happened.
                return;
            }
            rounds += 1;
            assert!(rounds < 10, "due, but nothing comes");
        }
    }

    fn carry(&mut self, to: usize, mut frame: Vec<u8>) {
        let weather = self.weather;
        if self.random.often(weather.lost) {
            return;
        }
        if self.random.often(weather.doubled) {
            self.arrive(to, frame.clone());
        }
        if self.random.often(weather.damaged) {
            let bit = self.random.below(8 * frame.len() as u64) as usize;
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        self.arrive(to, frame);
    }

    fn arrive(&mut self, to: usize, frame: Vec<u8>) {
        let late = self.random.often(self.weather.delayed);
        let delay = if late { self.random.below(self.weather.delay.max(1)) } else { 0 };
        self.count += 1;
        self.wire.push(Reverse((self.now + 20_000 + delay, self.count, to, frame)));
    }

    /// The next thing happens: a packet arrives or a time has come. False when nothing will.
    pub(crate) fn step(&mut self) -> bool {
        let arrival = self.wire.peek().map(|Reverse((at, ..))| *at);
        let deadlines = [0, 1].map(|which| self.sides[which].pair.deadline());
        let deadline = deadlines.iter().flatten().map(|at| at.as_nanos()).min();
        // A side without buffers gets some back.
        let waiting = [0, 1].map(|which| self.sides[which].pair.is_due());
        let next = match (arrival, deadline) {
            (Some(arrival), Some(deadline)) => arrival.min(deadline),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) if waiting != [false; 2] => self.now + 1,
            (None, None) => return false,
        };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            if let Some(Reverse((_, _, to, frame))) = self.wire.pop() {
                // Damaged ones go no further than the codec.
                let _ = self.sides[to].receive(&frame, self.now);
            }
        } else {
            for which in 0..2 {
                let side = &mut self.sides[which];
                side.pair.expire(Instant::from_nanos(self.now), &mut side.log);
            }
        }
        self.pump(0);
        self.pump(1);
        true
    }
}
