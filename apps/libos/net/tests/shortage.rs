//! Full transmit rings, absent neighbours, exhausted memory, silence.

use crate::common;
use common::raw::{ACK, RST, SYN, Segment, arp, introduce, segments};
use common::{Host, Noting, World, at, pattern};
use reflex_event::{Instant, Priority};
use reflex_net::{Address, Config, Error, Net};
use reflex_testkit::{Clock, Nic, Receiver, SimKernel, Trace, pool};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn nothing_is_lost_while_the_device_stands_still() {
    let world = World::with(1, 4, |_| {});
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = server.kernel.context(Noting::echo("s", &trace), 1 << 20);
    server.net.listen(7).serve(echo).unwrap();
    let data = pattern(8000, 1);
    let talker = Noting { greeting: data.clone(), ..Noting::new("c", &trace) };
    let talker = client.kernel.context(talker, 1 << 20);
    let connector = client.net.connector().serve(talker).unwrap();
    for _ in 0..20 {
        connector.connect(at(server, 7)).unwrap();
    }
    let connected = |_: &World| client.kernel.state(talker, |state| state.connected == 20);
    assert!(world.run_until(MINUTE, connected));
    server.wire.stall(true);
    world.run_for(Duration::from_millis(300));
    assert!(server.net.counters().transmit_full > 0);
    let sent = server.net.counters().sent;
    world.run_for(Duration::from_millis(100));
    assert_eq!(server.net.counters().sent, sent, "the ring was not full");
    server.wire.stall(false);
    let done = world.run_until(MINUTE, |_| {
        client.kernel.state(talker, |state| {
            state.received.iter().filter(|received| received.len() == data.len()).count() == 20
        })
    });
    assert!(done, "{:?}", server.net.counters());
    client.kernel.state(talker, |state| {
        assert!(state.received.iter().all(|received| *received == data));
    });
    assert_eq!(server.net.counters().replies_dropped, 0);
}

fn lone() -> (Clock, Host, Trace) {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 3);
    host.sent(&clock);
    (clock, host, Trace::default())
}

#[test]
fn a_connection_waits_for_its_neighbour_and_gives_up_in_the_end() {
    let (clock, host, trace) = lone();
    let service = host.kernel.context(Noting::new("c", &trace), 1 << 20);
    let connector = host.net.connector().serve(service).unwrap();
    let there = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 50), 80);
    connector.connect(there).unwrap();
    host.kernel.run_until_idle();
    let sent = host.pass(&clock, Duration::from_millis(1500));
    assert_eq!(sent.len(), 2, "asked for twice, and no segment: {sent:?}");
    let mac = [2, 5, 5, 5, 5, 5];
    let sent =
        host.exchange(&clock, &arp(host.mac, 2, (mac, *there.ip()), (host.mac, host.address)));
    assert_eq!((segments(&sent)[0].flags, &sent[0][..6]), (SYN, &mac[..]), "sent at once");

    let nowhere = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 51), 80);
    connector.connect(nowhere).unwrap();
    host.kernel.run_until_idle();
    host.pass(&clock, Duration::from_secs(40));
    assert_eq!(trace.take(), ["c failed: the peer does not answer"; 2]);
    assert!(host.net.counters().unreachable > 0);
}

#[test]
fn without_a_gateway_far_peers_are_not_reached() {
    let clock = Clock::default();
    let host = Host::with(&clock, 1, 3, 16, |config| {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        config.address = Address::Static { address, prefix: 24, gateway: None };
    });
    let trace = Trace::default();
    let service = host.kernel.context(Noting::new("c", &trace), 1 << 20);
    let connector = host.net.connector().serve(service).unwrap();
    host.sent(&clock);
    connector.connect("192.0.2.1:80".parse().unwrap()).unwrap();
    host.kernel.run_until_idle();
    assert!(host.pass(&clock, MINUTE).is_empty());
    assert_eq!(trace.take(), ["c failed: the peer does not answer"]);
}

#[test]
fn exhausted_memory_refuses_connections_and_says_so() {
    let (clock, host, trace) = lone();
    host.exchange(&clock, &introduce(host.address));
    // Room for about three connections of 12 KiB of buffers.
    let service = host.kernel.context(Noting::new("s", &trace), 64 << 10);
    host.net.listen(80).connections(100).serve(service).unwrap();
    let mut answered = 0;
    for port in 4000..4020 {
        let syn = Segment::new(port, 80, SYN, 1, 0).frame(host.mac, host.address);
        answered += segments(&host.exchange(&clock, &syn)).len();
    }
    let counters = host.net.counters();
    assert!((1..10).contains(&answered), "{answered}");
    assert_eq!(counters.no_memory, 20 - answered as u64);
    // Those that are given up make room.
    for port in 4000..4020 {
        let reset = Segment::new(port, 80, RST, 2, 0).frame(host.mac, host.address);
        host.exchange(&clock, &reset);
    }
    let syn = Segment::new(5000, 80, SYN, 1, 0).frame(host.mac, host.address);
    assert_eq!(segments(&host.exchange(&clock, &syn)).len(), 1);
}

#[test]
fn silence_ends_connections_that_ask_for_signs_of_life() {
    let (clock, host, trace) = lone();
    host.exchange(&clock, &introduce(host.address));
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    host.net.listen(80).keep_alive(Duration::from_secs(10)).serve(service).unwrap();
    let feed =
        |segment: Segment| segments(&host.exchange(&clock, &segment.frame(host.mac, host.address)));
    let ack = feed(Segment::new(4000, 80, SYN, 1000, 0))[0].sequence + 1;
    feed(Segment::new(4000, 80, ACK, 1001, ack));
    // As long as the peer answers, all is well.
    for _ in 0..10 {
        host.exchange(&clock, &introduce(host.address));
        let probes = segments(&host.pass(&clock, Duration::from_secs(11)));
        assert_eq!(probes[0].sequence, ack - 1, "a probe");
        feed(Segment::new(4000, 80, ACK, 1001, ack));
    }
    assert_eq!(trace.take(), ["s accepted"]);
    host.exchange(&clock, &introduce(host.address));
    let last = segments(&host.pass(&clock, Duration::from_secs(45)));
    assert_eq!(last.last().unwrap().flags & RST, RST);
    assert_eq!(trace.take(), ["s failed: the peer does not answer"]);
}

#[test]
fn parameters_out_of_range_are_refused() {
    let (_, host, trace) = lone();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    let bad = Some(Error::BadParameter);
    assert_eq!(host.net.listen(0).serve(service).err(), bad);
    assert_eq!(host.net.listen(80).connections(0).serve(service).err(), bad);
    assert_eq!(host.net.listen(80).backlog(0).serve(service).err(), bad);
    assert_eq!(host.net.listen(80).buffers(0, 1).serve(service).err(), bad);
    let listener = host.net.listen(80).serve(service).unwrap();
    assert_eq!(host.net.listen(80).serve(service).err(), Some(Error::PortInUse));
    listener.close();
    assert!(host.net.listen(80).serve(service).is_ok());

    let clock = Clock::default();
    let kernel = SimKernel::new(clock.clone(), 1);
    let (nic, _) = Nic::new([2; 6], 4, pool(1 << 16), clock, 1);
    let config = Config::new(Address::Dhcp);
    let (receiver, _) = Receiver::new();
    let (net, _stack) = Net::new(kernel.clone(), Box::new(receiver), Box::new(nic), &config);
    let service = kernel.context(Noting::default(), 1 << 16);
    let early = net.listen(80).priority(Priority::LOW).serve(service);
    assert_eq!(early.err(), Some(Error::NotStarted));
}
