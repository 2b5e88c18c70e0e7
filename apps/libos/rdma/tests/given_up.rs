//! What is left of contexts that were given up: names that reach nothing, and memory that stays as it is.

use crate::common::World;
use crate::traffic::{App, peer, side};
use reflex_event::{Priority, Trouble};
use reflex_rdma::{Connect, Error, Kind, Limits, ReceiveRequest, SendRequest, Status, Transport};
use std::time::Duration;

/// A handle that was kept after its owner's end meets no other queue pair, not even the one that packets
/// know by the same number, since those have 14 bits over its place alone.
#[test]
fn a_handle_does_not_meet_another_of_the_same_number() {
    let world = World::with(9, Limits { queue_pairs: 1, ..Limits::default() });
    let host = &world.hosts[0];
    let one = side(host);
    let kept = one.pair(Transport::Reliable);
    let number = kept.number();
    host.kernel.end(one.context);
    world.settle();
    let other = side(host);
    let mut others = 0;
    let its = loop {
        let pair = other.pair(Transport::Reliable);
        others += 1;
        if pair.number() == number {
            break pair;
        }
        drop(pair);
        world.settle();
    };
    assert_eq!(others, (1 << 14) - 1);
    let far = side(&world.hosts[1]);
    let peers = far.pair(Transport::Reliable);
    its.establish(peer(&far, &peers)).unwrap();
    peers.establish(peer(&other, &its)).unwrap();
    assert_eq!(kept.counters().err(), Some(Error::Gone));
    assert_eq!(kept.establish(peer(&far, &peers)), Err(Error::Gone));
    assert_eq!((kept.fail(), kept.resume()), (Err(Error::Gone), Err(Error::Gone)));
    assert_eq!(kept.post_receive(ReceiveRequest::empty()).unwrap_err().error, Error::Gone);
    let work = SendRequest::message().bytes(one.host.bytes(&other.domain, b"to nobody"));
    assert_eq!(kept.post_send(work).unwrap_err().error, Error::Gone);
    let told = kept.on_event(other.context, Priority::DEFAULT, |_: &mut App, _| {});
    assert_eq!(told, Err(Error::Gone));
    let to = (far.host.address, 7);
    let asked = other.connections.connect(&kept, to, Connect::default());
    assert_eq!(asked.err(), Some(Error::Gone));
    // To drop it takes nothing down, and packets find the one that is there.
    drop(kept);
    world.settle();
    other.receive(&its, 1, 64);
    far.send(&peers, 2, b"by its number");
    world.run_for(Duration::from_millis(5));
    assert_eq!(other.done(), [(1, Kind::Receive, Status::Success, b"by its number".to_vec())]);
}

/// A handler is given up with a completion's memory in hand. What it has not taken goes back only if the
/// memory of its context is used again; else it stays as it is, which its owner is told.
#[test]
fn memory_in_the_hands_of_a_handler_that_was_given_up_stays() {
    for reused in [false, true] {
        let world = World::new(12);
        let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
        let kernel = &other.host.kernel;
        if reused {
            kernel.reuse_borrowed();
        }
        // The memory of one context, in the hands of another's handler.
        let fragile = kernel.context(App::default(), 1 << 16);
        let queue = other.host.rdma.completion_queue(fragile, 64, Priority::DEFAULT, |_, done| {
            assert!(!done.bytes().starts_with(b"!"), "told to panic");
            drop(done.take_bytes());
        });
        let queue = queue.unwrap();
        let to = other.domain.queue_pair(Transport::Reliable, &queue, &queue).depth(16, 16);
        let to = to.build().unwrap();
        let from = one.pair(Transport::Reliable);
        from.establish(peer(&other, &to)).unwrap();
        to.establish(peer(&one, &from)).unwrap();
        for id in 0..3 {
            other.receive(&to, id, 500);
        }
        for bytes in [b"well", b"well", b"!!!!"] {
            one.send(&from, 8, bytes);
        }
        let run = || world.run_for(Duration::from_millis(5));
        assert!(kernel.contain_in(fragile, App::default(), run));
        // Its queue pair goes with it.
        world.run_for(Duration::from_millis(200));
        let pool = reflex_event::EventSystem::pool(kernel, other.context).unwrap();
        let told = kernel.troubles(other.context);
        if reused {
            other.assert_whole();
            assert_eq!((kernel.quarantined(), told.as_slice()), (0, &[][..]));
        } else {
            assert_eq!(pool.available() + 512, other.free);
            assert_eq!(
                (kernel.quarantined(), told.as_slice()),
                (500, &[Trouble::MemoryQuarantined][..])
            );
        }
    }
}
