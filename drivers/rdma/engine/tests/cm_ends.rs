//! Ends of connections: asked for, crossed, and brought about by a peer that began anew.

use crate::cm;
use cm::*;
use reflex_rdma_engine::cm::*;
use reflex_rdma_wire::Qpn;
use reflex_rdma_wire::cm::*;

#[test]
fn an_end_is_asked_for_again_until_it_is_given_up() {
    let (mut active, id, mut passive, other) = connected();
    active.disconnect(id, b"");
    let dreq = active.only();
    for _ in 0..15 {
        active.expire();
        assert_eq!(active.only(), dreq);
    }
    assert!(active.told().is_empty());
    active.expire();
    let cause = Cause::Unanswered;
    assert_eq!(active.one(), (id, Told::Disconnected { cause, data: Vec::new() }));
    assert_eq!(active.state(id), Some(State::TimeWait));
    // The answer, when it comes, comes again.
    passive.receive(&dreq);
    let drep = passive.only();
    passive.one();
    passive.receive(&dreq);
    assert_eq!((passive.only(), passive.refused(Refusal::Duplicate)), (drep, 1));
    active.receive(&drep);
    assert!(active.told().is_empty());
    // Even when nothing is left.
    passive.expire();
    assert_eq!(passive.one(), (other, Told::Released));
    passive.receive(&dreq);
    let again = passive.only();
    assert_eq!(again.1, drep.1);
    assert_eq!(passive.refused(Refusal::UnknownId), 1);
}

#[test]
fn both_may_end_it_at_once() {
    let (mut active, id, mut passive, other) = connected();
    active.disconnect(id, b"");
    passive.disconnect(other, b"");
    let crossing = (active.only(), passive.only());
    active.receive(&crossing.1);
    passive.receive(&crossing.0);
    let cause = Cause::Local;
    assert_eq!(active.one(), (id, Told::Disconnected { cause, data: Vec::new() }));
    assert_eq!(passive.one(), (other, Told::Disconnected { cause, data: Vec::new() }));
    let answers = (active.only(), passive.only());
    active.receive(&answers.1);
    passive.receive(&answers.0);
    assert!(active.told().is_empty() && passive.told().is_empty());
}

#[test]
fn an_end_may_come_before_the_confirmation() {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    passive.accept(other, 0x22, b"");
    active.receive(&passive.only());
    active.one();
    active.establish(id, b"");
    active.only();
    active.disconnect(id, b"");
    passive.receive(&active.only());
    let cause = Cause::Peer;
    assert_eq!(passive.one(), (other, Told::Disconnected { cause, data: Vec::new() }));
}

#[test]
fn a_peer_that_began_anew_ends_the_old_connection() {
    let (mut active, id, mut passive, other) = connected();
    // The same queue pair, by a machine that knows nothing of the connection.
    let mut anew = Side::with(1, &Config { first_id: 0x4444, ..config(1) });
    let attempt = anew.connect(0x11, b"");
    let req = anew.only();
    passive.receive(&req);
    let cause = Cause::Stale;
    assert_eq!(passive.one(), (other, Told::Disconnected { cause, data: Vec::new() }));
    assert_eq!(passive.refused(Refusal::Stale), 1);
    let rej = passive.only();
    anew.receive(&rej);
    let (_, told) = anew.one();
    assert!(matches!(told, Told::Rejected { reason: RejectReason::STALE_CONNECTION, .. }));
    assert_eq!(anew.state(attempt), Some(State::TimeWait));
    // Then there is nothing in its way.
    anew.connect(0x11, b"");
    passive.receive(&anew.only());
    assert!(matches!(passive.one(), (_, Told::Request { .. })));
    drop((active.told(), id));
}

#[test]
fn a_peer_that_began_anew_is_noticed_by_its_reply() {
    let (mut active, id, passive, _) = connected();
    drop(passive);
    let mut anew = Side::with(2, &Config { first_id: 0x4444, ..config(2) });
    anew.listen(4);
    let second = active.connect(0x12, b"");
    anew.receive(&active.only());
    let (other, _) = anew.one();
    anew.accept(other, 0x22, b"");
    active.receive(&anew.only());
    let cause = Cause::Stale;
    let told = active.told();
    assert_eq!(told[0], (id, Told::Disconnected { cause, data: Vec::new() }));
    assert_eq!(told[1..], [(second, Told::Failed(Failure::Stale))]);
    anew.receive(&active.only());
    let (_, told) = anew.one();
    assert!(matches!(told, Told::Rejected { reason: RejectReason::STALE_CONNECTION, .. }));
}

#[test]
fn a_name_that_is_used_anew_ends_the_old_connection() {
    let (mut active, mut passive) = pair();
    active.connect(0x11, b"");
    let req = active.only();
    passive.receive(&req);
    let (other, _) = passive.one();
    let another = changed(&req, |message| match message {
        Message::Req(req) => req.qpn = Qpn::new(0x99),
        _ => panic!("{message:?}"),
    });
    passive.receive(&another);
    let failed = (other, Told::Failed(Failure::Stale));
    assert_eq!(passive.told(), [failed, (other, Told::Released)]);
    passive.receive(&another);
    assert!(matches!(passive.one(), (_, Told::Request { .. })));
}

#[test]
fn late_copies_in_time_wait_are_refused() {
    let (mut active, id, mut passive, _) = connected();
    let mut again = Side::new(1);
    again.connect(0x11, b"");
    let req = again.only();
    active.disconnect(id, b"");
    passive.receive(&active.only());
    passive.one();
    passive.only();
    passive.receive(&req);
    assert_eq!((passive.refused(Refusal::Stale), passive.told()), (1, Vec::new()));
    let rej = passive.only();
    active.receive(&rej);
    assert!(active.told().is_empty());
}
