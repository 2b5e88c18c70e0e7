//! Resolution of services to datagram queue pairs: SIDR.

use crate::cm;
use cm::*;
use reflex_rdma_engine::cm::*;
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::{QKey, Qpn};

#[test]
fn a_datagram_queue_pair_is_found() {
    let (mut active, mut passive) = (Side::new(1), Side::new(2));
    let service = ServiceId::ip(PortSpace::Udp, 7);
    let listener = passive.agent.listen(&Listen::datagram_port(7, 1)).expect("a place");
    let route = active.route;
    let resolve = Resolve { route, service, source_port: 9, private_data: b"ask" };
    let id = active.agent.resolve(&resolve, active.now, &mut active.book).expect("a place");
    let req = active.only();
    assert!((active.wait() - 4.294967296).abs() < 1e-6);
    passive.receive(&req);
    passive.receive(&req);
    assert_eq!(passive.refused(Refusal::Duplicate), 1);
    let (other, told) = passive.one();
    let Told::Resolution { ip, data, .. } = told else { panic!("{told:?}") };
    assert_eq!((ip.expect("a port").source_port, &data[..]), (9, &b"ask"[..]));
    assert_eq!(passive.agent.waiting(listener), Some(1));
    let answer = Answer { qpn: Qpn::new(0x33), qkey: QKey::IP_CM, private_data: b"me" };
    passive.agent.answer(other, &answer, &mut passive.book).expect("it waits for it");
    assert_eq!(passive.one(), (other, Told::Released));
    let rep = passive.only();
    active.receive(&rep);
    let (qpn, qkey, data) = (Qpn::new(0x33), QKey::IP_CM, b"me".to_vec());
    assert_eq!(active.told(), [(id, Told::Resolved { qpn, qkey, data }), (id, Told::Released)]);
    active.receive(&rep);
    assert_eq!(active.refused(Refusal::UnknownId), 1);
    assert_eq!((active.agent.count(), passive.agent.count()), (0, 0));
}

#[test]
fn a_resolution_is_rejected_refused_or_given_up() {
    let (mut active, mut passive) = (Side::new(1), Side::new(2));
    passive.agent.listen(&Listen::datagram_port(7, 1)).expect("a place");
    passive.agent.listen(&Listen::port(8, 1)).expect("a place");
    let route = active.route;
    let resolve = |side: &mut Side, service| {
        let resolve = Resolve { route, service, source_port: 9, private_data: b"" };
        side.agent.resolve(&resolve, side.now, &mut side.book).expect("a place")
    };
    let id = resolve(&mut active, ServiceId::ip(PortSpace::Udp, 7));
    passive.receive(&active.only());
    let (other, _) = passive.one();
    passive.reject(other, b"no");
    assert_eq!(passive.one(), (other, Told::Released));
    active.receive(&passive.only());
    let (status, data) = (SidrStatus::REJECTED, b"no".to_vec());
    let told = Told::ResolutionRejected { status, data };
    assert_eq!(active.told(), [(id, told), (id, Told::Released)]);

    let nobody = [ServiceId::ip(PortSpace::Udp, 8), ServiceId::ip(PortSpace::Tcp, 8)];
    for (service, refusal) in nobody.into_iter().zip([Refusal::Service, Refusal::Transport]) {
        let id = resolve(&mut active, service);
        passive.receive(&active.only());
        assert_eq!((passive.refused(refusal), passive.told()), (1, Vec::new()));
        active.receive(&passive.only());
        let (status, data) = (SidrStatus::UNSUPPORTED, Vec::new());
        let told = Told::ResolutionRejected { status, data };
        assert_eq!(active.told(), [(id, told), (id, Told::Released)]);
    }

    let id = resolve(&mut active, ServiceId::ip(PortSpace::Udp, 7));
    for _ in 0..16 {
        active.only();
        active.expire();
    }
    assert_eq!(active.told(), [(id, Told::Failed(Failure::TimedOut)), (id, Told::Released)]);
    assert!(active.sent().is_empty());
}
