//! Bulk transfers between two stacks over good and bad wires.

use crate::common;
use common::{Noting, World, at, pattern};
use reflex_testkit::{Faults, Trace};
use std::time::Duration;

const MEGABYTE: usize = 1 << 20;

/// The client sends a megabyte, the server echoes it, the client closes.
fn both_ways(seed: u64, faults: Faults) {
    let world = World::new(seed);
    world.set_faults(faults);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = server.kernel.context(Noting::echo("server", &trace), 1 << 20);
    server.net.listen(7).buffers(16384, 16384).serve(echo).unwrap();
    let data = pattern(MEGABYTE, seed);
    let mut sender = Noting::new("client", &trace);
    sender.greeting = data.clone();
    let sender = client.kernel.context(sender, 1 << 20);
    let connector = client.net.connector().buffers(16384, 16384).serve(sender).unwrap();
    let connection = connector.connect(at(server, 7)).unwrap();

    let limit = Duration::from_secs(3600);
    let done = world.run_until(limit, |_| {
        client.kernel.state(sender, |state| {
            state.received.first().is_some_and(|received| received.len() >= MEGABYTE)
        })
    });
    let received = client.kernel.state(sender, |state| state.received.clone());
    let length = received.first().map_or(0, Vec::len);
    assert!(done, "seed {seed}: {length} bytes came back; {:?}", client.net.counters());
    assert!(received[0] == data, "seed {seed}: the bytes are not the same");
    connection.finish();
    let over = world.run_until(limit, |_| {
        client.kernel.state(sender, |state| state.ended) == 1
            && server.kernel.state(echo, |state| state.ended) == 1
    });
    assert!(over, "seed {seed}: the connection does not end");
    for host in &world.hosts {
        let counters = host.net.counters();
        assert_eq!((counters.ended, counters.failed), (1, 0), "seed {seed}");
    }
}

#[test]
fn a_megabyte_both_ways_over_a_good_wire() {
    both_ways(1, Faults::default());
}

#[test]
fn a_megabyte_both_ways_with_one_frame_in_twenty_lost() {
    for seed in 0..48 {
        both_ways(seed, Faults { lost: 5, ..Faults::default() });
    }
}

/// Where all time-outs were of a second, or of 200 ms, these took some forty seconds each.
#[test]
fn a_megabyte_with_a_fifth_of_the_frames_lost_takes_some_ten_seconds() {
    let mut took = Duration::ZERO;
    for seed in 0..10 {
        let world = World::new(seed);
        world.set_faults(Faults { lost: 20, ..Faults::default() });
        let [server, client] = &world.hosts;
        let trace = Trace::default();
        let sink = server.kernel.context(Noting::new("server", &trace), 1 << 20);
        server.net.listen(7).buffers(16384, 16384).serve(sink).unwrap();
        let data = pattern(MEGABYTE, seed);
        let sender = Noting { greeting: data.clone(), ..Noting::new("client", &trace) };
        let sender = client.kernel.context(sender, 1 << 20);
        let connector = client.net.connector().buffers(16384, 16384).serve(sender).unwrap();
        let begun = world.clock.now();
        connector.connect(at(server, 7)).unwrap();
        let received = || {
            server.kernel.state(sink, |state| state.received.first().cloned().unwrap_or_default())
        };
        let all = world.run_until(Duration::from_secs(600), |_| received().len() >= MEGABYTE);
        assert!(all && received() == data, "seed {seed}: {} bytes", received().len());
        took += world.clock.now().since(begun);
    }
    assert!(took <= Duration::from_secs(150), "{took:?} for ten");
}

#[test]
fn a_megabyte_both_ways_with_frames_overtaking_each_other() {
    for seed in 0..48 {
        both_ways(seed, Faults { delayed: 20, ..Faults::default() });
    }
}

#[test]
fn a_megabyte_both_ways_with_frames_repeated_damaged_and_lost() {
    for seed in 0..48 {
        let faults = Faults { repeated: 5, damaged: 2, lost: 1, ..Faults::default() };
        both_ways(seed, faults);
    }
}

#[test]
fn a_megabyte_both_ways_with_two_transmit_buffers() {
    let seed = 11;
    let world = World::with(seed, 2, |_| {});
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = server.kernel.context(Noting::echo("server", &trace), 1 << 20);
    server.net.listen(7).serve(echo).unwrap();
    let data = pattern(MEGABYTE, seed);
    let sender = Noting { greeting: data.clone(), ..Noting::new("client", &trace) };
    let sender = client.kernel.context(sender, 1 << 20);
    let connector = client.net.connector().serve(sender).unwrap();
    connector.connect(at(server, 7)).unwrap();
    let done = world.run_until(Duration::from_secs(3600), |_| {
        client.kernel.state(sender, |state| {
            state.received.first().is_some_and(|received| received.len() >= MEGABYTE)
        })
    });
    assert!(done);
    client.kernel.state(sender, |state| assert!(state.received[0] == data));
    let full: u64 = world.hosts.iter().map(|host| host.net.counters().transmit_full).sum();
    assert!(full > 0, "the rings were never full: the test tests nothing");
}
