//! Many connections: limits, recycling, and no heap in the steady state.

use crate::common;
use common::{Noting, World, at, pattern};
use reflex_net::Error;
use reflex_testkit::{CountingAllocator, Trace};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn two_thousand_connections_at_once_each_get_their_own_answer() {
    const COUNT: u32 = 2000;
    let world = World::with(1, 4096, |config| config.frames = 8192);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = server.kernel.context(Noting::echo("s", &trace), 32 << 20);
    let listening = server.net.listen(7).connections(COUNT).backlog(COUNT).buffers(2048, 2048);
    let listener = listening.serve(echo).unwrap();
    let sender = client.kernel.context(Noting::new("c", &trace), 32 << 20);
    let connector = client.net.connector().connections(COUNT).buffers(2048, 2048);
    let connector = connector.serve(sender).unwrap();
    let connections: Vec<_> =
        (0..COUNT).map(|_| connector.connect(at(server, 7)).unwrap()).collect();
    let all = world.run_until(MINUTE, |_| {
        client.kernel.state(sender, |state| state.connected == COUNT as usize)
    });
    assert!(all);
    assert_eq!(connector.connect(at(server, 7)), Err(Error::LimitReached));
    for (number, connection) in connections.iter().enumerate() {
        let text = format!("connection {number}");
        assert_eq!(connection.send(text.as_bytes()), Ok(text.len()));
    }
    let answered = |state: &mut Noting| {
        let right = |connection: &common::SimConnection, number: usize| {
            state.received[connection.slot()] == format!("connection {number}").as_bytes()
        };
        connections.iter().enumerate().all(|(number, connection)| right(connection, number))
    };
    assert!(world.run_until(MINUTE, |_| client.kernel.state(sender, answered)));
    for connection in &connections {
        connection.finish();
    }
    let ended = world
        .run_until(MINUTE, |_| server.kernel.state(echo, |state| state.ended == COUNT as usize));
    assert!(ended);
    assert_eq!(listener.peak(), COUNT);
    assert_eq!(server.net.counters().limit_reached, 0);
}

/// G-1: no handler runs for connections on which nothing happens, however many and for however long.
#[test]
fn idle_connections_cost_nothing() {
    const COUNT: u32 = 500;
    const HOUR: Duration = Duration::from_secs(3600);
    let world = World::with(9, 4096, |config| config.frames = 8192);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = server.kernel.context(Noting::echo("s", &trace), 32 << 20);
    let listening = server.net.listen(7).connections(COUNT).backlog(COUNT).buffers(2048, 2048);
    let _listener = listening.serve(echo).unwrap();
    let sender = client.kernel.context(Noting::new("c", &trace), 32 << 20);
    let connector = client.net.connector().connections(COUNT).buffers(2048, 2048);
    let connector = connector.serve(sender).unwrap();
    let connections: Vec<_> =
        (0..COUNT).map(|_| connector.connect(at(server, 7)).unwrap()).collect();
    let connected =
        |_: &World| client.kernel.state(sender, |state| state.connected == COUNT as usize);
    assert!(world.run_until(MINUTE, connected));
    // What belongs to opening them comes to its end.
    world.run_for(2 * MINUTE);
    let before = [server.kernel.runs(), client.kernel.runs()];
    world.run_for(HOUR);
    assert_eq!([server.kernel.runs(), client.kernel.runs()], before);
    // They still work.
    assert_eq!(connections[0].send(b"hello"), Ok(5));
    let answered = |state: &mut Noting| state.received[connections[0].slot()] == b"hello";
    assert!(world.run_until(MINUTE, |_| client.kernel.state(sender, answered)));
}

#[test]
fn the_limit_holds_and_freed_places_are_used() {
    let world = World::new(2);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = server.kernel.context(Noting::echo("s", &trace), 1 << 20);
    server.net.listen(7).connections(3).serve(echo).unwrap();
    let sender = client.kernel.context(Noting::new("c", &trace), 1 << 20);
    let connector = client.net.connector().serve(sender).unwrap();
    let connect = || connector.connect(at(server, 7)).unwrap();
    let connections: Vec<_> = (0..5).map(|_| connect()).collect();
    world.run_for(Duration::from_millis(500));
    client.kernel.state(sender, |state| assert_eq!(state.connected, 3));
    assert!(server.net.counters().limit_reached >= 2);
    // The two that wait get the places of those that go.
    connections[0].finish();
    connections[1].finish();
    let all =
        world.run_until(MINUTE, |_| client.kernel.state(sender, |state| state.connected == 5));
    assert!(all);
}

#[test]
fn the_backlog_holds() {
    let world = World::new(3);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = server.kernel.context(Noting::echo("s", &trace), 1 << 20);
    let listener = server.net.listen(7).backlog(2).serve(echo).unwrap();
    let sender = client.kernel.context(Noting::new("c", &trace), 1 << 20);
    let connector = client.net.connector().serve(sender).unwrap();
    // Nothing the server sends arrives, so that all stay half open.
    server.wire.set_faults(reflex_testkit::Faults { lost: 100, ..Default::default() });
    client.exchange_arp(&world, server);
    for _ in 0..6 {
        connector.connect(at(server, 7)).unwrap();
    }
    world.run_for(Duration::from_millis(500));
    assert_eq!(listener.half_open(), 2);
    assert_eq!(server.net.counters().backlog_full, 4);
    server.wire.set_faults(reflex_testkit::Faults::default());
    let all =
        world.run_until(MINUTE, |_| client.kernel.state(sender, |state| state.connected == 6));
    assert!(all);
}

#[test]
fn accept_serve_and_close_make_no_call_to_the_heap() {
    let world = World::new(4);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = Counting::default();
    let echo = server.kernel.context(echo, 1 << 20);
    let listener = server.net.listen(7).connections(8).serve(echo).unwrap();
    let sender = client.kernel.context(Counting::default(), 1 << 20);
    let connector = client.net.connector().connections(8).serve(sender).unwrap();
    let mut calls = Vec::new();
    for _ in 0..40 {
        let before = CountingAllocator::calls();
        for _ in 0..4 {
            connector.connect(at(server, 7)).unwrap();
        }
        // Long enough for TIME-WAIT, the handlers close when they have the answer.
        world.run_for(Duration::from_secs(15));
        calls.push(CountingAllocator::calls() - before);
    }
    client.kernel.state(sender, |state| assert_eq!((state.ended, state.bytes), (160, 160 * 5)));
    server.kernel.state(echo, |state| assert_eq!((state.ended, state.bytes), (160, 160 * 5)));
    assert!(listener.peak() <= 8);
    assert_eq!(calls[20..], [0; 20], "calls by round: {calls:?}");
    assert!(calls[0] > 0, "the allocator does not count");
    assert!(trace.take().is_empty());
    assert_eq!(pattern(0, 0), []);
}

/// Counts, and touches no heap: sends five bytes, or sends back what comes; the client closes.
#[derive(Default)]
struct Counting {
    bytes: usize,
    ended: usize,
    client: bool,
}

impl reflex_net::TcpService<reflex_testkit::SimKernel> for Counting {
    fn connected(&mut self, connection: &common::SimConnection) {
        self.client = true;
        assert_eq!(connection.send(b"hello"), Ok(5));
    }

    fn received(&mut self, connection: &common::SimConnection) {
        let mut bytes = [0; 16];
        let count = connection.receive(|received| {
            bytes[..received.len()].copy_from_slice(received);
            received.len()
        });
        let count = count.unwrap();
        self.bytes += count;
        if self.client {
            connection.finish();
        } else {
            assert_eq!(connection.send(&bytes[..count]), Ok(count));
        }
    }

    fn ended(&mut self, _: &common::SimConnection) {
        self.ended += 1;
    }
}

/// Whatever peers and applications do to their connections, every place comes back.
#[test]
fn no_place_is_ever_lost() {
    use reflex_testkit::{Faults, Random};
    for seed in 0..12 {
        let world = World::new(100 + seed);
        let [server, client] = &world.hosts;
        let trace = Trace::default();
        let echo = server.kernel.context(Noting::echo("s", &trace), 1 << 20);
        // A reset may be lost: only a probe then finds out that the peer is gone.
        let probe = Duration::from_secs(10);
        let listening = server.net.listen(7).connections(12).backlog(6).keep_alive(probe);
        let listener = listening.serve(echo).unwrap();
        let talker = Noting { greeting: pattern(3000, seed), ..Noting::new("c", &trace) };
        let talker = client.kernel.context(talker, 1 << 20);
        let connector =
            client.net.connector().connections(16).keep_alive(probe).serve(talker).unwrap();
        world.set_faults(Faults {
            lost: 8,
            repeated: 3,
            delayed: 10,
            damaged: 1,
            ..Faults::default()
        });
        let mut random = Random::new(seed);
        let mut handles = Vec::new();
        for _ in 0..120 {
            match random.below(6) {
                0 | 1 => handles.extend(connector.connect(at(server, 7))),
                2 => handles.extend(server.kernel.state(echo, |state| state.last.clone())),
                action => {
                    if handles.is_empty() {
                        continue;
                    }
                    let at = random.below(handles.len() as u64) as usize;
                    let handle: &common::SimConnection = &handles[at];
                    match action {
                        3 => handle.finish(),
                        4 => handle.abort(),
                        _ => drop(handle.send(&pattern(random.below(9000) as usize, seed))),
                    }
                }
            }
            world.run_for(Duration::from_millis(random.below(3000)));
        }
        world.set_faults(Faults::default());
        for handle in &handles {
            handle.finish();
        }
        world.run_for(Duration::from_secs(300));
        let counters = world.hosts.each_ref().map(|host| host.net.counters());
        assert_eq!(counters[0].half_open, 0, "seed {seed}");
        assert_eq!(counters[0].accepted, counters[0].ended + counters[0].failed, "seed {seed}");
        assert!(counters[0].accepted > 5, "seed {seed}: {counters:?}");
        // All places of both sides are free again: as many connections succeed.
        let before = client.kernel.state(talker, |state| state.connected);
        for _ in 0..12 {
            connector.connect(at(server, 7)).unwrap();
        }
        let all = world.run_until(MINUTE, |_| {
            client.kernel.state(talker, |state| state.connected == before + 12)
        });
        assert!(all, "seed {seed}: {:?}", server.net.counters());
        assert!(listener.peak() <= 12);
    }
}
