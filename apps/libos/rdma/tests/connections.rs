//! Connections, one thing at a time: asked for, accepted, refused, ended.

use crate::common;
use crate::traffic::{Side, peer, side};
use common::{Connection, Pair, World};
use reflex_rdma::{
    Accept, Connect, ConnectionChange, Error, Failure, Kind, RejectReason, SendRequest, Status,
    Transport,
};
use std::time::Duration;

fn connect(active: &Side<'_>, passive: &Side<'_>, port: u16) -> (Pair, Connection) {
    let pair = active.pair(Transport::Reliable);
    let to = (passive.host.address, port);
    let connection = active.connections.connect(&pair, to, Connect::new()).unwrap();
    (pair, connection)
}

#[test]
fn connections_are_asked_for_accepted_and_ended() {
    let world = World::new(9);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    other.connections.listen(Transport::Reliable, 7471, 4).unwrap();
    let (from, connection) = connect(&one, &other, 7471);
    assert_eq!(
        one.connections.connect(&from, (other.host.address, 7471), Connect::new()).err(),
        Some(Error::NotReady)
    );
    world.run_for(Duration::from_millis(1));
    let requested = other.happened();
    assert!(
        matches!(requested[0].1, ConnectionChange::Requested { port: 7471, .. }),
        "{requested:?}"
    );
    let to = other.pair(Transport::Reliable);
    other.receive(&to, 1, 64);
    requested[0].0.accept(&to, Accept::new().data(b"welcome").unwrap()).unwrap();
    // A second answer is one too many.
    let spare = other.pair(Transport::Reliable);
    requested[0].0.accept(&spare, Accept::new()).unwrap();
    world.run_for(Duration::from_millis(1));
    spare.establish(peer(&one, &from)).unwrap();
    let happened = one.happened();
    assert!(matches!(happened[..], [(_, ConnectionChange::Connected { .. })]), "{happened:?}");
    assert_eq!(happened[0].0, connection);
    assert!(matches!(other.happened()[..], [(_, ConnectionChange::Connected { .. })]));
    one.send(&from, 2, b"hello");
    world.run_for(Duration::from_millis(1));
    assert_eq!(other.done(), [(1, Kind::Receive, Status::Success, b"hello".to_vec())]);
    connection.disconnect().unwrap();
    connection.disconnect().unwrap();
    world.run_for(Duration::from_millis(1));
    assert!(matches!(one.happened()[..], [(_, ConnectionChange::Disconnected)]));
    assert!(matches!(other.happened()[..], [(_, ConnectionChange::Disconnected)]));
}

#[test]
fn a_queue_pair_with_a_refused_connection_can_have_another() {
    let world = World::new(10);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    other.connections.listen(Transport::Reliable, 7471, 4).unwrap();
    let (pair, first) = connect(&one, &other, 7471);
    world.run_for(Duration::from_millis(1));
    other.happened()[0].0.reject(b"no").unwrap();
    world.run_for(Duration::from_millis(1));
    assert!(matches!(one.happened()[..], [(_, ConnectionChange::Rejected { .. })]));
    let to = (other.host.address, 7471);
    one.connections.connect(&pair, to, Connect::new()).unwrap();
    world.run_for(Duration::from_millis(1));
    let theirs = other.pair(Transport::Reliable);
    other.happened()[0].0.accept(&theirs, Accept::new()).unwrap();
    world.run_for(Duration::from_millis(1));
    assert!(matches!(one.happened()[..], [(_, ConnectionChange::Connected { .. })]));
    // The first is over, and is not the second.
    first.disconnect().unwrap();
    world.run_for(Duration::from_millis(1));
    other.receive(&theirs, 1, 16);
    one.send(&pair, 2, b"stands");
    world.run_for(Duration::from_millis(1));
    assert_eq!(one.done(), [(2, Kind::Send, Status::Success, b"stands".to_vec())]);
}

#[test]
fn the_peers_first_packet_confirms_a_connection_that_lost_its_confirmation() {
    let world = World::new(15);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    other.connections.listen(Transport::Reliable, 7471, 4).unwrap();
    let (from, _connection) = connect(&one, &other, 7471);
    world.run_for(Duration::from_millis(1));
    let to = other.pair(Transport::Reliable);
    other.receive(&to, 1, 64);
    other.happened()[0].0.accept(&to, Accept::new()).unwrap();
    let lost = |percent| world.hosts[0].wire.lock().unwrap().faults.lost = percent;
    lost(100);
    world.run_for(Duration::from_millis(1));
    assert!(matches!(one.happened()[..], [(_, ConnectionChange::Connected { .. })]));
    assert!(other.happened().is_empty());
    let early = to.post_send(SendRequest::message()).unwrap_err();
    assert_eq!(early.error, Error::NotReady);
    lost(0);
    one.send(&from, 2, b"first");
    world.run_for(Duration::from_millis(1));
    assert!(matches!(other.happened()[..], [(_, ConnectionChange::Connected { .. })]));
    assert_eq!(other.done().len(), 1);
    one.receive(&from, 3, 64);
    other.send(&to, 4, b"back");
    world.run_for(Duration::from_millis(1));
    assert!(one.done().contains(&(3, Kind::Receive, Status::Success, b"back".to_vec())));
}

#[test]
fn why_a_connection_did_not_come_about_is_told() {
    let world = World::new(16);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    other.connections.listen(Transport::Reliable, 7471, 4).unwrap();
    let failure = |side: &Side<'_>| match side.happened()[..] {
        [(_, ConnectionChange::Failed { why })] => why,
        ref other => panic!("{other:?}"),
    };
    // A queue pair that is gone before the port has looked.
    let (pair, _) = connect(&one, &other, 7471);
    drop(pair);
    world.run_for(Duration::from_millis(1));
    let gone = one.happened();
    let ended = matches!(
        gone[..],
        [(
            _,
            ConnectionChange::Failed { why: Failure::QueuePair } | ConnectionChange::Disconnected
        )]
    );
    assert!(ended, "{gone:?}");
    world.run_for(Duration::from_secs(1));
    other.happened();
    // An address that is gone.
    let (_pair, _) = connect(&one, &other, 7471);
    let own = one.host.address;
    one.host.readdress(&[]);
    world.run_for(Duration::from_millis(1));
    assert_eq!(failure(&one), Failure::NoAddress);
    one.host.readdress(&[own]);
    // Nobody at home.
    let pair = one.pair(Transport::Reliable);
    let nowhere = ("10.0.0.77".parse().unwrap(), 7471);
    one.connections.connect(&pair, nowhere, Connect::new()).unwrap();
    world.run_for(Duration::from_secs(200));
    assert_eq!(failure(&one), Failure::Unanswered);
    // A queue pair of another transport.
    let (_pair, _) = connect(&one, &other, 7471);
    world.run_for(Duration::from_millis(1));
    let wrong = other.pair(Transport::Unreliable);
    other.happened()[0].0.accept(&wrong, Accept::new()).unwrap();
    world.run_for(Duration::from_millis(1));
    assert_eq!(failure(&other), Failure::QueuePair);
    assert!(matches!(one.happened()[..], [(_, ConnectionChange::Rejected { .. })]));
}

#[test]
fn a_datagram_queue_pair_is_asked_for_and_named() {
    let world = World::new(17);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    other.connections.listen(Transport::Datagram, 7174, 4).unwrap();
    let to = (other.host.address, 7174);
    let asked = one.connections.resolve(to, b"ask").unwrap();
    world.run_for(Duration::from_millis(1));
    let requested = other.happened();
    let [(request, ConnectionChange::Requested { transport, port: 7174, data, .. })] =
        &requested[..]
    else {
        panic!("{requested:?}")
    };
    assert_eq!((*transport, &data.as_bytes()[..3]), (Transport::Datagram, &b"ask"[..]));
    let theirs = other.pair(Transport::Datagram);
    other.receive(&theirs, 1, 64 + 40);
    request.accept(&theirs, Accept::new().data(b"named").unwrap()).unwrap();
    world.run_for(Duration::from_millis(1));
    let told = one.happened();
    let [(connection, ConnectionChange::Resolved { queue_pair, key, data })] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((connection, *queue_pair), (&asked, theirs.number()));
    assert_eq!(&data.as_bytes()[..5], b"named");
    assert!(other.happened().is_empty());
    // What was named takes datagrams, by the key that was told.
    let own = one.pair(Transport::Datagram);
    let bytes = one.host.bytes(&one.domain, b"found");
    let message = SendRequest::message().bytes(bytes);
    own.post_send(message.to(other.host.address, *queue_pair, *key)).unwrap();
    world.run_for(Duration::from_millis(1));
    assert_eq!(other.done(), [(1, Kind::Receive, Status::Success, b"found".to_vec())]);
}

#[test]
fn a_datagram_queue_pair_is_refused_or_not_there() {
    let world = World::new(18);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    other.connections.listen(Transport::Datagram, 7174, 4).unwrap();
    let resolve = |port| one.connections.resolve((other.host.address, port), b"").unwrap();
    let rejected = || match one.happened()[..] {
        [(_, ConnectionChange::Rejected { reason, .. })] => reason,
        ref told => panic!("{told:?}"),
    };
    // By the application there, for a queue pair of another kind, and where nobody listens.
    resolve(7174);
    world.run_for(Duration::from_millis(1));
    other.happened()[0].0.reject(b"no").unwrap();
    world.run_for(Duration::from_millis(1));
    assert_eq!(rejected(), RejectReason::CONSUMER);
    resolve(7174);
    world.run_for(Duration::from_millis(1));
    let wrong = other.pair(Transport::Reliable);
    other.happened()[0].0.accept(&wrong, Accept::new()).unwrap();
    world.run_for(Duration::from_millis(1));
    assert!(matches!(
        other.happened()[..],
        [(_, ConnectionChange::Failed { why: Failure::QueuePair })]
    ));
    rejected();
    resolve(7175);
    world.run_for(Duration::from_millis(1));
    assert_eq!(rejected(), RejectReason::INVALID_SERVICE_ID);
    // Nobody at home.
    one.connections.resolve(("10.0.0.77".parse().unwrap(), 7174), b"").unwrap();
    world.run_for(Duration::from_secs(200));
    assert!(matches!(
        one.happened()[..],
        [(_, ConnectionChange::Failed { why: Failure::Unanswered })]
    ));
    // And the places are free again.
    let many = [0; 600].map(|_| one.connections.resolve((other.host.address, 7175), b"").is_ok());
    assert!(many.iter().any(|asked| *asked));
}
