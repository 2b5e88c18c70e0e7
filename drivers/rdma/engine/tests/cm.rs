//! The communication manager, state by state: what each message, call and time-out brings about.

use crate::cm;
use cm::*;
use reflex_rdma_engine::Instant;
use reflex_rdma_engine::cm::*;
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::{PathMtu, Psn, QKey, Qpn, Transport};

/// Seconds of a round trip by the settings of Linux: twice 1.07 s and 4.29 s.
const ROUND_TRIP: f64 = 6.442450944;
/// Seconds of time-wait: local ACK time-out 19.
const TIME_WAIT: f64 = 2.147483648;

#[test]
fn a_connection_comes_about_and_ends() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"hello");
    assert_eq!(active.state(id), Some(State::ReqSent));
    let req = active.only();
    passive.receive(&req);
    let (other, told) = passive.one();
    assert_eq!(passive.state(other), Some(State::ReqReceived));
    let Told::Request { ip, parameters, data, .. } = told else { panic!("{told:?}") };
    let ip = ip.expect("an IP port");
    assert_eq!((ip.source, ip.source_port, ip.destination), (address(1), 7, address(2)));
    assert_eq!(data, b"hello");
    assert_eq!((parameters.responder_resources, parameters.initiator_depth), (5, 3));
    assert_eq!((parameters.remote_qpn, parameters.send_psn.get()), (Qpn::new(0x11), 0xaaaa11));

    let accepted = passive.accept(other, 0x22, b"welcome");
    assert_eq!((accepted.local_qpn, accepted.receive_psn.get()), (Qpn::new(0x22), 0xbbbb22));
    assert_eq!(passive.agent.parameters(other), Some(&accepted));
    let rep = passive.only();
    assert_eq!(transaction(&rep), transaction(&req), "an answer repeats it");
    active.receive(&rep);
    let (told_id, told) = active.one();
    assert_eq!((told_id, active.state(id)), (id, Some(State::RepReceived)));
    let Told::Reply { parameters, data } = told else { panic!("{told:?}") };
    assert_eq!(data, b"welcome");
    assert_eq!((parameters.local_qpn, parameters.remote_qpn), (Qpn::new(0x11), Qpn::new(0x22)));
    assert_eq!((parameters.send_psn.get(), parameters.receive_psn.get()), (0xbbbb22, 0xaaaa11));
    assert_eq!((parameters.responder_resources, parameters.initiator_depth), (3, 5));
    assert_eq!(active.agent.deadline(), None, "nothing is waited for but the application");

    active.establish(id, b"ready");
    let rtu = active.only();
    passive.receive(&rtu);
    assert_eq!(passive.one(), (other, Told::Established { data: b"ready".to_vec() }));
    assert_eq!(passive.agent.deadline(), None);
    for state in [active.state(id), passive.state(other)] {
        assert_eq!(state, Some(State::Established));
    }

    passive.disconnect(other, b"bye");
    assert_eq!(passive.state(other), Some(State::DreqSent));
    active.receive(&passive.only());
    let cause = Cause::Peer;
    assert_eq!(active.one(), (id, Told::Disconnected { cause, data: b"bye".to_vec() }));
    passive.receive(&active.only());
    let cause = Cause::Local;
    assert_eq!(passive.one(), (other, Told::Disconnected { cause, data: Vec::new() }));
    for (side, id) in [(&mut active, id), (&mut passive, other)] {
        assert_eq!(side.state(id), Some(State::TimeWait));
        assert!((side.wait() - TIME_WAIT).abs() < 1e-9);
        assert!(side.expire());
        assert_eq!(side.one(), (id, Told::Released));
        assert_eq!((side.state(id), side.agent.count()), (None, 0));
        assert_eq!((side.agent.deadline(), side.agent.counters().total()), (None, 0));
        assert!(side.sent().is_empty());
    }
}

#[test]
fn a_request_is_sent_again_until_it_is_given_up() {
    let mut active = Side::new(1);
    let id = active.connect(0x11, b"");
    let req = active.only();
    for _ in 0..15 {
        assert!((active.wait() - ROUND_TRIP).abs() < 1e-6);
        active.expire();
        assert_eq!(active.only(), req, "the same, transaction and all");
        assert!(active.told().is_empty());
    }
    active.expire();
    let rej = active.only();
    let Message::Rej(rej) = message(&rej) else { panic!("{rej:?}") };
    assert_eq!((rej.reason, rej.local_id), (RejectReason::TIMEOUT, id));
    assert_eq!(rej.info, 0x5054_00ff_fe00_0001_u64.to_be_bytes());
    assert_eq!(active.told(), [(id, Told::Failed(Failure::TimedOut)), (id, Told::Released)]);
    assert_eq!((active.agent.counters().retries, active.agent.counters().timeouts), (15, 1));
}

#[test]
fn a_peer_that_gives_up_is_found_by_its_own_name() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    active.abandon(id);
    passive.receive(&active.only());
    let told = passive.told();
    assert!(
        matches!(told[0], (id, Told::Rejected { reason: RejectReason::TIMEOUT, .. }) if id == other)
    );
    assert_eq!(told[1..], [(other, Told::Released)]);
    let accept = Accept::new(Qpn::new(1), Psn::new(1));
    let late = passive.agent.accept(other, &accept, passive.now, &mut passive.book);
    assert_eq!(late, Err(Error::UnknownCommunication));
    active.expire();
    assert_eq!(active.one(), (id, Told::Released));
}

#[test]
fn a_peer_that_asks_again_is_asked_for_patience() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    let req = active.only();
    passive.receive(&req);
    let (other, _) = passive.one();
    passive.receive(&req);
    assert_eq!(passive.refused(Refusal::Duplicate), 1);
    let mra = passive.only();
    let Message::Mra(said) = message(&mra) else { panic!("{mra:?}") };
    assert_eq!((said.received, said.service_timeout), (Received::Req, code(24)));
    assert!(passive.told().is_empty());
    active.receive(&mra);
    let service = 4.096e-6 * f64::from(1 << 24);
    assert!((active.wait() - ROUND_TRIP - service).abs() < 1e-6);
    // Once a try.
    active.now = Instant::from_nanos(1_000_000_000);
    active.receive(&mra);
    assert_eq!(active.refused(Refusal::Duplicate), 1);
    assert!((active.wait() - ROUND_TRIP - service + 1.0).abs() < 1e-6);
    // After it, as before.
    active.expire();
    assert_eq!(active.only(), req);
    assert!((active.wait() - ROUND_TRIP).abs() < 1e-6);
    // A time of the application's own, and one that nobody waits for.
    passive.agent.delay(other, code(31), &mut passive.book).expect("it waits");
    active.receive(&passive.only());
    assert!(active.wait() < 150.0);
    passive.accept(other, 0x22, b"");
    assert_eq!(passive.agent.delay(other, code(1), &mut passive.book), Err(Error::State));
    let rep = passive.only();
    active.receive(&rep);
    active.one();
    // The application of the active side takes its time, too.
    active.receive(&rep);
    let mra = active.only();
    let Message::Mra(said) = message(&mra) else { panic!("{mra:?}") };
    assert_eq!((said.received, said.local_id), (Received::Rep, id));
    passive.receive(&mra);
    assert!(passive.wait() > service);
    assert_eq!(passive.refused(Refusal::State), 0);
}

#[test]
fn a_reply_is_sent_again_until_confirmed_or_given_up() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    let req = active.only();
    passive.receive(&req);
    let (other, _) = passive.one();
    passive.accept(other, 0x22, b"");
    let rep = passive.only();
    passive.receive(&req);
    assert_eq!(passive.only(), rep, "the peer asked again");
    for _ in 0..15 {
        assert!((passive.wait() - 4.294967296).abs() < 1e-6, "what the request said");
        passive.expire();
        assert_eq!(passive.only(), rep);
    }
    active.receive(&rep);
    active.one();
    active.establish(id, b"");
    let rtu = active.only();
    active.receive(&rep);
    assert_eq!(active.only(), rtu, "it was lost");
    passive.expire();
    let rej = passive.only();
    assert_eq!(passive.one(), (other, Told::Failed(Failure::TimedOut)));
    assert_eq!(passive.state(other), Some(State::TimeWait), "the peer may have sent packets");
    active.receive(&rej);
    let cause = Cause::Rejected(RejectReason::TIMEOUT);
    assert_eq!(active.one(), (id, Told::Disconnected { cause, data: Vec::new() }));
}

#[test]
fn the_first_packet_confirms_as_well() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    assert_eq!(passive.agent.established(other, &mut passive.book), Err(Error::State));
    passive.accept(other, 0x22, b"");
    active.receive(&passive.only());
    active.one();
    active.establish(id, b"late");
    let rtu = active.only();
    passive.agent.established(other, &mut passive.book).expect("it waits for it");
    assert_eq!(passive.one(), (other, Told::Established { data: Vec::new() }));
    passive.agent.established(other, &mut passive.book).expect("no harm");
    passive.receive(&rtu);
    assert!(passive.told().is_empty(), "told once");
    assert_eq!(passive.refused(Refusal::Duplicate), 1);
}

#[test]
fn an_application_rejects() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    passive.reject(other, b"no");
    let rej = passive.only();
    assert_eq!(passive.one(), (other, Told::Released));
    active.receive(&rej);
    let (reason, info) = (RejectReason::CONSUMER, Vec::new());
    assert_eq!(active.one(), (id, Told::Rejected { reason, info, data: b"no".to_vec() }));
    assert_eq!(active.state(id), Some(State::TimeWait), "a copy of the request may be under way");
    active.receive(&rej);
    assert!(active.told().is_empty());
    active.expire();
    assert_eq!(active.one(), (id, Told::Released));
}

#[test]
fn an_application_rejects_the_reply() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    passive.accept(other, 0x22, b"");
    let rep = passive.only();
    active.receive(&rep);
    active.one();
    active.reject(id, b"changed my mind");
    let rej = active.only();
    let Message::Rej(said) = message(&rej) else { panic!("{rej:?}") };
    assert_eq!((said.received, said.reason), (Received::Rep, RejectReason::CONSUMER));
    // It is lost; the reply comes again.
    active.receive(&rep);
    let rej = active.only();
    passive.receive(&rej);
    let (reason, info) = (RejectReason::INVALID_COMM_ID, Vec::new());
    assert_eq!(passive.one(), (other, Told::Rejected { reason, info, data: Vec::new() }));
    assert_eq!(passive.state(other), Some(State::TimeWait));
}

#[test]
fn requests_that_nobody_serves_are_rejected_with_the_reason() {
    let check = |change: &dyn Fn(&mut Req<'_>), refusal, reason| {
        let (mut active, mut passive) = pair();
        let id = active.connect(0x11, b"");
        let req = changed(&active.only(), |message| match message {
            Message::Req(req) => change(req),
            _ => panic!("{message:?}"),
        });
        passive.receive(&req);
        assert_eq!((passive.refused(refusal), passive.agent.count()), (1, 0), "{refusal}");
        assert!(passive.told().is_empty());
        let rej = passive.only();
        let Message::Rej(said) = message(&rej) else { panic!("{rej:?}") };
        assert_eq!((said.received, said.local_id), (Received::Req, CommId(0)));
        active.receive(&rej);
        let told = active.one();
        assert!(
            matches!(told, (it, Told::Rejected { reason: why, .. }) if (it, why) == (id, reason))
        );
    };
    let nobody = ServiceId::ip(PortSpace::Tcp, 1);
    check(&|req| req.service = nobody, Refusal::Service, RejectReason::INVALID_SERVICE_ID);
    let (refusal, reason) = (Refusal::Transport, RejectReason::INVALID_TRANSPORT);
    check(&|req| req.transport = Service::Unreliable, refusal, reason);
    check(&|req| req.extended_transport = 1, refusal, reason);
    let (refusal, reason) = (Refusal::Path, RejectReason::INVALID_GID);
    check(&|req| req.primary.local = address(9), refusal, reason);
    check(&|req| req.primary.remote = address(9), refusal, reason);
    check(&|req| req.mtu = PathMtu::B4096, Refusal::Mtu, RejectReason::INVALID_MTU);
    let reason = RejectReason::UNSUPPORTED_REQUEST;
    check(&|req| req.partition = reflex_rdma_wire::PKey(0x1234), Refusal::Partition, reason);
    check(&|req| req.private_data = &[0x10; 92], Refusal::Header, RejectReason::CONSUMER);
}

#[test]
fn the_backlog_bounds_what_waits() {
    let mut passive = Side::new(2);
    let listener = passive.listen(2);
    let mut active = Side::new(1);
    let ids: Vec<CommId> = (0..3).map(|which| active.connect(0x11 + which, b"")).collect();
    let requests = active.sent();
    for req in &requests {
        passive.receive(req);
    }
    assert_eq!((passive.refused(Refusal::Backlog), passive.agent.waiting(listener)), (1, Some(2)));
    assert!(passive.sent().is_empty(), "so that the peer tries again");
    let told = passive.told();
    assert_eq!(told.len(), 2);
    // Accepted is not yet confirmed.
    passive.accept(told[0].0, 0x22, b"");
    passive.receive(&requests[2]);
    assert_eq!((passive.refused(Refusal::Backlog), passive.agent.waiting(listener)), (2, Some(2)));
    let rep = passive.only();
    active.receive(&rep);
    active.one();
    active.establish(ids[0], b"");
    passive.receive(&active.only());
    passive.one();
    assert_eq!(passive.agent.waiting(listener), Some(1));
    passive.receive(&requests[2]);
    let (third, request) = passive.one();
    assert!(matches!(request, Told::Request { .. }));
    passive.reject(told[1].0, b"");
    assert_eq!(passive.agent.waiting(listener), Some(1));
    // In time-wait it takes no place any more.
    passive.accept(third, 0x23, b"");
    passive.abandon(third);
    assert_eq!(passive.state(third), Some(State::TimeWait));
    assert_eq!(passive.agent.waiting(listener), Some(0));
    // Those that were told outlive the listener.
    passive.agent.close(listener).expect("it listens");
    assert_eq!(passive.agent.waiting(listener), None);
    assert_eq!(passive.agent.close(listener), Err(Error::UnknownListener));
    let again = passive.listen(2);
    assert_ne!(again, listener);
    for id in passive.agent.communications().collect::<Vec<_>>() {
        passive.abandon(id);
    }
    assert_eq!(passive.agent.waiting(again), Some(0), "the places were another listener's");
}

#[test]
fn a_full_table_drops_requests_and_refuses_calls() {
    let mut passive = Side::with(2, &Config { communications: 1, ..config(2) });
    let listener = passive.listen(4);
    let mut active = Side::new(1);
    active.connect(0x11, b"");
    active.connect(0x12, b"");
    for req in active.sent() {
        passive.receive(&req);
    }
    assert_eq!((passive.refused(Refusal::Full), passive.agent.waiting(listener)), (1, Some(1)));
    let connect = Connect::port(passive.route, 1, Qpn::new(1), Psn::new(1));
    let refused = passive.agent.connect(&connect, passive.now, &mut passive.book);
    assert_eq!(refused, Err(Error::TableFull));
    assert!(passive.sent().is_empty());
}

#[test]
fn listeners_are_one_a_service_and_bounded() {
    let mut side = Side::new(1);
    let first = side.listen(1);
    assert_eq!(side.agent.listen(&Listen::port(7174, 1)), Err(Error::ServiceTaken));
    for port in 1..4 {
        side.agent.listen(&Listen::port(port, 1)).expect("a place");
    }
    assert_eq!(side.agent.listen(&Listen::port(4, 1)), Err(Error::ListenersFull));
    side.agent.close(first).expect("it listens");
    side.agent.listen(&Listen::datagram_port(7174, 1)).expect("a place");
}

#[test]
fn messages_for_another_are_refused() {
    let (active, id, mut passive, other) = connected();
    let dreq =
        Dreq { local_id: id, remote_id: other, remote_qpn: Qpn::new(0x22), private_data: &[] };
    let send = |passive: &mut Side, route, message| {
        let mut mad = [0; Mad::LENGTH];
        Mad { transaction: 1, message }.emit(&mut mad).expect("a message");
        passive.receive(&(route, mad));
    };
    let (route, elsewhere) = (active.route, Route { local: address(3), ..active.route });
    send(&mut passive, elsewhere, Message::Dreq(dreq));
    assert_eq!(passive.refused(Refusal::Address), 1);
    let end = Rej {
        local_id: id,
        remote_id: other,
        received: Received::Other,
        reason: RejectReason::CONSUMER,
        info: &[],
        private_data: &[],
    };
    send(&mut passive, elsewhere, Message::Rej(end));
    let rtu = Rtu { local_id: id, remote_id: other, private_data: &[] };
    send(&mut passive, elsewhere, Message::Rtu(rtu));
    let drep = Drep { local_id: id, remote_id: other, private_data: &[] };
    send(&mut passive, elsewhere, Message::Drep(drep));
    assert_eq!(passive.refused(Refusal::Address), 4);
    send(&mut passive, route, Message::Dreq(Dreq { local_id: CommId(7), ..dreq }));
    send(&mut passive, route, Message::Dreq(Dreq { remote_qpn: Qpn::new(7), ..dreq }));
    let named = Rej { local_id: CommId(7), ..end };
    send(&mut passive, route, Message::Rej(named));
    assert_eq!(passive.refused(Refusal::Instance), 3);
    let rtu = Rtu { local_id: id, remote_id: CommId(7), private_data: &[] };
    send(&mut passive, route, Message::Rtu(rtu));
    assert_eq!(passive.refused(Refusal::UnknownId), 1);
    let rej = passive.only();
    assert!(matches!(message(&rej), Message::Rej(rej) if rej.local_id == CommId(7)));
    send(&mut passive, route, Message::Drep(drep));
    assert_eq!(passive.refused(Refusal::State), 1);
    assert_eq!(passive.state(other), Some(State::Established));
    assert!(passive.told().is_empty() && passive.sent().is_empty());
    send(&mut passive, route, Message::Dreq(dreq));
    assert_eq!(passive.told().len(), 1);
}

#[test]
fn calls_in_the_wrong_state_are_refused() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    let (now, book) = (active.now, &mut active.book);
    assert_eq!(active.agent.establish(id, b"", book), Err(Error::State));
    assert_eq!(active.agent.disconnect(id, b"", now, book), Err(Error::State));
    let reason = RejectReason::CONSUMER;
    assert_eq!(active.agent.reject(id, reason, b"", now, book), Err(Error::State));
    let answer = Answer { qpn: Qpn::new(1), qkey: QKey(1), private_data: b"" };
    assert_eq!(active.agent.answer(id, &answer, book), Err(Error::State));
    let unknown = Err(Error::UnknownCommunication);
    assert_eq!(active.agent.establish(CommId(0), b"", book), unknown);
    assert_eq!(active.agent.abandon(CommId(1), now, book), unknown);
    // And values that do not fit.
    let connect = Connect::port(active.route, 1, Qpn::new(1), Psn::new(1));
    let mut connect = |change: &dyn Fn(&mut Connect<'_>)| {
        let mut changed = connect;
        change(&mut changed);
        active.agent.connect(&changed, now, book)
    };
    assert_eq!(connect(&|it| it.private_data = &[1; 57]), Err(Error::PrivateDataTooLong));
    assert_eq!(connect(&|it| it.private_data = &[1; 300]), Err(Error::PrivateDataTooLong));
    assert_eq!(connect(&|it| it.retries = 8), Err(Error::Value));
    assert_eq!(connect(&|it| it.flow_label = 1 << 20), Err(Error::Value));
    assert_eq!(connect(&|it| it.mtu = PathMtu::B2048), Err(Error::Value));
    assert_eq!(connect(&|it| it.transport = Transport::Datagram), Err(Error::Value));
    let six = std::net::Ipv6Addr::LOCALHOST.into();
    assert_eq!(connect(&|it| it.route.remote = six), Err(Error::MixedFamilies));
    assert_eq!(active.agent.count(), 1, "they left nothing behind");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    let accept = Accept { private_data: &[1; 197], ..Accept::new(Qpn::new(1), Psn::new(1)) };
    let refused = passive.agent.accept(other, &accept, passive.now, &mut passive.book);
    assert_eq!(refused, Err(Error::PrivateDataTooLong));
    assert_eq!(passive.state(other), Some(State::ReqReceived));
    assert!(passive.sent().is_empty());
}

#[test]
fn services_without_ports_have_all_the_private_data() {
    let (mut active, mut passive) = (Side::new(1), Side::new(2));
    let service = ServiceId(0x1234_5678_9abc_def0);
    let transport = Transport::Unreliable;
    passive.agent.listen(&Listen { service, transport, backlog: 1 }).expect("a place");
    let (route, data) = (active.route, [7; 92]);
    let connect = Connect {
        service,
        transport,
        private_data: &data,
        ..Connect::port(route, 0, Qpn::new(0x11), Psn::new(1))
    };
    active.agent.connect(&connect, active.now, &mut active.book).expect("a place");
    passive.receive(&active.only());
    let (_, told) = passive.one();
    let Told::Request { ip: None, parameters, data: given, .. } = told else { panic!("{told:?}") };
    assert_eq!((parameters.transport, &given[..]), (transport, &data[..]));
}

#[test]
fn what_is_abandoned_is_released_wherever_it_stands() {
    // Before the request is answered, on both sides; with the reply; established; ending.
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    passive.abandon(other);
    assert_eq!(passive.one(), (other, Told::Released));
    active.receive(&passive.only());
    assert!(matches!(active.one(), (_, Told::Rejected { reason: RejectReason::CONSUMER, .. })));
    active.abandon(id);
    active.expire();
    assert_eq!(active.one(), (id, Told::Released));

    let second = active.connect(0x12, b"");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    passive.accept(other, 0x22, b"");
    active.receive(&passive.only());
    active.one();
    passive.abandon(other);
    active.receive(&passive.only());
    assert!(matches!(active.one(), (_, Told::Rejected { reason: RejectReason::CONSUMER, .. })));
    for (side, id) in [(&mut active, second), (&mut passive, other)] {
        assert_eq!(side.state(id), Some(State::TimeWait));
        side.expire();
        assert_eq!(side.one(), (id, Told::Released));
    }

    let (mut active, id, mut passive, other) = connected();
    active.abandon(id);
    assert_eq!(active.state(id), Some(State::DreqSent));
    active.abandon(id);
    passive.receive(&active.only());
    assert!(matches!(passive.one(), (_, Told::Disconnected { cause: Cause::Peer, .. })));
    passive.abandon(other);
    assert_eq!(passive.state(other), Some(State::TimeWait));
}

#[test]
fn a_late_rejection_of_the_request_does_not_end_the_connection() {
    let (mut active, id, passive, _) = connected();
    let rej = Rej {
        local_id: CommId(0),
        remote_id: id,
        received: Received::Req,
        reason: RejectReason::INVALID_SERVICE_ID,
        info: &[],
        private_data: &[],
    };
    let mut mad = [0; Mad::LENGTH];
    Mad { transaction: 1, message: Message::Rej(rej) }.emit(&mut mad).expect("a message");
    active.receive(&(passive.route, mad));
    assert_eq!((active.state(id), active.refused(Refusal::State)), (Some(State::Established), 1));
}

#[test]
fn many_deadlines_at_once_are_served_in_bounded_pieces() {
    let mut active = Side::with(1, &Config { communications: 100, ..config(1) });
    for which in 0..100 {
        active.connect(0x11 + which, b"");
    }
    assert_eq!(active.sent().len(), 100);
    let deadline = active.agent.deadline().expect("a hundred");
    active.now = deadline;
    let mut pieces = Vec::new();
    while active.agent.deadline() == Some(deadline) {
        active.expire();
        pieces.push(active.sent().len());
    }
    assert_eq!(pieces, [32, 32, 32, 4]);
    active.agent.expire(Instant::from_nanos(0), &mut active.book);
    assert!(active.sent().is_empty(), "too early does no harm");
}

#[test]
fn every_name_has_a_sentence() {
    let mut seen = std::collections::HashSet::new();
    for refusal in Refusal::ALL {
        assert!(seen.insert(refusal.to_string()));
    }
    for error in [
        Error::TableFull,
        Error::ListenersFull,
        Error::ServiceTaken,
        Error::UnknownCommunication,
        Error::UnknownListener,
        Error::State,
        Error::PrivateDataTooLong,
        Error::MixedFamilies,
        Error::Value,
    ] {
        assert!(error.to_string().len() > 10 && seen.insert(format!("error: {error}")));
    }
}
