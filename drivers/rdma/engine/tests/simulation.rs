//! Two engines on a link that loses, doubles, delays, reorders and damages, with random programs
//! of requests. In the end both memories are what a model says, and every request completed
//! exactly once, in the order it was posted. `REFLEX_SEED=N` repeats a run.

use crate::common;
use common::link::{Link, Plan, Weather};
use common::{Random, seed};
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;
use std::collections::HashMap;

/// Packets of the ordinary run.
const PACKETS: u64 = 1_000_000;
/// Bytes of the memory that the peer reads and writes.
const ARENA: usize = 16 << 10;
/// Where that begins, for the peer.
const ADDRESS: u64 = 0x7f00_0000_1000;
/// Bytes of the longest message.
const LONGEST: u64 = 9000;
const KEY: u32 = 0x1234_5600;

/// What one side has asked for, and what should come of it.
#[derive(Default)]
struct Program {
    /// Sends by their number: what they are, whether they are to be told of, what they move.
    sends: Vec<Posted>,
    /// Messages that consume a receive of the other side's, by their order.
    messages: Vec<Message>,
    /// Receives by their number.
    receives: Vec<Region>,
    /// What the other side's arena should be after all of it.
    arena: Vec<u8>,
    /// Which bytes of it were to be written.
    written: Vec<bool>,
    /// Parts of it that reads without an end may still look at.
    looked_at: Vec<(u64, u64)>,
    keys: u32,
}

struct Posted {
    kind: Kind,
    is_signalled: bool,
    /// Where the answer lands, and what it is.
    answer: Option<(Region, Vec<u8>)>,
}

struct Message {
    kind: Kind,
    payload: Vec<u8>,
    length: u32,
    attachment: Attachment,
    is_solicited: bool,
}

/// The segments of a region, cut at random.
fn cut(random: &mut Random, region: Region, length: usize) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut offset = 0;
    for left in (0..random.below(4)).rev() {
        let most = (length - offset) as u64;
        let here = if left == 0 { most } else { random.below(most + 1) } as usize;
        segments.push(Segment { region, offset: offset as u64, length: here as u32 });
        offset += here;
    }
    if offset < length {
        let length = (length - offset) as u32;
        segments.push(Segment { region, offset: offset as u64, length });
    }
    segments
}

struct Game {
    link: Link,
    plan: Plan,
    programs: [Program; 2],
}

impl Game {
    fn new(plan: Plan, weather: Weather, random: Random) -> Self {
        let mut link = plan.link(weather, random);
        let mut programs = [Program::default(), Program::default()];
        for which in 0..2 {
            let bytes = link.random.bytes(ARENA);
            programs[1 - which].arena.clone_from(&bytes);
            programs[1 - which].written = vec![false; ARENA];
            let access = Access::REMOTE_READ | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC;
            link.sides[which].memory.register(KEY, ADDRESS, access, bytes);
        }
        Self { link, plan, programs }
    }

    fn post_receive(&mut self, which: usize) {
        let random = &mut self.link.random;
        let room = LONGEST as usize + 40 + random.below(100) as usize;
        let side = &mut self.link.sides[which];
        let region = side.memory.register(0, 0, Access::LOCAL_WRITE, vec![0; room]);
        let segments = cut(random, region, room);
        let program = &mut self.programs[which];
        let id = program.receives.len() as u64;
        side.post_receive(&ReceiveRequest { id, segments: &segments });
        program.receives.push(region);
    }

    /// A part of the arena.
    fn part(&mut self, length: u64) -> (u64, std::ops::Range<usize>) {
        let start = self.link.random.below(ARENA as u64 - length + 1);
        (ADDRESS + start, start as usize..(start + length) as usize)
    }

    fn post_send(&mut self, which: usize) {
        let reliable = self.plan.transport == Transport::Reliable;
        let choices = match self.plan.transport {
            Transport::Reliable => 7,
            Transport::Unreliable => 3,
            Transport::Datagram => 1,
        };
        let longest = match self.plan.transport {
            Transport::Datagram => 4096,
            _ => LONGEST,
        };
        let random = &mut self.link.random;
        let mut length = match random.below(4) {
            0 => random.below(64),
            1 => random.below(300),
            2 => (random.below(4) * self.plan.mtu.bytes() as u64).min(longest),
            _ => random.below(longest + 1),
        };
        let choice = random.below(choices);
        if choice >= 5 {
            length = 8;
        }
        let key = RKey(KEY);
        let immediate = ImmDt(random.next().to_le_bytes()[..4].try_into().expect("four"));
        let mut flags = [Flags::NONE, Flags::SIGNALLED][random.below(2) as usize];
        if random.often(200) {
            flags = flags | Flags::SOLICITED;
        }
        let payload = random.bytes(length as usize);
        let (address, range) = if choice >= 5 {
            let word = random.below(ARENA as u64 / 8) * 8;
            (ADDRESS + word, word as usize..word as usize + 8)
        } else {
            self.part(length)
        };
        let random = &mut self.link.random;
        let mut answer = None;
        let mut attachment = Attachment::None;
        let arena = &mut self.programs[which].arena;
        let (work, kind) = match choice {
            0 => {
                attachment = match random.below(3) {
                    0 => Attachment::Immediate(immediate),
                    1 if reliable => {
                        // A key of the other side's, made to be taken away.
                        let program = &mut self.programs[which];
                        program.keys += 1;
                        let key = 0x5500_0000 + program.keys;
                        let memory = &mut self.link.sides[1 - which].memory;
                        memory.register(key, 0, Access::REMOTE_READ, Vec::new());
                        Attachment::Invalidate(RKey(key))
                    }
                    _ => Attachment::None,
                };
                (Work::Send(attachment), Kind::Send)
            }
            1 | 2 => {
                arena[range.clone()].copy_from_slice(&payload);
                self.programs[which].written[range.clone()].fill(true);
                let immediate = (choice == 2).then_some(immediate);
                attachment = immediate.map_or(Attachment::None, Attachment::Immediate);
                (Work::Write { address, key, immediate }, Kind::Write)
            }
            3 | 4 => {
                answer = Some(arena[range.clone()].to_vec());
                (Work::Read { address, key }, Kind::Read)
            }
            _ => {
                let word: &mut [u8] = &mut arena[range.clone()];
                let was = u64::from_ne_bytes(word.try_into().expect("eight"));
                answer = Some(word.to_vec());
                if choice == 5 {
                    let compare = if random.often(500) { was } else { random.next() };
                    let swap = random.next();
                    let now = if compare == was { swap } else { was };
                    word.copy_from_slice(&now.to_ne_bytes());
                    (Work::CompareSwap { address, key, compare, swap }, Kind::CompareSwap)
                } else {
                    let add = random.next();
                    word.copy_from_slice(&was.wrapping_add(add).to_ne_bytes());
                    (Work::FetchAdd { address, key, add }, Kind::FetchAdd)
                }
            }
        };
        // What a read looks at may be written only after it: that is what a fence is for.
        let program = &mut self.programs[which];
        let (from, to) = (address, address + length);
        let writes = !matches!(kind, Kind::Send | Kind::Read);
        let meets = program.looked_at.iter().any(|&(a, b)| a < to && from < b);
        if writes && meets || random.often(20) {
            flags = flags | Flags::FENCE;
            program.looked_at.clear();
        }
        if kind == Kind::Read {
            program.looked_at.push((from, to));
        }
        let side = &mut self.link.sides[which];
        let bytes = if answer.is_some() { vec![0; length as usize] } else { payload.clone() };
        let region = side.memory.register(0, 0, Access::LOCAL_WRITE, bytes);
        let segments = cut(random, region, length as usize);
        let destination = Destination {
            envelope: Envelope::new(side.address, self.plan.addresses()[1 - which], 0xc000),
            queue_pair: [Qpn::new(0x22), Qpn::new(0x11)][which],
            key: QKey([0x1111, 0x8000_0000][random.below(2) as usize]),
        };
        let is_datagram = self.plan.transport == Transport::Datagram;
        let id = program.sends.len() as u64;
        let destination = is_datagram.then_some(&destination);
        side.post_send(&SendRequest { id, work, segments: &segments, flags, destination });
        if kind == Kind::Send || matches!(attachment, Attachment::Immediate(_)) {
            let kind = if kind == Kind::Send { Kind::Receive } else { Kind::ReceiveWrite };
            let is_solicited = flags.contains(Flags::SOLICITED);
            let payload = if kind == Kind::Receive { payload } else { Vec::new() };
            let length = length as u32;
            program.messages.push(Message { kind, payload, length, attachment, is_solicited });
        }
        let is_signalled = flags.contains(Flags::SIGNALLED);
        let answer = answer.map(|answer| (region, answer));
        program.sends.push(Posted { kind, is_signalled, answer });
    }

    /// Posts at random, so many sends a side, and lets everything happen.
    fn play(&mut self, sends: usize) {
        let enough = |game: &Self| {
            (0..2).all(|which| {
                game.programs[which].sends.len() >= sends
                    && game.programs[1 - which].receives.len()
                        >= game.programs[which].messages.len()
            })
        };
        loop {
            for which in 0..2 {
                if self.link.sides[which].pair.state() != State::Rts {
                    continue;
                }
                let room = self.plan.queue - self.link.sides[which].pair.sends_outstanding();
                let wanted = sends.saturating_sub(self.programs[which].sends.len());
                if wanted > 0 && room > 0 && self.link.random.often(300) {
                    let count = (1 + self.link.random.below(8)).min(u64::from(room));
                    for _ in 0..count.min(wanted as u64) {
                        self.post_send(which);
                    }
                }
                // Receives come late now and then, but they do come.
                let posted = self.programs[which].receives.len();
                let consumed = self.received(which);
                let needed = self.programs[1 - which].messages.len();
                let limit = posted < consumed + self.plan.queue as usize;
                let is_over = self.programs[1 - which].sends.len() >= sends;
                if limit && (posted < needed || !is_over) && self.link.random.often(300) {
                    self.post_receive(which);
                }
                self.link.pump(which);
            }
            if !self.link.step() {
                let up = [0, 1].map(|which| self.link.sides[which].pair.state() == State::Rts);
                if up != [true; 2] {
                    return;
                }
                if enough(self) {
                    for side in &self.link.sides {
                        let left = side.pair.sends_outstanding();
                        assert_eq!(
                            left, 0,
                            "nothing will happen, but requests are left: {:?}",
                            side.pair
                        );
                    }
                    return;
                }
                self.link.now += 1000;
            }
        }
    }

    /// Bytes before a received payload.
    fn route(&self) -> u32 {
        if self.plan.transport == Transport::Datagram { GlobalRoute::LENGTH as u32 } else { 0 }
    }

    /// The first bytes of what a receive was filled with.
    fn payload(&self, which: usize, completion: &Completion, length: usize) -> &[u8] {
        let region = self.programs[which].receives[completion.id as usize];
        let skip = self.route() as usize;
        &self.link.sides[which].memory.bytes(region)[skip..skip + length]
    }

    /// As [`Game::play`], without waiting for anything but room, since nothing is acknowledged.
    fn play_unreliable(&mut self, sends: usize) {
        while self.programs.iter().any(|program| program.sends.len() < sends) {
            for which in 0..2 {
                let free = |game: &Self, side: usize| {
                    game.programs[side].receives.len() - game.received(side)
                };
                while free(self, 1 - which) < self.plan.queue as usize {
                    self.post_receive(1 - which);
                }
                // No more messages under way than there are receives.
                for _ in 0..1 + self.link.random.below(u64::from(self.plan.queue)) {
                    if self.link.sides[which].pair.sends_outstanding() < self.plan.queue {
                        self.post_send(which);
                    }
                }
                while self.link.step() {}
            }
        }
    }

    /// What has arrived is something that was sent, whole; what was not written is as it was.
    fn check_arrivals(&self, note: &str, before: &[Vec<u8>; 2]) -> usize {
        let mut arrived = 0;
        for (which, was) in before.iter().enumerate() {
            let mut sent: HashMap<(&[u8], u32, String), ()> = HashMap::new();
            for message in &self.programs[which].messages {
                let attachment = format!("{:?}", message.attachment);
                sent.insert((&message.payload, message.length, attachment), ());
            }
            for completion in &self.link.sides[1 - which].log.completions {
                if completion.status != Status::Success || !completion.kind.is_receive() {
                    continue;
                }
                arrived += 1;
                let length = completion.length - self.route();
                let here = if completion.kind == Kind::Receive { length as usize } else { 0 };
                let bytes = self.payload(1 - which, completion, here);
                let attachment = format!("{:?}", completion.attachment);
                let known = sent.contains_key(&(bytes, length, attachment));
                assert!(known, "{note}: nobody sent {completion:?}");
            }
            let found = self.link.sides[which].memory.bytes(Region(0));
            let program = &self.programs[1 - which];
            for (index, (now, was)) in found.iter().zip(was).enumerate() {
                assert!(now == was || program.written[index], "{note}: byte {index} was written");
            }
        }
        arrived
    }

    fn received(&self, which: usize) -> usize {
        let completions = &self.link.sides[which].log.completions;
        completions.iter().filter(|it| it.kind.is_receive()).count()
    }

    /// Takes both down, and checks that everything completed once, and in order.
    fn finish(&mut self, note: &str) {
        for which in 0..2 {
            self.link.sides[which].down();
            let completions = &self.link.sides[which].log.completions;
            let program = &self.programs[which];
            let (receives, sends): (Vec<&Completion>, Vec<&Completion>) =
                completions.iter().partition(|completion| completion.kind.is_receive());
            let ids: Vec<u64> = receives.iter().map(|it| it.id).collect();
            let posted = if self.plan.is_shared { ids.len() } else { program.receives.len() };
            let all: Vec<u64> = (0..posted as u64).collect();
            assert_eq!(ids, all, "{note}: receives of {which}");
            let mut next = 0;
            let mut failed = false;
            for completion in sends {
                let id = completion.id as usize;
                for (skipped, posted) in program.sends.iter().enumerate().take(id).skip(next) {
                    assert!(!posted.is_signalled && !failed, "{note}: {skipped} of {which} lost");
                }
                assert!(id >= next, "{note}: {id} of {which} again or out of order");
                let posted = &program.sends[id];
                assert_eq!(completion.kind, posted.kind, "{note}");
                failed |= completion.status != Status::Success;
                assert!(posted.is_signalled || failed, "{note}: {id} of {which} was to be silent");
                next = id + 1;
            }
            for posted in &program.sends[next..] {
                assert!(!posted.is_signalled && !failed, "{note}: the end of {which} is missing");
            }
        }
    }

    fn statuses(&self) -> HashMap<(Status, bool), usize> {
        let mut count = HashMap::new();
        for side in &self.link.sides {
            for completion in &side.log.completions {
                *count.entry((completion.status, completion.kind.is_receive())).or_default() += 1;
            }
        }
        count
    }

    /// Everything arrived as the model says.
    fn check_memory(&self, note: &str) {
        for which in 0..2 {
            let program = &self.programs[which];
            let (side, peer) = (&self.link.sides[which], &self.link.sides[1 - which]);
            let fault = || (self.statuses(), &side.log.events, &side.pair);
            assert_eq!(side.pair.state(), State::Rts, "{note}: {:?}", fault());
            let (found, arena) = (peer.memory.bytes(Region(0)), &program.arena[..]);
            let differs = found.iter().zip(arena).position(|(found, model)| found != model);
            assert_eq!(differs, None, "{note}: the arena differs there");
            for (number, posted) in program.sends.iter().enumerate() {
                if let Some((region, bytes)) = &posted.answer {
                    let found = side.memory.bytes(*region);
                    assert!(found == bytes, "{note}: answer {number} of {which} {:?}", posted.kind);
                }
            }
            let received: Vec<_> =
                peer.log.completions.iter().filter(|it| it.kind.is_receive()).collect();
            assert!(received.len() >= program.messages.len(), "{note}: messages");
            for (number, message) in program.messages.iter().enumerate() {
                let completion = received[number];
                assert_eq!(completion.status, Status::Success, "{note}: message {number}");
                assert_eq!(completion.kind, message.kind, "{note}: message {number}");
                assert_eq!(completion.length, message.length + self.route(), "{note}: {number}");
                assert_eq!(completion.attachment, message.attachment, "{note}");
                assert_eq!(completion.solicited, message.is_solicited, "{note}");
                let bytes = self.payload(1 - which, completion, message.payload.len());
                assert!(bytes == message.payload, "{note}: payload of message {number}");
            }
        }
    }
}

fn plan(random: &mut Random, transport: Transport) -> Plan {
    let psn = |random: &mut Random| {
        // Half of them wrap soon.
        let near = Psn::new(0xff_ffff - random.below(500) as u32);
        if random.often(500) { near } else { Psn::new(random.next() as u32) }
    };
    Plan {
        mtu: PathMtu::ALL[random.below(5) as usize],
        window: [1, 2, 5, 16, 128][random.below(5) as usize],
        reads: 1 + random.below(8) as u8,
        psn: [psn(random), psn(random)],
        queue: [1, 3, 16, 64][random.below(4) as usize],
        segments: 4,
        is_v6: random.often(200),
        is_shared: random.often(200),
        ..Plan::new(transport)
    }
}

fn gentle(random: &mut Random) -> Weather {
    Weather {
        lost: random.below(8),
        doubled: random.below(20),
        damaged: random.below(6),
        delayed: random.below(30),
        delay: 200_000,
        scarce: [0, 300][random.below(2) as usize],
    }
}

#[test]
fn reliable_connections_lose_nothing_whatever_the_link_does() {
    let mut random = Random(seed());
    let mut packets = 0;
    let mut games = 0;
    let mut sums = [0_u64; 4];
    while packets < PACKETS {
        let (state, plan) = (random.0, plan(&mut random, Transport::Reliable));
        let weather = gentle(&mut random);
        let note = format!("game of REFLEX_SEED={state}: {plan:?} {weather:?}");
        let mut game = Game::new(plan, weather, Random(random.next()));
        game.play(300);
        game.check_memory(&note);
        game.finish(&note);
        assert!(game.statuses().keys().all(|(status, receive)| {
            *status == Status::Success || *status == Status::Flushed && *receive
        }));
        packets += game.link.packets;
        games += 1;
        for side in &game.link.sides {
            let counters = side.pair.counters();
            let more = [
                counters.timeouts,
                counters.retries,
                counters.not_ready,
                counters.refused(Refusal::Duplicate),
            ];
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += u64::from(more));
        }
    }
    let [timeouts, retries, not_ready, duplicates] = sums;
    println!(
        "{games} games, {packets} packets, {timeouts} timeouts, {retries} retries, {not_ready} RNR, {duplicates} duplicates"
    );
    assert!(sums.iter().all(|&sum| sum > 100), "the link was too kind: {sums:?}");
}

#[test]
fn reliable_connections_that_fail_flush_everything_once_and_in_order() {
    let mut random = Random(seed());
    let mut failed = 0;
    for _ in 0..60 {
        let (state, mut plan) = (random.0, plan(&mut random, Transport::Reliable));
        plan.retries = random.below(3) as u8;
        plan.rnr_retries = random.below(8) as u8;
        let weather = Weather { lost: 50 + random.below(300), ..gentle(&mut random) };
        let note = format!("game of REFLEX_SEED={state}: {plan:?} {weather:?}");
        let mut game = Game::new(plan, weather, Random(random.next()));
        game.play(100);
        game.finish(&note);
        failed += usize::from(game.statuses().keys().any(|&(status, receive)| {
            !receive && matches!(status, Status::RetryExceeded | Status::ReceiverNotReady)
        }));
    }
    assert!(failed > 10, "{failed} of 60 failed");
}

fn unreliable(transport: Transport) {
    let mut random = Random(seed());
    let (mut packets, mut sent, mut arrived) = (0, 0, 0);
    for round in 0..150 {
        let (state, plan) = (random.0, plan(&mut random, transport));
        let is_calm = round % 3 == 0;
        let weather = if is_calm {
            Weather { scarce: 300, ..Weather::default() }
        } else {
            Weather { lost: random.below(100), ..gentle(&mut random) }
        };
        let note = format!("game of REFLEX_SEED={state}: {plan:?} {weather:?}");
        let mut game = Game::new(plan, weather, Random(random.next()));
        let before = [0, 1].map(|which| game.link.sides[which].memory.bytes(Region(0)).to_vec());
        game.play_unreliable(200);
        if is_calm {
            game.check_memory(&note);
        }
        arrived += game.check_arrivals(&note, &before);
        sent += game.programs.iter().map(|program| program.messages.len()).sum::<usize>();
        game.finish(&note);
        assert!(game.statuses().keys().all(|(status, receive)| {
            *status == Status::Success || *status == Status::Flushed && *receive
        }));
        packets += game.link.packets;
    }
    println!("{packets} packets, {arrived} of {sent} messages arrived");
    assert!(arrived * 10 > sent * 8 && arrived != sent, "{arrived} of {sent}");
}

#[test]
fn unreliable_connections_lose_whole_messages_only() {
    unreliable(Transport::Unreliable);
}

#[test]
fn datagrams_arrive_whole_or_not_at_all() {
    unreliable(Transport::Datagram);
}
