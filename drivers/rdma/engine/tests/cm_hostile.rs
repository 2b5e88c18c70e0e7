//! Connection messages that lie, by the hundred thousand. None is fatal, none takes more than its
//! share, each is counted, and honest peers are served. `REFLEX_SEED=N` repeats a run.

use crate::cm;
use crate::common;
use crate::lies;
use cm::*;
use common::{Random, seed};
use lies::{Dice, game};
use reflex_rdma_engine::cm::*;
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::{
    Bth, Deth, Emitter, Envelope, Extension, Gid, Notice, Opcode, PKey, Position, Psn, QKey, Qpn,
    Transport, packet_length,
};
use std::collections::HashSet;

fn somebody(random: &mut Random) -> Gid {
    Gid::from_ipv4_bytes([10, 1, random.next() as u8, random.next() as u8])
}

impl Dice for Random {
    fn below(&mut self, bound: u64) -> u64 {
        Random::below(self, bound)
    }
}

#[test]
fn floods_of_requests_are_bounded_and_others_are_served() {
    let mut random = Random(seed());
    let mut victim = Side::with(2, &Config { communications: 64, ..config(2) });
    let flooded = victim.listen(16);
    victim.agent.listen(&Listen::port(2, 16)).expect("a place");
    victim.agent.listen(&Listen::datagram_port(7174, 16)).expect("a place");
    // Somebody is connected already.
    let mut friend = Side::new(1);
    let connected = friend.connect(0x11, b"");
    let genuine = friend.only();
    victim.receive(&genuine);
    let (standing, _) = victim.one();
    victim.accept(standing, 0x22, b"");
    friend.receive(&victim.only());
    friend.one();
    friend.establish(connected, b"");
    victim.receive(&friend.only());
    victim.one();

    let mut told = 0;
    for round in 0..100_000 {
        let source = somebody(&mut random);
        let route = Route { local: source, remote: address(2) };
        let forged = changed(&genuine, |message| {
            let Message::Req(req) = message else { panic!("{message:?}") };
            req.local_id = CommId(random.next() as u32);
            req.qpn = Qpn::new(random.next() as u32);
            req.primary.local = source;
        });
        let mut data = [0; IpHeader::LENGTH];
        IpHeader { source, source_port: 1, destination: address(2) }
            .emit(&mut data)
            .expect("one family");
        let service = ServiceId::ip(PortSpace::Udp, 7174);
        let request_id = CommId(random.next() as u32);
        let sidr = SidrReq { request_id, partition: PKey::DEFAULT, service, private_data: &data };
        match round % 2 {
            0 => victim.receive(&(route, forged.1)),
            _ => victim.receive(&lies::datagram(route, Message::SidrReq(sidr))),
        }
        assert!(victim.agent.count() <= 33 && victim.agent.waiting(flooded) <= Some(16));
        assert!(victim.sent().is_empty(), "a forged request draws nothing upon its victim");
        told += victim.told().len();
    }
    assert_eq!((told, victim.refused(Refusal::Backlog)), (32, 100_000 - 32));

    // A service that is not flooded is served.
    let (qpn, psn) = (Qpn::new(0x12), Psn::new(1));
    let connect = Connect::port(friend.route, 2, qpn, psn);
    friend.agent.connect(&connect, friend.now, &mut friend.book).expect("a place");
    victim.receive(&friend.only());
    let (second, told) = victim.one();
    assert!(matches!(told, Told::Request { .. }));
    assert_eq!(victim.state(standing), Some(State::Established));

    // Accepting forged requests costs a bounded number of replies, and the places come back.
    let waiting: Vec<CommId> = victim.agent.communications().collect();
    for id in waiting {
        let accept = Accept::new(Qpn::new(0x33), Psn::new(1));
        let _ = victim.agent.accept(id, &accept, victim.now, &mut victim.book);
    }
    let mut replies = victim.sent().len();
    while victim.agent.deadline().is_some() {
        victim.expire();
        replies += victim.sent().len();
    }
    assert_eq!(replies, 17 * (16 + 1), "sixteen replies and a rejection for each");
    assert_eq!(victim.state(second), None);
    let waiting: Vec<CommId> = victim.agent.communications().collect();
    for id in waiting {
        if id != standing {
            victim.abandon(id);
        }
    }
    assert_eq!((victim.agent.count(), victim.agent.waiting(flooded)), (1, Some(0)));
}

#[test]
fn packets_that_are_no_management_datagrams_are_counted() {
    let mut side = Side::new(2);
    let send = Opcode::send(Transport::Datagram, Position::Only, Notice::None).expect("there is");
    let good = (Qpn::GENERAL_SERVICE, Qpn::GENERAL_SERVICE, QKey::GENERAL_SERVICE, PKey::DEFAULT);
    let packet = |(destination, source, key, partition): (Qpn, Qpn, QKey, PKey), length| {
        let envelope = Envelope::new(address(1), address(2), 0xc000);
        let bth = Bth { partition, ..Bth::new(send, destination, Psn::new(0)) };
        let extension = Extension::Deth(Deth { key, source });
        let mut bytes = vec![0; packet_length(&envelope, &extension, length)];
        let mut emitter =
            Emitter::new(&mut bytes, &envelope, &bth, &extension, length).expect("room");
        emitter.append(&vec![0; length]).expect("room");
        emitter.finish().expect("whole");
        bytes
    };
    for (number, wrong) in [
        (Qpn::new(2), good.1, good.2, good.3),
        (good.0, Qpn::new(2), good.2, good.3),
        (good.0, good.1, QKey(1), good.3),
        (good.0, good.1, good.2, PKey(0x1234)),
    ]
    .into_iter()
    .enumerate()
    {
        side.receive_packet(&packet(wrong, Mad::LENGTH));
        assert_eq!(side.refused(Refusal::QueuePair), number as u32 + 1);
    }
    for (number, length) in [0, 255, 256, 257, 1024].into_iter().enumerate() {
        side.receive_packet(&packet(good, length));
        assert_eq!(side.refused(Refusal::Malformed), number as u32 + 1, "{length}");
    }
    assert!(side.told().is_empty() && side.sent().is_empty());
}

#[test]
fn lies_of_every_kind_are_harmless() {
    let mut random = Random(seed());
    let (mut seen, mut sent) = (HashSet::new(), 0);
    for _ in 0..1500 {
        sent += game(&mut random, 400, &mut seen);
    }
    println!("{sent} datagrams, refused as {seen:?}");
    let other = [Refusal::QueuePair];
    for refusal in Refusal::ALL {
        assert!(seen.contains(refusal) || other.contains(refusal), "never {refusal:?}");
    }
}
