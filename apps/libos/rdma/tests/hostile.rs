//! Frames that lie. Each is counted, none writes where it may not, none is fatal, and honest peers
//! are served.

use crate::common;
use common::{ConnectionEvent, ETHERNET, Host, Pair, Region, World, mac_of};
use proptest::prelude::*;
use reflex_event::{Context, EventSystem, Priority};
use reflex_rdma::{
    Access, Completion, Connect, Connection, ConnectionChange, Counters, Gid, PathMtu, Peer, Psn,
    QKey, Qpn, RKey, ReceiveRequest, Refusal, Status, Transport,
};
use reflex_rdma_engine::cm::{GeneralService, Route};
use reflex_rdma_wire::cm::{CommId, Mad, Message};
use reflex_rdma_wire::{
    Bth, Datagram, Deth, Emitter, Envelope, Extension, Opcode, Packet, Reth, packet_length,
};
use reflex_testkit::{Random, SimKernel};
use std::time::Duration;

const FIRST: Psn = Psn::new(100);

#[derive(Default)]
struct App {
    done: Vec<(u64, Status)>,
    happened: Vec<(Connection<SimKernel>, ConnectionChange)>,
}

/// A machine with two queue pairs that have 10.0.0.1 as their peer, one for datagrams, and two
/// regions.
struct Victim<'a> {
    host: &'a Host,
    context: Context<App>,
    domain: common::Domain,
    pairs: [Pair; 2],
    datagrams: Pair,
    /// Written to, and not.
    regions: [Region; 2],
    connections: common::Connections,
}

fn victim(world: &World) -> Victim<'_> {
    let host = &world.hosts[1];
    let context = host.kernel.context(App::default(), 1 << 20);
    let domain = host.rdma.domain(context).unwrap();
    let note = |app: &mut App, done: &mut Completion| app.done.push((done.id, done.status));
    let queue = host.rdma.completion_queue(context, 1024, Priority::DEFAULT, note).unwrap();
    let happened =
        |app: &mut App, event: ConnectionEvent| app.happened.push((event.connection, event.what));
    let connections = host.rdma.connections(context, Priority::DEFAULT, happened).unwrap();
    let pair = |transport| {
        let pair = domain.queue_pair(transport, &queue, &queue).depth(16, 64);
        pair.access(Access::REMOTE_WRITE | Access::REMOTE_READ).build().unwrap()
    };
    let pairs = [0, 1].map(|_| pair(Transport::Reliable));
    for (number, pair) in pairs.iter().enumerate() {
        let peer = Peer {
            address: world.hosts[0].address,
            queue_pair: Qpn::new(0x77 + number as u32),
            receive_psn: FIRST,
            send_psn: FIRST,
            mtu: PathMtu::B1024,
            timeout: 14,
            retries: 7,
            rnr_retries: 7,
            reads: 4,
        };
        pair.establish(peer).unwrap();
    }
    let datagrams = pair(Transport::Datagram);
    let region = |access| domain.register(domain.bytes(4096).unwrap(), access).unwrap();
    let regions = [region(Access::REMOTE_WRITE | Access::LOCAL_WRITE), region(Access::REMOTE_READ)];
    host.kernel.run_until_idle();
    Victim { host, context, domain, pairs, datagrams, regions, connections }
}

/// A packet of the peer's, to be changed.
#[derive(Clone)]
struct Craft {
    envelope: Envelope,
    bth: Bth,
    extension: Extension,
    payload: Vec<u8>,
}

impl Victim<'_> {
    fn write(&self, pair: usize, psn: Psn, offset: u64, payload: &[u8]) -> Craft {
        let [peer, own] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Gid::from_ipv4_bytes);
        let mut bth = Bth::new(Opcode::RcWriteOnly, self.pairs[pair].number(), psn);
        bth.acknowledge = true;
        let address = self.regions[0].address() + offset;
        let length = payload.len() as u32;
        let reth = Reth { address, key: self.regions[0].key(), length };
        Craft {
            envelope: Envelope::new(peer, own, 0xc123),
            bth,
            extension: Extension::Reth(reth),
            payload: payload.to_vec(),
        }
    }

    fn datagram(&self, key: QKey) -> Craft {
        let mut craft = self.write(0, FIRST, 0, b"datagram");
        craft.bth = Bth::new(Opcode::UdSendOnly, self.datagrams.number(), FIRST);
        craft.extension = Extension::Deth(Deth { key, source: Qpn::new(0x99) });
        craft
    }

    fn counters(&self) -> Counters {
        self.host.rdma.counters()
    }

    fn content(&self, region: usize) -> Vec<u8> {
        let mut content = vec![0; 4096];
        self.regions[region].read(0, &mut content).unwrap();
        content
    }

    fn refused(&self, pair: &Pair, refusal: Refusal) -> u32 {
        pair.counters().unwrap().refused(refusal)
    }
}

fn frame(craft: &Craft) -> Vec<u8> {
    let Craft { envelope, bth, extension, payload } = craft;
    let length = packet_length(envelope, extension, payload.len());
    let mut frame = vec![0; ETHERNET + length];
    frame[..6].copy_from_slice(&mac_of("10.0.0.2".parse().unwrap()));
    frame[12] = 8;
    let mut emitter =
        Emitter::new(&mut frame[ETHERNET..], envelope, bth, extension, payload.len()).unwrap();
    if bth.opcode.has_payload() {
        emitter.append(payload).unwrap();
    }
    emitter.finish().unwrap();
    frame
}

#[test]
fn each_lie_has_its_counter_and_no_effect() {
    let world = World::new(1);
    let victim = victim(&world);
    let good = victim.write(0, FIRST, 8, b"genuine!");
    victim.host.take(&frame(&good));
    let mut expected = vec![0; 4096];
    expected[8..16].copy_from_slice(b"genuine!");
    assert_eq!(victim.content(0), expected);
    let next = victim.write(0, FIRST.next(), 8, b"forged!!");
    let mut count = Counters { frames: 1, sent: 1, ..Counters::default() };
    let check = |name: &str, bytes: &[u8], change: &mut dyn FnMut(&mut Counters)| {
        victim.host.take(bytes);
        count.frames += 1;
        change(&mut count);
        assert_eq!(victim.counters(), count, "{name}");
        assert_eq!(victim.content(0), expected, "{name}");
    };
    let mut check = check;
    let malformed = &mut |counters: &mut Counters| counters.malformed += 1;
    // The codec.
    for at in ETHERNET..frame(&next).len() {
        // Type of service, time to live and checksums do not count; nor do congestion bits.
        if [15, 22, 24, 25, 40, 41, 46].contains(&at) {
            continue;
        }
        let mut bytes = frame(&next);
        bytes[at] ^= 0x40;
        if (47..50).contains(&at) {
            // Another queue pair's number.
            check("a bit", &bytes, &mut |counters| counters.no_queue_pair += 1);
        } else {
            check("a bit", &bytes, malformed);
        }
    }
    for length in ETHERNET..frame(&next).len() {
        check("cut off", &frame(&next)[..length], malformed);
    }
    let mut bytes = frame(&next);
    bytes.truncate(bytes.len() - 4);
    let total = (bytes.len() - ETHERNET) as u16;
    bytes[16..18].copy_from_slice(&total.to_be_bytes());
    check("lengths that do not agree", &bytes, malformed);
    // For nobody: of the same place in the table, but another time.
    let mut craft = next.clone();
    craft.bth.destination = Qpn::new(next.bth.destination.get() ^ 1 << 12);
    check("another time", &frame(&craft), &mut |counters| counters.no_queue_pair += 1);
    // Refused by the queue pair, which knows why.
    let refused = &mut |counters: &mut Counters| counters.refused += 1;
    let mut craft = next.clone();
    craft.envelope.source = Gid::from_ipv4_bytes([10, 0, 0, 66]);
    check("somebody else", &frame(&craft), refused);
    assert_eq!(victim.refused(&victim.pairs[0], Refusal::Address), 1);
    let mut craft = next.clone();
    craft.bth.opcode = Opcode::UcWriteOnly;
    check("another transport", &frame(&craft), refused);
    assert_eq!(victim.refused(&victim.pairs[0], Refusal::Transport), 1);
    // Replayed, with another content: acknowledged again, and not written.
    let craft = victim.write(0, FIRST, 8, b"replayed");
    let answered = &mut |counters: &mut Counters| {
        counters.refused += 1;
        counters.sent += 1;
    };
    check("a replay", &frame(&craft), answered);
    assert_eq!(victim.refused(&victim.pairs[0], Refusal::Duplicate), 1);
    let craft = victim.write(0, FIRST.plus(9), 8, b"too soon");
    check("a gap", &frame(&craft), answered);
    assert_eq!(victim.refused(&victim.pairs[0], Refusal::Gap), 1);
    check("a wrong Q_Key", &frame(&victim.datagram(QKey(5))), refused);
    assert_eq!(victim.refused(&victim.datagrams, Refusal::Key), 1);
    check("no receive", &frame(&victim.datagram(QKey::IP_CM)), refused);
    assert_eq!(victim.refused(&victim.datagrams, Refusal::NoReceive), 1);
    // Still served.
    victim.host.take(&frame(&victim.write(0, FIRST.next(), 16, b"genuine!")));
    assert_eq!(victim.content(0)[16..24], *b"genuine!");
}

#[test]
fn keys_bounds_and_permissions_are_kept() {
    for (offset, length, which) in
        [(4090, 7, 0), (u64::MAX - 8, 16, 0), (4096, 1, 0), (1 << 32, 8, 0), (0, 8, 1), (0, 8, 2)]
    {
        let world = World::new(2);
        let victim = victim(&world);
        let mut craft = victim.write(0, FIRST, 0, &vec![1; length]);
        let address = victim.regions[0].address().wrapping_add(offset);
        let key = match which {
            0 => victim.regions[0].key(),
            // One that permits only reads, and its address.
            1 => victim.regions[1].key(),
            _ => RKey(victim.regions[0].key().0 ^ 1 << 20),
        };
        let address = if which == 1 { victim.regions[1].address() } else { address };
        craft.extension = Extension::Reth(Reth { address, key, length: length as u32 });
        victim.host.take(&frame(&craft));
        assert_eq!(victim.refused(&victim.pairs[0], Refusal::Access), 1);
        assert!(victim.content(0).iter().chain(&victim.content(1)).all(|byte| *byte == 0));
        // That queue pair has failed, as with any peer that does so; the other has not.
        victim.host.take(&frame(&victim.write(1, FIRST, 0, b"genuine!")));
        assert_eq!(victim.content(0)[..8], *b"genuine!");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_storm_of_lies_changes_nothing_and_loses_no_count(seed: u64) {
        let world = World::new(seed);
        let victim = victim(&world);
        let mut random = Random::new(seed);
        let free = victim.host.kernel.pool(victim.context).unwrap().available();
        for id in 0..32 {
            let bytes = victim.domain.bytes(64).unwrap();
            victim.pairs[0].post_receive(ReceiveRequest::bytes(bytes).id(id)).unwrap();
        }
        let mut frames = 0;
        for round in 0..500 {
            let mut craft = victim.write(0, FIRST.plus(random.below(4) as u32), 0, &[0xee; 64]);
            let opcode = Opcode::ALL[random.below(Opcode::ALL.len() as u64) as usize];
            if opcode.layout() == craft.bth.opcode.layout() {
                craft.bth.opcode = opcode;
            }
            // Never where it would be right.
            let address = victim.regions[random.below(2) as usize].address();
            let key = match random.below(3) {
                0 => victim.regions[0].key(),
                1 => victim.regions[1].key(),
                _ => RKey(random.word() as u32),
            };
            let length = random.below(128) as u32 + 1;
            let address = address.wrapping_add(4096 - u64::from(length) + 1 + random.below(9000));
            craft.extension = Extension::Reth(Reth { address, key, length });
            if !craft.bth.opcode.has_payload() {
                craft.payload.clear();
            }
            if random.percent(10) {
                craft.envelope.source = Gid::from_ipv4_bytes([10, 0, 0, random.word() as u8]);
            }
            let mut bytes = frame(&craft);
            if random.percent(50) {
                let at = ETHERNET + random.below((bytes.len() - ETHERNET) as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            if random.percent(10) {
                bytes.truncate(random.below(bytes.len() as u64) as usize);
            }
            if random.percent(50) {
                victim.host.take(&bytes);
            } else {
                victim.host.inject(&bytes);
            }
            frames += 1;
            if round % 100 == 0 {
                victim.host.wire.lock().unwrap().level = [0, 31, 63][random.below(3) as usize];
            }
        }
        world.run_for(Duration::from_secs(2));
        let counters = victim.counters();
        prop_assert_eq!(counters.frames, frames);
        let dropped = counters.malformed + counters.no_queue_pair + counters.refused
            + counters.queue_full;
        // Congestion bits and the like may be anything; what came after the queue pair had failed
        // is refused, too.
        prop_assert!(dropped <= frames && dropped * 10 > frames * 9, "{:?}", counters);
        prop_assert!(victim.content(0).iter().chain(&victim.content(1)).all(|byte| *byte == 0));
        prop_assert_eq!(victim.host.frames.available(), victim.host.frames_free);
        victim.host.wire.lock().unwrap().level = 31;
        victim.host.take(&frame(&victim.write(1, FIRST, 0, b"genuine!")));
        prop_assert_eq!(&victim.content(0)[..8], b"genuine!");
        drop(victim.pairs);
        world.settle();
        let pool = victim.host.kernel.pool(victim.context).unwrap();
        prop_assert_eq!(pool.available(), free);
    }
}

/// The genuine request of machine 1, as it was sent.
fn request(world: &World, transport: Transport) -> (Vec<u8>, Pair) {
    let host = &world.hosts[0];
    let context = host.kernel.context((), 1 << 16);
    let domain = host.rdma.domain(context).unwrap();
    let queue = host.rdma.completion_queue(context, 64, Priority::LOW, |_: &mut (), _| {}).unwrap();
    let pair = domain.queue_pair(transport, &queue, &queue).depth(8, 8).build().unwrap();
    let manager = host.rdma.connections(context, Priority::LOW, |_: &mut (), _| {}).unwrap();
    manager.connect(&pair, (world.hosts[1].address, 7), Connect::new()).unwrap();
    host.kernel.run_until_idle();
    (host.sent().pop().unwrap(), pair)
}

/// A request of somebody else's, made of a genuine one.
fn forged(genuine: &[u8], random: &mut Random) -> Vec<u8> {
    let packet = Packet::parse(&genuine[ETHERNET..]).unwrap();
    let mut mad = Mad::parse(packet.payload()).unwrap();
    let Message::Req(req) = &mut mad.message else { panic!("no request") };
    let source = Gid::from_ipv4_bytes([10, 0, random.word() as u8, random.word() as u8]);
    req.local_id = CommId(random.word() as u32);
    req.qpn = Qpn::new(random.word() as u32 & 0xff_ffff);
    req.primary.local = source;
    let mut bytes = [0; Mad::LENGTH];
    mad.emit(&mut bytes).unwrap();
    let local = Datagram::parse(&genuine[ETHERNET..]).unwrap().destination();
    let route = Route { local: source, remote: local };
    let mut frame = genuine[..ETHERNET].to_vec();
    frame.resize(ETHERNET + GeneralService::LENGTH, 0);
    let length = GeneralService::new(0xc000).emit(&route, &bytes, &mut frame[ETHERNET..]).unwrap();
    frame.truncate(ETHERNET + length);
    frame
}

#[test]
fn a_flood_of_requests_takes_the_backlog_and_no_more() {
    let world = World::new(3);
    let victim = victim(&world);
    victim.connections.listen(Transport::Reliable, 7, 8).unwrap();
    victim.connections.listen(Transport::Reliable, 8, 8).unwrap();
    victim.host.kernel.run_until_idle();
    let (genuine, _pair) = request(&world, Transport::Reliable);
    let mut random = Random::new(3);
    for _ in 0..3000 {
        victim.host.take(&forged(&genuine, &mut random));
    }
    let take = || victim.host.kernel.state(victim.context, |app| std::mem::take(&mut app.happened));
    let requests = take();
    assert_eq!(requests.len(), 8);
    assert_eq!(victim.counters().connection_refused, 3000 - 8);
    // Answered, they make room.
    for (connection, _) in &requests {
        connection.reject(b"").unwrap();
    }
    victim.host.kernel.run_until_idle();
    victim.host.take(&genuine);
    let requests = take();
    assert!(
        matches!(requests[..], [(_, ConnectionChange::Requested { port: 7, .. })]),
        "{requests:?}"
    );
    // A side that does not listen any more is asked for nothing.
    victim.connections.close(Transport::Reliable, 7).unwrap();
    victim.connections.close(Transport::Reliable, 7).unwrap_err();
    victim.host.kernel.run_until_idle();
    for _ in 0..100 {
        victim.host.take(&forged(&genuine, &mut random));
    }
    assert!(take().is_empty());
    // What is established goes on.
    victim.host.take(&frame(&victim.write(1, FIRST, 0, b"genuine!")));
    assert_eq!(victim.content(0)[..8], *b"genuine!");
}

#[test]
fn a_flood_of_messages_waits_behind_what_is_more_urgent() {
    let world = World::new(5);
    let victim = victim(&world);
    victim.connections.listen(Transport::Reliable, 7, 8).unwrap();
    victim.host.kernel.run_until_idle();
    let (genuine, _pair) = request(&world, Transport::Reliable);
    let mut random = Random::new(5);
    // Somebody is above the default: frames are received at that priority.
    victim.host.wire.lock().unwrap().level = 63;
    for _ in 0..200 {
        let request = forged(&genuine, &mut random);
        victim.host.inject(&request);
    }
    victim.host.kernel.run_until_idle();
    let counters = victim.counters();
    assert_eq!((counters.frames, counters.queue_full), (200, 200 - 64));
    assert_eq!(counters.connection_refused, 64 - 8);
    assert_eq!(victim.host.frames.available(), victim.host.frames_free);
    // Few enough are all looked at.
    for _ in 0..50 {
        let request = forged(&genuine, &mut random);
        victim.host.inject(&request);
    }
    victim.host.kernel.run_until_idle();
    assert_eq!(victim.counters().connection_refused, 64 - 8 + 50);
}

#[test]
fn a_handler_that_does_not_run_is_not_told_of_more_than_there_are_places() {
    let limits = reflex_rdma::Limits { connections: 16, ..Default::default() };
    let world = World::with(4, limits);
    let victim = victim(&world);
    let handler = |app: &mut App, event: ConnectionEvent| {
        app.happened.push((event.connection, event.what));
    };
    // Its handler has the lowest priority; frames come before it can run.
    let slow = victim.host.rdma.connections(victim.context, Priority::LOW, handler).unwrap();
    slow.listen(Transport::Reliable, 7, 15).unwrap();
    assert_eq!(
        slow.listen(Transport::Reliable, 8, 1),
        Err(reflex_rdma::Error::LimitReached),
        "all backlogs are less than the connections"
    );
    victim.host.kernel.run_until_idle();
    let (genuine, _pair) = request(&world, Transport::Reliable);
    let mut random = Random::new(4);
    for _ in 0..400 {
        let request = forged(&genuine, &mut random);
        victim.host.inject(&request);
        // And takes it back: `RejectReason::TIMEOUT`, or the peer would keep its place.
        victim.host.inject(&taken_back(&request));
    }
    victim.host.kernel.run_until_idle();
    let told = victim.host.kernel.state(victim.context, |app| app.happened.len());
    assert!(told <= 32, "{told}");
    assert!(victim.counters().unheard > 300, "{:?}", victim.counters());
    // All places are there again.
    for _ in 0..15 {
        victim.host.take(&forged(&genuine, &mut random));
    }
    let now = victim.host.kernel.state(victim.context, |app| app.happened.len());
    assert_eq!(now - told, 15);
}

/// The message by which a peer gives its request up.
fn taken_back(request: &[u8]) -> Vec<u8> {
    use reflex_rdma_wire::cm::{Received, Rej, RejectReason};
    let packet = Packet::parse(&request[ETHERNET..]).unwrap();
    let Mad { transaction, message } = Mad::parse(packet.payload()).unwrap();
    let Message::Req(req) = message else { panic!("no request") };
    let rej = Rej {
        local_id: req.local_id,
        remote_id: CommId(0),
        received: Received::Other,
        reason: RejectReason::TIMEOUT,
        info: &[],
        private_data: &[],
    };
    let mut bytes = [0; Mad::LENGTH];
    Mad { transaction, message: Message::Rej(rej) }.emit(&mut bytes).unwrap();
    let datagram = Datagram::parse(&request[ETHERNET..]).unwrap();
    let route = Route { local: datagram.source(), remote: datagram.destination() };
    let mut frame = request[..ETHERNET].to_vec();
    frame.resize(ETHERNET + GeneralService::LENGTH, 0);
    let length = GeneralService::new(0xc000).emit(&route, &bytes, &mut frame[ETHERNET..]).unwrap();
    frame.truncate(ETHERNET + length);
    frame
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn messages_that_make_no_sense_are_counted(seed: u64) {
        let world = World::new(seed);
        let victim = victim(&world);
        victim.connections.listen(Transport::Reliable, 7, 8).unwrap();
        victim.host.kernel.run_until_idle();
        let (genuine, _pair) = request(&world, Transport::Reliable);
        let mut random = Random::new(seed);
        let datagram = Datagram::parse(&genuine[ETHERNET..]).unwrap();
        let route = Route { local: datagram.source(), remote: datagram.destination() };
        let payload = Packet::parse(&genuine[ETHERNET..]).unwrap().payload().to_vec();
        for _ in 0..200 {
            let mut mad: [u8; Mad::LENGTH] = payload[..].try_into().unwrap();
            for _ in 0..1 + random.below(8) {
                // Mostly where it says what it is.
                let bound = if random.percent(70) { 24 } else { 256 };
                mad[random.below(bound) as usize] = random.word() as u8;
            }
            let mut frame = genuine[..ETHERNET].to_vec();
            frame.resize(ETHERNET + GeneralService::LENGTH, 0);
            let mut sender = GeneralService::new(0xc000);
            let length = sender.emit(&route, &mad, &mut frame[ETHERNET..]).unwrap();
            frame.truncate(ETHERNET + length);
            victim.host.take(&frame);
        }
        let happened =
            victim.host.kernel.state(victim.context, |app| std::mem::take(&mut app.happened));
        let is_request = |it: &&(_, ConnectionChange)| matches!(it.1, ConnectionChange::Requested { .. });
        let requests = happened.iter().filter(is_request).count();
        // The others say that a request is over.
        prop_assert!(2 * requests <= happened.len() + 8, "{:?}", happened);
        let counters = victim.counters();
        prop_assert_eq!(counters.frames, 200);
        prop_assert!(counters.connection_refused + requests as u64 >= 200, "{:?}", counters);
    }
}
