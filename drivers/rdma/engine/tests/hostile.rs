//! A peer that sends anything: well-formed packets, since damaged ones go no further than the
//! codec, with every field a possible lie. Nothing panics, nothing is written where it may not be,
//! no request completes twice, and nothing is refused without being counted.

use crate::common;
use common::craft::{ADDRESS, Bench, KEY};
use common::link::Plan;
use common::{Random, seed};
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;
use std::collections::{HashMap, HashSet};

/// What would be right, but for each field that is a lie so often of a thousand times.
fn lie(random: &mut Random, bench: &Bench, asked: u32, asking: u32, lies: u64) -> Vec<u8> {
    let plain = [
        Opcode::RcSendOnly,
        Opcode::RcWriteOnly,
        Opcode::RcReadRequest,
        Opcode::RcFetchAdd,
        Opcode::RcAcknowledge,
        Opcode::RcReadResponseOnly,
    ];
    let opcode = if random.often(lies) {
        Opcode::ALL[random.below(Opcode::ALL.len() as u64) as usize]
    } else if bench.plan.transport == Transport::Reliable {
        plain[random.below(6) as usize]
    } else {
        let own = |opcode: &&Opcode| opcode.transport() == bench.plan.transport;
        let own: Vec<Opcode> = Opcode::ALL.iter().filter(own).copied().collect();
        own[random.below(own.len() as u64) as usize]
    };
    let transport = bench.plan.transport;
    let opcode = match Opcode::from_bits(opcode.bits() & 0x1f | (transport as u8) << 5) {
        Some(same) if random.often(950) => same,
        _ => opcode,
    };
    let near = |random: &mut Random, psn: u32| match random.below(8) {
        _ if !random.often(2 * lies) => psn,
        0 => random.next() as u32,
        1 => psn.wrapping_sub(random.below(20) as u32),
        2 => psn.wrapping_add(random.below(20) as u32),
        _ => psn,
    };
    let mut craft = bench.craft(opcode, 0);
    let number = if opcode.is_response() {
        bench.plan.psn[1].plus(near(random, asking))
    } else {
        bench.plan.psn[0].plus(near(random, asked))
    };
    craft.bth.psn = number;
    craft.bth.acknowledge = random.often(800);
    craft.bth.solicited = random.often(100);
    if random.often(20) {
        craft.bth.destination = Qpn::new(random.next() as u32);
    }
    if random.often(20) {
        craft.bth.partition = PKey(random.next() as u16);
    }
    if random.often(20) {
        craft.envelope.source = Gid::from_ipv4_bytes([10, 0, 0, random.next() as u8]);
    }
    let length = match random.below(6) {
        _ if !random.often(lies) => craft.payload.len(),
        0 => random.below(5000) as usize,
        1 => bench.plan.mtu.bytes(),
        2 => random.below(300) as usize,
        _ => craft.payload.len(),
    };
    if opcode.has_payload() {
        craft.payload = random.bytes(length);
    }
    let place = |random: &mut Random| {
        let address = match random.below(4) {
            _ if !random.often(lies) => ADDRESS + random.below(120) * 8,
            0 => random.next(),
            1 => ADDRESS + 1020 + random.below(8),
            _ => ADDRESS + random.below(128) * 8,
        };
        let key = if random.often(lies) { RKey(random.next() as u32) } else { KEY };
        let length = match random.below(4) {
            _ if !random.often(lies) => 8,
            0 => random.next() as u32,
            1 => random.below(2000) as u32,
            _ => length as u32,
        };
        (address, key, length)
    };
    let syndrome = loop {
        if let Some(syndrome) = Syndrome::from_bits(random.next() as u8) {
            break syndrome;
        }
    };
    match &mut craft.extension {
        Extension::Reth(reth) | Extension::RethImmediate(reth, _) => {
            (reth.address, reth.key, reth.length) = place(random);
        }
        Extension::Atomic(atomic) => {
            (atomic.address, atomic.key, _) = place(random);
        }
        Extension::Aeth(aeth) | Extension::AethAtomicAck(aeth, _) if random.often(lies) => {
            // One that ends it all ends the game, too.
            let ends = matches!(syndrome, Syndrome::Nak(nak) if nak != Nak::SequenceError);
            if !ends || random.often(50) {
                aeth.syndrome = syndrome;
            }
        }
        Extension::Invalidate(ieth) => ieth.0 = RKey(random.next() as u32),
        Extension::Deth(deth) | Extension::DethImmediate(deth, _) if random.often(100) => {
            deth.key = QKey(random.next() as u32);
        }
        _ => {}
    }
    craft.bytes()
}

fn game(random: &mut Random, transport: Transport, sums: &mut HashMap<Refusal, u64>) -> (u64, u64) {
    let mtu = PathMtu::ALL[random.below(5) as usize];
    let reads = random.below(4) as u8;
    let is_shared = random.often(200);
    let mut bench = Bench::new(Plan { mtu, reads, is_shared, ..Plan::new(transport) });
    // What it may not reach: read-only, of another domain, without a key that is known.
    let memory = &mut bench.side().memory;
    let access = Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC;
    let secrets = [
        memory.register(0x6161, 0, Access::REMOTE_READ, vec![0x5c; 256]),
        memory.register(KEY.0, ADDRESS, access, vec![0x5c; 4096]),
        memory.register(0x7171_7171, 0, access, vec![0x5c; 256]),
    ];
    memory.regions[secrets[1].0 as usize].domain = Domain(9);
    let (mut posted, mut asked, mut asking, mut packets, mut told) = (0_u64, 0_u32, 0_u32, 0, 0);
    let mut frames = Vec::new();
    let lies = [2, 20, 100, 400][random.below(4) as usize];
    for round in 0..400_u64 {
        if bench.state() == State::Err {
            break;
        }
        if random.often(200) && bench.side().shared.as_ref().is_none_or(|it| it.count() < 60) {
            let held = bench.link.sides[1].log.completions.iter().filter(|it| it.kind.is_receive());
            if posted - (held.count() as u64) < 60 {
                bench.receive(random.below(3000) as u32);
                posted += 1;
            }
        }
        if random.often(200) && transport == Transport::Reliable {
            let side = bench.side();
            if side.pair.sends_outstanding() < 60 {
                let length = random.below(2000) as u32;
                let bytes = vec![1; length as usize];
                let region = side.memory.register(0, 0, Access::LOCAL_WRITE, bytes);
                let read = Work::Read { address: 0, key: RKey(1) };
                let work = if random.often(500) { read } else { Work::Send(Attachment::None) };
                let segments = [Segment { region, offset: 0, length }];
                let flags = Flags::SIGNALLED;
                let id = 1 << 32 | round;
                side.post_send(&SendRequest {
                    id,
                    work,
                    segments: &segments,
                    flags,
                    destination: None,
                });
            }
        }
        let bytes = lie(random, &bench, asked, asking, lies);
        let before = bench.link.sides[1].pair.counters().total();
        let done = bench.link.sides[1].log.completions.len();
        bench.side().receive(&bytes, round * 1000).expect("well formed");
        if transport != Transport::Reliable {
            asked = asked.wrapping_add(1);
        }
        frames.clear();
        // A reply to a read may be long; a device has only so many buffers.
        bench.side().transmit(round * 1000, 50, &mut frames);
        assert!(frames.len() <= 50);
        for frame in &frames {
            let packet = Packet::parse(frame).expect("what is sent is well formed");
            let psn = packet.bth().psn;
            if packet.bth().opcode.is_request() {
                asking = psn.since(bench.plan.psn[1]);
            } else if let Some(aeth) = packet.extension().aeth() {
                let done = matches!(aeth.syndrome, Syndrome::Ack(_));
                asked = psn.since(bench.plan.psn[0]).wrapping_add(u32::from(done));
            }
        }
        if random.often(20) {
            let side = bench.side();
            if let Some(deadline) = side.pair.deadline() {
                side.pair.expire(deadline, &mut side.log);
            }
        }
        packets += 1;
        let refused = bench.link.sides[1].pair.counters().total() - before;
        assert!(refused <= 2, "a packet is refused for one reason, and its neighbour missed");
        told += u64::from(refused != 0 || done != bench.link.sides[1].log.completions.len());
    }
    for secret in secrets {
        assert!(bench.memory(secret).iter().all(|&byte| byte == 0x5c), "written");
    }
    for &refusal in Refusal::ALL {
        *sums.entry(refusal).or_default() += u64::from(bench.refused(refusal));
    }
    bench.side().down();
    let mut seen = HashSet::new();
    for completion in &bench.link.sides[1].log.completions {
        assert!(seen.insert(completion.id), "{completion:?} again");
    }
    (packets, told)
}

#[test]
fn lies_of_every_kind_are_harmless() {
    let mut random = Random(seed());
    let mut names = HashSet::new();
    for transport in [Transport::Reliable, Transport::Unreliable, Transport::Datagram] {
        let (mut packets, mut told) = (0, 0);
        let mut sums = HashMap::new();
        let games = if transport == Transport::Reliable { 2000 } else { 300 };
        for _ in 0..games {
            let (more, of_those) = game(&mut random, transport, &mut sums);
            packets += more;
            told += of_those;
        }
        println!("{transport:?}: {packets} packets, {told} refused or completed: {sums:?}");
        assert!(packets > 20_000 && told * 10 > packets);
        names.extend(sums.into_iter().filter(|(_, count)| *count > 0).map(|(name, _)| name));
    }
    assert!(names.len() >= 19, "too few ways to be refused were tried: {names:?}");
}
