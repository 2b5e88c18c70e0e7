//! Packets, requests, state changes and time, at a queue pair that is ready to send. Its memory is
//! strict: what it is asked to touch has to have been posted, or found by key for that purpose.

#![allow(dead_code, reason = "the engine's tests share their parts with this one")]

use bolero::check;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use reflex_rdma_engine::*;
use reflex_rdma_wire::*;

#[path = "../../drivers/rdma/engine/tests/common/mod.rs"]
mod common;
mod dice;

use common::craft::{ADDRESS, Craft, KEY};
use common::link::{Link, Plan, Side, Weather};
use common::{Ram, Random};
use dice::Bytes;

const AS_A_TEST: Duration = Duration::from_secs(3);
/// Bytes that the peer may do everything with.
const ARENA: usize = 1024;
/// What lies where nobody may write, or where nothing was written yet.
const UNTOUCHED: u8 = 0x5c;

#[test]
fn rdma_engine() {
    let bytes = dice::bytes(4096);
    check!().with_generator(bytes).with_test_time(AS_A_TEST).for_each(|bytes: &Vec<u8>| {
        let mut dice = Bytes::new(bytes);
        let mut bench = Bench::new(&mut dice);
        // In ERR, all that is left is to refuse: a few steps of that are enough.
        let mut left = 20;
        while !dice.is_empty() && left != 0 {
            bench.step(&mut dice);
            left -= u32::from(bench.side.pair.state() == State::Err);
        }
        bench.finish();
    });
}

/// What part of a region may be used how.
type Grant = (Region, Range<u64>, Access);

/// Memory that knows what was asked for, and panics at anything else.
struct Strict {
    ram: Ram,
    /// Found by a peer's key.
    found: RefCell<Vec<Grant>>,
    /// Posted by this side: to be read, or written.
    posted: Vec<Grant>,
}

impl Strict {
    fn expect(&self, place: Place, length: usize, access: [Access; 2]) {
        let end = place.offset + length as u64;
        let [posted, found] = access;
        let allows = |grants: &[Grant], access| {
            grants.iter().any(|(region, range, granted)| {
                *region == place.region
                    && range.start <= place.offset
                    && end <= range.end
                    && granted.contains(access)
            })
        };
        let is_posted = allows(&self.posted, posted);
        assert!(is_posted || allows(&self.found.borrow(), found), "{place:?}, {length} bytes");
    }
}

impl Memory for Strict {
    fn find(
        &self,
        domain: Domain,
        key: RKey,
        address: u64,
        length: u32,
        access: Access,
    ) -> Option<Place> {
        let place = self.ram.find(domain, key, address, length, access)?;
        let range = place.offset..place.offset + u64::from(length);
        self.found.borrow_mut().push((place.region, range, access));
        Some(place)
    }

    fn read(&self, place: Place, into: &mut [u8]) -> Result<(), Gone> {
        self.expect(place, into.len(), [Access::NONE, Access::REMOTE_READ]);
        self.ram.read(place, into)
    }

    fn write(&mut self, place: Place, bytes: &[u8]) -> Result<(), Gone> {
        self.expect(place, bytes.len(), [Access::LOCAL_WRITE, Access::REMOTE_WRITE]);
        self.ram.write(place, bytes)
    }

    fn update(&mut self, place: Place, operation: Atomic) -> Result<u64, Gone> {
        self.expect(place, 8, [Access::REMOTE_ATOMIC; 2]);
        assert!(place.offset.is_multiple_of(8), "the region begins at a multiple of eight");
        self.ram.update(place, operation)
    }

    fn invalidate(&mut self, domain: Domain, key: RKey) -> Result<(), Gone> {
        self.ram.invalidate(domain, key)
    }
}

/// A port with a few buffers.
struct Port<'a> {
    memory: &'a Strict,
    frames: Vec<Vec<u8>>,
    room: usize,
}

impl Transmit for Port<'_> {
    fn transmit(&mut self, packet: &Outgoing<'_>) -> Result<(), TransmitError> {
        if self.frames.len() == self.room {
            return Err(TransmitError::Full);
        }
        let mut buffer = vec![0xa5; packet.length()];
        let length = packet.emit(self.memory, &mut buffer)?;
        assert_eq!(length, buffer.len());
        self.frames.push(buffer);
        Ok(())
    }
}

struct Bench {
    plan: Plan,
    side: Side,
    memory: Strict,
    secrets: [Region; 2],
    /// Sends that are to be told of, whatever becomes of them, and those that need not be.
    sends: HashMap<u64, bool>,
    receives: HashMap<u64, bool>,
    next: u64,
    now: u64,
    /// Numbers that the next request and answer would have, from the beginning.
    asked: u32,
    asking: u32,
}

impl Bench {
    fn new(dice: &mut Bytes<'_>) -> Self {
        let transport = [Transport::Reliable, Transport::Unreliable, Transport::Datagram]
            [dice.below(3) as usize];
        let plan = Plan {
            mtu: PathMtu::ALL[dice.below(3) as usize],
            reads: dice.below(4) as u8,
            window: 1 + dice.below(64) as u32,
            is_shared: dice.below(4) == 3,
            is_v6: dice.below(2) == 1,
            retries: dice.below(8) as u8,
            rnr_retries: dice.below(8) as u8,
            ..Plan::new(transport)
        };
        let Link { sides: [_, side], .. } = plan.link(Weather::default(), Random(1));
        let access = Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC;
        let mut ram = Ram::default();
        ram.register(KEY.0, ADDRESS, access, vec![UNTOUCHED; ARENA]);
        let secrets = [
            ram.register(0x6161, 0, Access::REMOTE_READ, vec![UNTOUCHED; 256]),
            ram.register(KEY.0, ADDRESS, access, vec![UNTOUCHED; 4096]),
        ];
        ram.regions[secrets[1].0 as usize].domain = Domain(9);
        let memory = Strict { ram, found: RefCell::default(), posted: Vec::new() };
        Self {
            plan,
            side,
            memory,
            secrets,
            sends: HashMap::new(),
            receives: HashMap::new(),
            next: 1,
            now: 1,
            asked: 0,
            asking: 0,
        }
    }

    fn step(&mut self, dice: &mut Bytes<'_>) {
        match dice.below(20) {
            0..12 => self.packet(dice),
            12 | 13 => self.post_receive(dice),
            14 | 15 => self.post_send(dice),
            16 => self.expire(dice),
            17 => self.transmit(1 + dice.below(8) as usize),
            18 => self.change(dice),
            _ if dice.below(4) != 3 => self.transmit(32),
            _ => {
                // A region goes, whatever is in flight.
                let count = self.memory.ram.regions.len() as u64;
                let region = dice.below(count) as usize;
                self.memory.ram.regions[region].is_gone = true;
            }
        }
    }

    fn packet(&mut self, dice: &mut Bytes<'_>) {
        let is_foreign = dice.below(16) == 15;
        let is_own = |opcode: &&Opcode| opcode.transport() == self.plan.transport || is_foreign;
        let choices: Vec<Opcode> = Opcode::ALL.iter().filter(is_own).copied().collect();
        let opcode = choices[dice.below(choices.len() as u64) as usize];
        let mut craft = Craft::new(&self.plan, opcode, 0);
        let away = match dice.below(16) {
            0..14 => 0,
            14 => dice.below(32) as u32,
            _ => (dice.below(32) as u32).wrapping_neg(),
        };
        craft.bth.psn = match opcode.is_response() {
            true => self.plan.psn[1].plus(self.asking.wrapping_add(away)),
            false => self.plan.psn[0].plus(self.asked.wrapping_add(away)),
        };
        let flags = dice.byte();
        craft.bth.acknowledge = flags & 1 == 0;
        craft.bth.solicited = flags & 2 != 0;
        if flags & 0xf0 == 0xf0 {
            craft.bth.destination = Qpn::new(dice.below(64) as u32);
        }
        if flags & 0xf0 == 0x30 {
            craft.bth.partition = PKey(dice.below(1 << 16) as u16);
        }
        if opcode.has_payload() {
            let length = match dice.below(16) {
                0..10 => craft.payload.len(),
                10 | 11 => self.plan.mtu.bytes(),
                12 | 13 => dice.below(64) as usize,
                14 => self.plan.mtu.bytes() + dice.below(3) as usize,
                _ => dice.below(2000) as usize,
            };
            craft.payload = vec![dice.byte(); length];
        }
        if dice.below(4) == 3 {
            self.lie(dice, &mut craft.extension, craft.payload.len());
        }
        let bytes = craft.bytes();
        let packet = Packet::parse(&bytes).expect("well formed");
        let Side { pair, shared, log, .. } = &mut self.side;
        let now = Instant::from_nanos(self.now);
        pair.receive(&packet, now, &mut self.memory, shared.as_mut(), log);
        if self.plan.transport != Transport::Reliable && !opcode.is_response() {
            self.asked = self.asked.wrapping_add(1);
        }
        self.transmit(32);
    }

    /// Headers that ask for what they may not have.
    fn lie(&self, dice: &mut Bytes<'_>, extension: &mut Extension, payload: usize) {
        let address = match dice.below(4) {
            0 | 1 => ADDRESS + dice.below(ARENA as u64 / 8) * 8,
            2 => ADDRESS + dice.below(ARENA as u64 + 16),
            _ => u64::MAX - dice.below(1 << 16),
        };
        let key = [KEY, KEY, KEY, RKey(0x6161), RKey(1), RKey(dice.below(1 << 16) as u32)];
        let key = key[dice.below(6) as usize];
        let length = match dice.below(4) {
            0 => payload as u32,
            1 => dice.below(2000) as u32,
            2 => u32::MAX - dice.below(16) as u32,
            _ => 8,
        };
        match extension {
            Extension::Reth(reth) | Extension::RethImmediate(reth, _) => {
                *reth = Reth { address, key, length };
            }
            Extension::Atomic(atomic) => (atomic.address, atomic.key) = (address, key),
            Extension::Invalidate(ieth) => ieth.0 = key,
            Extension::Aeth(aeth) | Extension::AethAtomicAck(aeth, _) => {
                if let Some(syndrome) = Syndrome::from_bits(dice.byte()) {
                    aeth.syndrome = syndrome;
                }
            }
            Extension::Deth(deth) | Extension::DethImmediate(deth, _) if dice.below(8) == 7 => {
                deth.key = QKey(dice.below(1 << 16) as u32);
            }
            _ => {}
        }
    }

    /// A region of this side's, cut into segments. Past its end now and then.
    fn segments(&mut self, dice: &mut Bytes<'_>, access: Access, most: u64) -> Vec<Segment> {
        let mut segments = Vec::new();
        for _ in 0..dice.below(5) {
            let length = dice.below(most) as u32;
            let there = if dice.below(64) == 63 { length / 2 } else { length };
            let bytes = vec![UNTOUCHED; there as usize];
            let region = self.memory.ram.register(0, 0, access, bytes);
            segments.push(Segment { region, offset: 0, length });
            self.memory.posted.push((region, 0..u64::from(length), access));
        }
        segments
    }

    fn post_receive(&mut self, dice: &mut Bytes<'_>) {
        let segments = self.segments(dice, Access::LOCAL_WRITE, 1500);
        let id = self.next;
        let request = ReceiveRequest { id, segments: &segments };
        let Side { pair, shared, log, .. } = &mut self.side;
        let posted = match shared {
            Some(shared) => shared.post(&request),
            None => pair.post_receive(&request, log),
        };
        if posted.is_ok() {
            self.next += 1;
            self.receives.insert(id, shared.is_none());
        }
    }

    fn post_send(&mut self, dice: &mut Bytes<'_>) {
        let (address, key) = (dice.below(1 << 16), RKey(dice.below(1 << 16) as u32));
        let immediate = ImmDt(dice.array());
        let work = match dice.below(8) {
            0 | 1 => Work::Send(Attachment::None),
            2 => Work::Send(Attachment::Immediate(immediate)),
            3 => Work::Send(Attachment::Invalidate(key)),
            4 => Work::Write { address, key, immediate: None },
            5 => Work::Write { address, key, immediate: Some(immediate) },
            6 => Work::Read { address, key },
            _ => Work::FetchAdd { address: address & !7, key, add: 1 },
        };
        let mut segments = match work {
            Work::Read { .. } | Work::FetchAdd { .. } => {
                self.segments(dice, Access::LOCAL_WRITE, 3000)
            }
            _ => self.segments(dice, Access::NONE, 3000),
        };
        if matches!(work, Work::FetchAdd { .. }) {
            segments.truncate(1);
            segments.iter_mut().for_each(|segment| segment.length = segment.length.min(8));
        }
        let flags = [Flags::NONE, Flags::SIGNALLED, Flags::SIGNALLED | Flags::FENCE]
            [dice.below(3) as usize];
        let [to, from] = self.plan.addresses();
        let destination = Destination {
            envelope: Envelope::new(from, to, 0xc000),
            queue_pair: Qpn::new(0x11),
            key: QKey(0x1111),
        };
        let is_datagram = self.plan.transport == Transport::Datagram;
        let id = self.next;
        let request = SendRequest {
            id,
            work,
            segments: &segments,
            flags,
            destination: is_datagram.then_some(&destination),
        };
        if self.side.pair.post_send(&request, &mut self.side.log).is_ok() {
            self.next += 1;
            self.sends.insert(id, flags.contains(Flags::SIGNALLED));
        }
        self.transmit(dice.below(32) as usize);
    }

    fn transmit(&mut self, room: usize) {
        let mut port = Port { memory: &self.memory, frames: Vec::new(), room };
        let Side { pair, log, .. } = &mut self.side;
        pair.transmit(Instant::from_nanos(self.now), room as u32, &mut port, log);
        let frames = port.frames;
        assert!(frames.len() <= room);
        for frame in frames {
            let packet = Packet::parse(&frame).expect("what is sent is well formed");
            let psn = packet.bth().psn;
            if packet.bth().opcode.is_request() {
                self.asking = psn.since(self.plan.psn[1]);
            } else if let Some(aeth) = packet.extension().aeth() {
                let done = matches!(aeth.syndrome, Syndrome::Ack(_));
                self.asked = psn.since(self.plan.psn[0]).wrapping_add(u32::from(done));
            }
        }
    }

    fn expire(&mut self, dice: &mut Bytes<'_>) {
        let Side { pair, log, .. } = &mut self.side;
        if let Some(deadline) = pair.deadline() {
            // Too early does no harm.
            self.now = self.now.max(deadline.as_nanos().saturating_sub(dice.below(3)));
            pair.expire(Instant::from_nanos(self.now), log);
        }
    }

    /// A state that was asked for, with nothing but what may be left out. RESET would forget all
    /// that was set.
    fn change(&mut self, dice: &mut Bytes<'_>) {
        let to =
            [State::Sqd, State::Rts, State::Sqd, State::Rts, State::Err][dice.below(5) as usize];
        let Side { pair, log, .. } = &mut self.side;
        let _ = pair.modify(to, &Attributes::default(), log);
    }

    /// All is flushed: what was posted is done, once, and what nobody may write is untouched.
    fn finish(&mut self) {
        self.side.down();
        let mut told: HashMap<u64, u32> = HashMap::new();
        for completion in &self.side.log.completions {
            *told.entry(completion.id).or_default() += 1;
            let posted = if completion.kind.is_receive() { &self.receives } else { &self.sends };
            assert!(posted.contains_key(&completion.id), "{completion:?} of nothing");
        }
        assert!(told.values().all(|&times| times == 1), "told twice");
        for (id, must) in self.sends.iter().chain(&self.receives) {
            assert!(!must || told.contains_key(id), "{id} was lost");
        }
        assert_eq!(self.side.pair.sends_outstanding(), 0);
        assert!(!self.side.pair.is_due() || self.plan.transport == Transport::Reliable);
        for secret in self.secrets {
            let bytes = self.memory.ram.bytes(secret);
            assert!(bytes.iter().all(|&byte| byte == UNTOUCHED), "written where nobody may");
        }
    }
}
