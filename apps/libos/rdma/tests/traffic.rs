//! What queue pairs do, one thing at a time.

use crate::common;
use common::{Connection, ConnectionEvent, Connections, Domain, Host, Pair, Queue, World};
use reflex_event::{Context, Priority};
use reflex_rdma::{
    Access, Completion, ConnectionChange, Error, Event, Kind, Limits, PathMtu, Peer, Psn, QKey,
    ReceiveRequest, SendRequest, Status, Transport,
};
use std::time::Duration;

/// An application that notes what it is told.
#[derive(Default)]
pub(crate) struct App {
    done: Vec<(u64, Kind, Status, Vec<u8>)>,
    happened: Vec<(Connection, ConnectionChange)>,
    pub(crate) events: Vec<Event>,
}

pub(crate) struct Side<'a> {
    pub(crate) host: &'a Host,
    pub(crate) context: Context<App>,
    pub(crate) domain: Domain,
    pub(crate) queue: Queue,
    pub(crate) connections: Connections,
    pub(crate) free: usize,
}

pub(crate) fn side(host: &Host) -> Side<'_> {
    let context = host.kernel.context(App::default(), 1 << 20);
    let domain = host.rdma.domain(context).unwrap();
    let note = |app: &mut App, done: &mut Completion| {
        app.done.push((done.id, done.kind, done.status, done.bytes().to_vec()));
    };
    let queue = host.rdma.completion_queue(context, 512, Priority::DEFAULT, note).unwrap();
    let happened = |app: &mut App, event: ConnectionEvent| {
        app.happened.push((event.connection, event.what));
    };
    let connections = host.rdma.connections(context, Priority::DEFAULT, happened).unwrap();
    let free = reflex_event::EventSystem::pool(&host.kernel, context).unwrap().available();
    Side { host, context, domain, queue, connections, free }
}

impl Side<'_> {
    pub(crate) fn pair(&self, transport: Transport) -> Pair {
        let pair = self.domain.queue_pair(transport, &self.queue, &self.queue).depth(16, 16);
        pair.access(Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC)
            .build()
            .unwrap()
    }

    pub(crate) fn receive(&self, pair: &Pair, id: u64, length: usize) {
        pair.post_receive(ReceiveRequest::bytes(self.domain.bytes(length).unwrap()).id(id))
            .unwrap();
    }

    pub(crate) fn send(&self, pair: &Pair, id: u64, bytes: &[u8]) {
        let bytes = self.host.bytes(&self.domain, bytes);
        pair.post_send(SendRequest::message().bytes(bytes).id(id)).unwrap();
    }

    pub(crate) fn done(&self) -> Vec<(u64, Kind, Status, Vec<u8>)> {
        self.host.kernel.state(self.context, |app| std::mem::take(&mut app.done))
    }

    pub(crate) fn happened(&self) -> Vec<(Connection, ConnectionChange)> {
        self.host.kernel.state(self.context, |app| std::mem::take(&mut app.happened))
    }

    /// All memory has come back.
    pub(crate) fn assert_whole(&self) {
        let pool = reflex_event::EventSystem::pool(&self.host.kernel, self.context).unwrap();
        assert_eq!(pool.available(), self.free);
    }
}

pub(crate) fn peer(of: &Side<'_>, pair: &Pair) -> Peer {
    Peer {
        address: of.host.address,
        queue_pair: pair.number(),
        receive_psn: Psn::new(100),
        send_psn: Psn::new(100),
        mtu: PathMtu::B1024,
        timeout: 8,
        retries: 7,
        rnr_retries: 7,
        reads: 4,
    }
}

/// A pair of queue pairs that know each other.
fn joined(one: &Side<'_>, other: &Side<'_>, transport: Transport) -> [Pair; 2] {
    let pairs = [one.pair(transport), other.pair(transport)];
    pairs[0].establish(peer(other, &pairs[1])).unwrap();
    pairs[1].establish(peer(one, &pairs[0])).unwrap();
    pairs
}

#[test]
fn a_message_takes_a_receive_and_both_complete_with_their_memory() {
    let world = World::new(1);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    for transport in [Transport::Reliable, Transport::Unreliable] {
        let [from, to] = joined(&one, &other, transport);
        other.receive(&to, 7, 3000);
        one.send(&from, 8, &[5; 2500]);
        world.run_for(Duration::from_millis(10));
        assert_eq!(one.done(), [(8, Kind::Send, Status::Success, vec![5; 2500])]);
        assert_eq!(other.done(), [(7, Kind::Receive, Status::Success, vec![5; 2500])]);
        one.assert_whole();
        other.assert_whole();
    }
}

/// A window is not sent again while it has not left: a link with room for ten frames that takes some in
/// bursts and others in up to half a second.
#[test]
fn a_slow_link_is_not_filled_with_copies() {
    for seed in 1..=20 {
        let world = World::new(seed);
        for host in &world.hosts {
            let mut wire = host.wire.lock().unwrap();
            (wire.buffers, wire.free) = (10, 10);
            wire.slowness = Duration::from_millis(500);
        }
        let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
        let pairs = [one.pair(Transport::Reliable), other.pair(Transport::Reliable)];
        // 67 ms, as Linux's example programs.
        let peers = [peer(&other, &pairs[1]), peer(&one, &pairs[0])];
        for (pair, peer) in pairs.iter().zip(peers) {
            pair.establish(Peer { timeout: 14, retries: 3, ..peer }).unwrap();
        }
        let bytes = vec![7; 40_000];
        for round in 0..3 {
            other.receive(&pairs[1], round, bytes.len());
            one.send(&pairs[0], round, &bytes);
        }
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        let arrived = world.run_until(Duration::from_secs(300), || {
            sent.extend(one.done());
            received.extend(other.done());
            (sent.len(), received.len()) == (3, 3)
        });
        assert!(arrived, "seed {seed}: {sent:?}");
        assert!(sent.iter().all(|it| it.2 == Status::Success), "seed {seed}");
        assert!(received.iter().all(|it| it.2 == Status::Success && it.3 == bytes), "seed {seed}");
        let queued = world.hosts[0].wire.lock().unwrap().queued;
        let packets = 3 * (bytes.len() as u64).div_ceil(1024);
        assert!(queued * 4 < packets * 5, "seed {seed}: {queued} frames for {packets} packets");
        one.assert_whole();
        other.assert_whole();
    }
}

#[test]
fn datagrams_find_their_queue_pair() {
    let world = World::new(2);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let [from, to] = [one.pair(Transport::Datagram), other.pair(Transport::Datagram)];
    other.receive(&to, 1, 1064);
    let bytes = one.host.bytes(&one.domain, &[9; 100]);
    let key = QKey::IP_CM;
    from.post_send(SendRequest::message().bytes(bytes).to(other.host.address, to.number(), key))
        .unwrap();
    world.run_for(Duration::from_millis(1));
    assert_eq!(other.done(), [(1, Kind::Receive, Status::Success, vec![9; 100])]);
    assert_eq!(one.done().len(), 1);
    // From where it cannot be reached it is refused with its memory.
    let far = "2001:db8::1".parse().unwrap();
    let bytes = one.domain.bytes(8).unwrap();
    let refused = from.post_send(SendRequest::message().bytes(bytes).to(far, to.number(), key));
    assert_eq!(refused.unwrap_err().error, Error::NoAddress);
    one.assert_whole();
    other.assert_whole();
}

#[test]
fn memory_is_written_read_and_counted_by_key() {
    let world = World::new(3);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let [from, _to] = joined(&one, &other, Transport::Reliable);
    let all =
        Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC | Access::LOCAL_WRITE;
    let region = other.domain.register(other.domain.bytes(256).unwrap(), all).unwrap();
    let bytes = one.host.bytes(&one.domain, b"written");
    from.post_send(SendRequest::write(region.address() + 8, region.key()).bytes(bytes)).unwrap();
    let answer = || one.domain.bytes(8).unwrap();
    let count = SendRequest::fetch_add(region.address() + 64, region.key(), 5);
    from.post_send(count.bytes(answer())).unwrap();
    from.post_send(SendRequest::read(region.address() + 8, region.key()).bytes(answer())).unwrap();
    world.run_for(Duration::from_millis(10));
    let done = one.done();
    assert!(done.iter().all(|(_, _, status, _)| *status == Status::Success), "{done:?}");
    assert_eq!(done[1].3, 0_u64.to_ne_bytes());
    assert_eq!(done[2].3, b"written\0");
    let mut found = [0; 8];
    region.read(64, &mut found).unwrap();
    assert_eq!(u64::from_ne_bytes(found), 5);
    drop(region);
    one.assert_whole();
    other.assert_whole();
}

#[test]
fn a_failed_queue_pair_flushes_what_is_posted_before_and_after() {
    let world = World::new(4);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let [from, to] = joined(&one, &other, Transport::Reliable);
    one.receive(&from, 1, 64);
    // The key is nobody's: the peer says so, and this side fails without anybody's asking.
    let bytes = one.domain.bytes(8).unwrap();
    from.post_send(SendRequest::write(1 << 32, reflex_rdma::RKey(77)).bytes(bytes).id(2)).unwrap();
    world.run_for(Duration::from_millis(10));
    let statuses = |done: &[(u64, Kind, Status, Vec<u8>)]| {
        let mut all: Vec<_> = done.iter().map(|it| (it.0, it.2)).collect();
        all.sort_by_key(|it| it.0);
        all
    };
    assert_eq!(statuses(&one.done()), [(1, Status::Flushed), (2, Status::RemoteAccess)]);
    // Posted to a queue pair in ERR: at once, receives too.
    one.receive(&from, 3, 64);
    one.send(&from, 4, b"late");
    other.receive(&to, 5, 64);
    world.run_for(Duration::from_millis(1));
    assert_eq!(statuses(&one.done()), [(3, Status::Flushed), (4, Status::Flushed)]);
    assert_eq!(statuses(&other.done()), [(5, Status::Flushed)]);
    let refusals = to.counters().unwrap();
    assert_eq!(refusals.refused(reflex_rdma::Refusal::Access), 1);
    assert_eq!(world.hosts[1].rdma.counters().refused, 1);
    one.assert_whole();
    other.assert_whole();
}

#[test]
fn what_happens_to_a_queue_pair_is_told_even_when_it_has_happened() {
    let world = World::new(5);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let [from, to] = joined(&one, &other, Transport::Reliable);
    let bytes = one.domain.bytes(8).unwrap();
    from.post_send(SendRequest::write(1 << 32, reflex_rdma::RKey(77)).bytes(bytes)).unwrap();
    world.run_for(Duration::from_millis(10));
    let told = |app: &mut App, event| app.events.push(event);
    to.on_event(other.context, Priority::DEFAULT, told).unwrap();
    to.on_event(other.context, Priority::HIGH, told).unwrap();
    world.settle();
    other.host.kernel.state(other.context, |app| assert_eq!(app.events, [Event::AccessRefused]));
}

/// Places in completion queues come back, whether the ring is ever empty or not.
#[test]
fn queue_pairs_come_and_go_without_using_anything_up() {
    let limits = Limits { queue_pairs: 3, queues: 4, regions: 8, connections: 16 };
    let world = World::with(6, limits);
    let [one, _other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let small = one.host.rdma.completion_queue(one.context, 40, Priority::LOW, |_: &mut App, _| {});
    let small = small.unwrap();
    let events = *one.host.live.lock().unwrap();
    let shared = one.domain.shared_receive_queue(8).unwrap();
    let mut last: Option<Pair> = None;
    for round in 0..1000 {
        let builder = one.domain.queue_pair(Transport::Reliable, &small, &small).depth(8, 8);
        let builder = if round % 3 == 0 { builder.shared(&shared) } else { builder };
        let pair = builder.build().unwrap();
        if round % 3 != 0 {
            one.receive(&pair, round, 64);
        }
        pair.fail().unwrap();
        // The one of before is destroyed with a completion of this one's in the ring.
        drop(last.replace(pair));
        if round % 2 == 0 {
            world.settle();
        } else {
            one.host.kernel.run_until_idle();
        }
    }
    drop(last);
    world.settle();
    assert_eq!(*one.host.live.lock().unwrap(), events);
    one.assert_whole();
    // What is refused has taken nothing.
    *one.host.full.lock().unwrap() = true;
    for _ in 0..10 {
        let builder = one.domain.queue_pair(Transport::Reliable, &small, &small).depth(8, 8);
        assert!(matches!(builder.build(), Err(Error::Event(_))));
    }
    *one.host.full.lock().unwrap() = false;
    for _ in 0..10 {
        let builder = one.domain.queue_pair(Transport::Reliable, &one.queue, &small);
        assert_eq!(builder.depth(400, 41).build().err(), Some(Error::CompletionsShort));
    }
    let pairs: Vec<_> = (0..2)
        .map(|_| one.domain.queue_pair(Transport::Reliable, &one.queue, &small).depth(256, 20))
        .map(|builder| builder.build().unwrap())
        .collect();
    assert_eq!(*one.host.live.lock().unwrap(), events + 2);
    drop(pairs);
}

#[test]
fn stale_names_reach_nobody() {
    let world = World::with(7, Limits { queues: 2, ..Limits::default() });
    let host = &world.hosts[0];
    let one = side(host);
    let pair = one.pair(Transport::Reliable);
    let region = one.domain.register(one.domain.bytes(64).unwrap(), Access::REMOTE_READ).unwrap();
    let shared = one.domain.shared_receive_queue(4).unwrap();
    host.kernel.end(one.context);
    world.settle();
    // Another takes the same places.
    let other = side(host);
    let its = other.pair(Transport::Reliable);
    let its_shared = other.domain.shared_receive_queue(4).unwrap();
    assert_eq!(pair.fail(), Err(Error::Gone));
    assert_eq!(pair.counters().err(), Some(Error::Gone));
    assert_eq!(region.read(0, &mut [0]), Err(Error::Gone));
    assert!(matches!(region.again(Access::NONE), Err(Error::Gone)));
    let bytes = || other.domain.bytes(8).unwrap();
    assert_eq!(pair.post_receive(ReceiveRequest::bytes(bytes())).unwrap_err().error, Error::Gone);
    assert_eq!(shared.post_receive(ReceiveRequest::bytes(bytes())).unwrap_err().error, Error::Gone);
    assert!(matches!(one.domain.register(bytes(), Access::NONE), Err(Error::Gone)));
    let mixed = other.domain.queue_pair(Transport::Reliable, &one.queue, &other.queue);
    assert_eq!(mixed.build().err(), Some(Error::Gone));
    let gone = one.domain.queue_pair(Transport::Reliable, &other.queue, &other.queue);
    assert_eq!(gone.build().err(), Some(Error::Gone));
    assert_eq!(one.connections.listen(Transport::Reliable, 7, 1), Err(Error::Gone));
    drop((pair, region, shared));
    world.settle();
    its.fail().unwrap();
    its_shared.post_receive(ReceiveRequest::empty()).unwrap();
    other.assert_whole();
}

#[test]
fn a_context_that_is_given_up_leaves_nothing_behind_and_disturbs_nobody() {
    let world = World::new(8);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let bystander = side(&world.hosts[0]);
    let [from, to] = joined(&bystander, &other, Transport::Reliable);
    for round in 0..20 {
        let doomed = if round == 0 { None } else { Some(side(&world.hosts[0])) };
        let doomed = doomed.as_ref().unwrap_or(&one);
        let [its, theirs] = joined(doomed, &other, Transport::Reliable);
        let region =
            doomed.domain.register(doomed.domain.bytes(512).unwrap(), Access::REMOTE_WRITE);
        let region = region.unwrap();
        let again = region.again(Access::REMOTE_READ).unwrap();
        doomed.receive(&its, 1, 256);
        doomed.send(&its, 2, &[1; 700]);
        let shared = doomed.domain.shared_receive_queue(4).unwrap();
        let bytes = doomed.domain.bytes(100).unwrap();
        shared.post_receive(ReceiveRequest::bytes(bytes)).unwrap();
        let builder = doomed.domain.queue_pair(Transport::Datagram, &doomed.queue, &doomed.queue);
        let taker = builder.shared(&shared).build().unwrap();
        let bytes = other.host.bytes(&other.domain, &[1; 8]);
        let key = region.key();
        theirs.post_send(SendRequest::write(region.address(), key).bytes(bytes).id(9)).unwrap();
        match round % 3 {
            // Before the port has looked at anything,
            0 => {}
            // in the middle,
            1 => world.hosts[0].kernel.run_until_idle(),
            // or afterwards.
            _ => world.settle(),
        }
        doomed.host.kernel.end(doomed.context);
        world.run_for(Duration::from_millis(200));
        doomed.assert_whole();
        // What it held are names of things that are gone.
        drop((its, region, again, taker, shared));
        drop(theirs);
        other.receive(&to, 3, 64);
        bystander.send(&from, 4, b"still here");
        world.run_for(Duration::from_millis(5));
        let bystanders = bystander.done();
        assert_eq!(bystanders, [(4, Kind::Send, Status::Success, b"still here".to_vec())]);
        let others = other.done();
        let received = others.iter().find(|it| it.0 == 3).unwrap();
        assert_eq!(received.3, b"still here");
        assert!(others.iter().any(|it| it.0 == 9), "its work is told of: {others:?}");
    }
    other.assert_whole();
    bystander.assert_whole();
    // Three of the port's own, and the bystander's.
    assert_eq!(*world.hosts[0].live.lock().unwrap(), 4);
}

#[test]
fn a_queue_for_solicited_completions_waits_for_them() {
    let world = World::new(11);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let note = |app: &mut App, done: &mut Completion| {
        app.done.push((done.id, done.kind, done.status, done.bytes().to_vec()));
    };
    let quiet = other.host.rdma.completion_queue(other.context, 64, Priority::DEFAULT, note);
    let quiet = quiet.unwrap().solicited_only();
    let builder = other.domain.queue_pair(Transport::Reliable, &other.queue, &quiet);
    let to = builder.depth(4, 16).build().unwrap();
    let from = one.pair(Transport::Reliable);
    from.establish(peer(&other, &to)).unwrap();
    to.establish(peer(&one, &from)).unwrap();
    let ids = || other.done().iter().map(|done| done.0).collect::<Vec<_>>();
    (0..5).for_each(|id| other.receive(&to, id, 16));
    one.send(&from, 0, b"a");
    one.send(&from, 1, b"b");
    world.run_for(Duration::from_millis(1));
    assert_eq!(ids(), []);
    let bytes = one.host.bytes(&one.domain, b"c");
    from.post_send(SendRequest::message().bytes(bytes).solicited()).unwrap();
    world.run_for(Duration::from_millis(1));
    assert_eq!(ids(), [0, 1, 2]);
    one.send(&from, 3, b"d");
    world.run_for(Duration::from_millis(1));
    assert_eq!(ids(), []);
    quiet.hand_over();
    world.settle();
    assert_eq!(ids(), [3]);
    // A failure is told of at once.
    to.fail().unwrap();
    world.settle();
    assert_eq!(ids(), [4]);
}

#[test]
fn a_shared_receive_queue_tells_when_it_runs_low() {
    let world = World::new(12);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let shared = other.domain.shared_receive_queue(8).unwrap();
    let builder = other.domain.queue_pair(Transport::Reliable, &other.queue, &other.queue);
    let to = builder.shared(&shared).build().unwrap();
    let from = one.pair(Transport::Reliable);
    from.establish(peer(&other, &to)).unwrap();
    to.establish(peer(&one, &from)).unwrap();
    let low = |app: &mut App| app.events.push(Event::ReceiveLimitReached);
    shared.on_limit(other.context, Priority::HIGH, 3, low).unwrap();
    let fill = || {
        let bytes = other.domain.bytes(16).unwrap();
        shared.post_receive(ReceiveRequest::bytes(bytes)).unwrap();
    };
    let told = || other.host.kernel.state(other.context, |app| app.events.len());
    (0..4).for_each(|_| fill());
    let send = || {
        one.send(&from, 0, b"x");
        world.run_for(Duration::from_millis(1));
    };
    send();
    assert_eq!(told(), 0);
    send();
    send();
    assert_eq!(told(), 1);
    shared.arm(3).unwrap();
    (0..3).for_each(|_| fill());
    send();
    assert_eq!(told(), 1);
    send();
    assert_eq!(told(), 2);
    assert_eq!(other.done().len(), 5);
}

/// Frames that wait for a queue pair's priority lie in the device's buffers: all of them together are
/// bounded, and those of a queue pair that ends count no longer.
#[test]
fn frames_that_wait_are_bounded_and_given_back() {
    let world = World::new(13);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    other.host.wire.lock().unwrap().level = 63;
    let low = |side: &Side<'_>| {
        let pair = side.domain.queue_pair(Transport::Datagram, &side.queue, &side.queue);
        pair.priority(Priority::LOW).depth(8, 32).build().unwrap()
    };
    let from = one.pair(Transport::Datagram);
    let frames = |to: &Pair| {
        for _ in 0..32 {
            let bytes = one.domain.bytes(8).unwrap();
            let datagram = SendRequest::message().bytes(bytes).unsignalled();
            let to = datagram.to(other.host.address, to.number(), QKey::IP_CM);
            if from.post_send(to).is_err() {
                one.host.kernel.run_until_idle();
            }
        }
        one.host.kernel.run_until_idle();
        one.host.sent()
    };
    for _ in 0..20 {
        let doomed = side(other.host);
        let pair = low(&doomed);
        let waiting = frames(&pair);
        assert!(waiting.len() > 20);
        waiting.iter().for_each(|frame| other.host.inject(frame));
        doomed.host.kernel.end(doomed.context);
        other.host.kernel.run_until_idle();
        assert_eq!(other.host.frames.available(), other.host.frames_free);
    }
    assert_eq!(other.host.rdma.counters().queue_full, 0);
    // More than there are places for, of any one queue pair and of all.
    let pairs: Vec<Pair> = (0..12).map(|_| low(&other)).collect();
    pairs.iter().flat_map(&frames).for_each(|frame| other.host.inject(&frame));
    other.host.kernel.run_until_idle();
    let counters = other.host.rdma.counters();
    assert!(counters.queue_full > 0, "{counters:?}");
    assert_eq!(other.host.frames.available(), other.host.frames_free);
}

/// A handler that answers each flushed receive by another preempts the port while it flushes.
#[test]
fn receives_posted_while_a_queue_pair_fails_are_flushed_too() {
    #[derive(Default)]
    struct Stubborn {
        own: Option<(Pair, Domain)>,
        left: u32,
        flushed: u32,
    }
    let world = World::new(14);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let host = other.host;
    let context = host.kernel.context(Stubborn::default(), 1 << 18);
    let domain = host.rdma.domain(context).unwrap();
    let again = |state: &mut Stubborn, done: &mut Completion| {
        assert_eq!(done.status, Status::Flushed);
        state.flushed += 1;
        if state.left > 0 {
            state.left -= 1;
            let (pair, domain) = state.own.as_ref().unwrap();
            pair.post_receive(ReceiveRequest::bytes(domain.bytes(16).unwrap())).unwrap();
        }
    };
    let queue = host.rdma.completion_queue(context, 64, Priority::HIGH, again).unwrap();
    let builder = domain.queue_pair(Transport::Reliable, &queue, &queue).depth(8, 8);
    let pair = builder.build().unwrap();
    let from = one.pair(Transport::Reliable);
    from.establish(peer(&other, &pair)).unwrap();
    pair.establish(peer(&one, &from)).unwrap();
    pair.post_receive(ReceiveRequest::bytes(domain.bytes(16).unwrap())).unwrap();
    world.settle();
    host.kernel.state(context, |state| {
        *state = Stubborn { own: Some((pair, domain)), left: 5, flushed: 0 };
    });
    // The peer asks for what it may not have.
    let bytes = one.domain.bytes(8).unwrap();
    from.post_send(SendRequest::write(1 << 32, reflex_rdma::RKey(77)).bytes(bytes)).unwrap();
    world.run_for(Duration::from_millis(5));
    host.kernel.state(context, |state| assert_eq!((state.left, state.flushed), (0, 6)));
}

#[test]
fn datagrams_go_on_after_one_without_its_region() {
    let world = World::new(17);
    let [one, other] = [side(&world.hosts[0]), side(&world.hosts[1])];
    let [from, to] = [one.pair(Transport::Datagram), other.pair(Transport::Datagram)];
    let region = one.domain.register(one.domain.bytes(64).unwrap(), Access::NONE).unwrap();
    let slice = region.slice(0..64).unwrap();
    let send = |id, send: SendRequest| {
        let send = send.to(other.host.address, to.number(), QKey::IP_CM).id(id);
        from.post_send(send).unwrap();
    };
    let statuses = || one.done().iter().map(|it| (it.0, it.2)).collect::<Vec<_>>();
    let bytes = |text| SendRequest::message().bytes(one.host.bytes(&one.domain, text));
    send(1, SendRequest::message().slice(slice));
    send(2, bytes(b"behind it"));
    drop(region);
    world.settle();
    assert_eq!(statuses(), [(1, Status::LocalProtection), (2, Status::Flushed)]);
    send(3, bytes(b"flushed"));
    world.settle();
    assert_eq!(statuses(), [(3, Status::Flushed)]);
    from.resume().unwrap();
    other.receive(&to, 9, 64 + 40);
    send(4, bytes(b"again"));
    world.run_for(Duration::from_millis(1));
    assert_eq!(statuses(), [(4, Status::Success)]);
    assert_eq!(other.done(), [(9, Kind::Receive, Status::Success, b"again".to_vec())]);
    // What is gone already is refused.
    let late = SendRequest::message().slice(slice).to(other.host.address, to.number(), QKey::IP_CM);
    assert_eq!(from.post_send(late).unwrap_err().error, Error::OtherDomain);
}
