//! What queue pairs tell of that no completion does.

use crate::common::World;
use crate::traffic::{App, peer, side};
use reflex_event::Priority;
use reflex_rdma::{Access, Event, Kind, ReceiveRequest, SendRequest, Status, Transport};
use std::time::Duration;

/// What waits while sends drain is done when they go on, and nothing before.
#[test]
fn sends_drain_and_go_on() {
    let world = World::new(21);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let [from, to] = [&one, &other].map(|side| side.pair(Transport::Reliable));
    (0..3).for_each(|id| other.receive(&to, id, 64));
    let told = |app: &mut App, event| app.events.push(event);
    from.on_event(one.context, Priority::DEFAULT, told).unwrap();
    from.establish(peer(&other, &to)).unwrap();
    to.establish(peer(&one, &from)).unwrap();
    let step = || {
        world.run_for(Duration::from_millis(10));
        let events = one.host.kernel.state(one.context, |app| std::mem::take(&mut app.events));
        (events, other.done().len())
    };
    one.send(&from, 1, b"before");
    assert_eq!(step(), (vec![], 1));
    from.drain().unwrap();
    assert_eq!(step(), (vec![Event::SendQueueDrained], 0));
    one.send(&from, 2, b"waits");
    one.send(&from, 3, b"too");
    assert_eq!(step(), (vec![], 0));
    // What is asked for last is done.
    from.resume().unwrap();
    from.drain().unwrap();
    assert_eq!(step(), (vec![], 0));
    from.resume().unwrap();
    assert_eq!(step(), (vec![], 2));
    assert_eq!(one.done().len(), 3);
    one.assert_whole();
    other.assert_whole();
}

/// Writes without a number are told to the queue pair that was made to tell them, and to no other; those with
/// one have a completion, and are told by that alone.
#[test]
fn writes_are_told_where_they_are_asked_for() {
    let world = World::new(20);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    for tells in [true, false] {
        let from = one.pair(Transport::Reliable);
        let to = other.domain.queue_pair(Transport::Reliable, &other.queue, &other.queue);
        let to = to.access(Access::REMOTE_WRITE);
        let to = if tells { to.tell_writes() } else { to }.build().unwrap();
        from.establish(peer(&other, &to)).unwrap();
        to.establish(peer(&one, &from)).unwrap();
        to.on_event(other.context, Priority::DEFAULT, |app: &mut App, event| {
            app.events.push(event)
        })
        .unwrap();
        let access = Access::REMOTE_WRITE | Access::LOCAL_WRITE;
        let region = other.domain.register(other.domain.bytes(4096).unwrap(), access).unwrap();
        let told = || {
            world.run_for(Duration::from_millis(10));
            other.host.kernel.state(other.context, |app| std::mem::take(&mut app.events))
        };
        let write = |length| {
            let write = SendRequest::write(region.address(), region.key());
            write.bytes(one.domain.bytes(length).unwrap())
        };
        let expected = if tells { vec![Event::Written] } else { vec![] };
        // Of one packet, of several, and of none that carries anything.
        for length in [8, 4000, 0] {
            from.post_send(write(length)).unwrap();
            assert_eq!(told(), expected, "{length}");
        }
        to.post_receive(ReceiveRequest::empty().id(5)).unwrap();
        from.post_send(write(8).immediate(1)).unwrap();
        assert_eq!(told(), []);
        assert_eq!(other.done(), [(5, Kind::ReceiveWrite, Status::Success, vec![])]);
    }
}

/// An application that is more urgent than the port, and ends because of a failure, does not leave its peer without
/// a word: what refuses has been sent by then.
#[test]
fn failures_are_told_when_the_peer_has_been() {
    let world = World::new(22);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let host = other.host;
    // Frames that were queued when a failure was told, by completion and by event.
    let urgent = host.kernel.context(Vec::<u64>::new(), 1 << 20);
    let domain = host.rdma.domain(urgent).unwrap();
    let wire = host.wire.clone();
    let note = move |seen: &mut Vec<u64>| seen.push(wire.lock().unwrap().queued);
    let (by_completion, by_event) = (note.clone(), note);
    let queue = host
        .rdma
        .completion_queue(urgent, 16, Priority::HIGHEST, move |seen: &mut Vec<u64>, _| {
            by_completion(seen);
        })
        .unwrap();
    let to = domain.queue_pair(Transport::Reliable, &queue, &queue).depth(2, 2).build().unwrap();
    to.on_event(urgent, Priority::HIGHEST, move |seen: &mut Vec<u64>, _| by_event(seen)).unwrap();
    to.post_receive(ReceiveRequest::bytes(domain.bytes(16).unwrap())).unwrap();
    let from = one.pair(Transport::Reliable);
    from.establish(peer(&other, &to)).unwrap();
    to.establish(peer(&one, &from)).unwrap();
    world.settle();
    let before = host.wire.lock().unwrap().queued;
    one.send(&from, 1, b"more than sixteen bytes");
    world.run_for(Duration::from_millis(10));
    host.kernel.state(urgent, |seen| {
        assert!(seen.len() >= 2, "{seen:?}");
        assert!(seen.iter().all(|queued| *queued > before), "{seen:?} after {before}");
    });
    let done = one.done();
    assert!(matches!(done[..], [(1, Kind::Send, Status::RemoteOperation, _)]), "{done:?}");
}
