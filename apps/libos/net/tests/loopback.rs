//! The loopback beside the wire: nothing comes in its name from there, and nothing of it gets out.

use crate::common::{FRAGMENTS, Noting, raw};
use reflex_event::{EventSystem, Instant, Priority};
use reflex_net::{Address, Config, ConflictDetection, Loopback, Net};
use reflex_testkit::{Arrivals, Clock, Nic, Receiver, SimKernel, Trace, Wire, pool};
use std::net::{Ipv4Addr, SocketAddrV4};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

struct Machine {
    kernel: SimKernel,
    net: Net<SimKernel>,
    arrivals: Arrivals,
    wire: Wire,
    received: reflex_event::EventId,
}

fn machine(looped: bool) -> Machine {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let kernel = SimKernel::new(clock.clone(), 1);
    let (nic, wire) = Nic::new(MAC, 64, pool(1 << 20), clock, 1);
    let (receiver, arrivals) = Receiver::new();
    let mut config = Config::new(Address::Static { address: OWN, prefix: 24, gateway: None });
    config.fragments = Some(pool(FRAGMENTS));
    config.conflict_detection = ConflictDetection::Off;
    config.loopback = looped;
    let loopback = Loopback::new(pool(1 << 18));
    let (receive, transmit) = match looped {
        true => loopback.around(Box::new(receiver), Box::new(nic)),
        false => (Box::new(receiver) as _, Box::new(nic) as _),
    };
    let (net, stack) = Net::new(kernel.clone(), receive, transmit, &config);
    let stack = kernel.context(stack, 16 << 20);
    let received = net.start(stack, Priority::DEFAULT).unwrap().received;
    let woken = kernel.clone();
    loopback.wake_by(move || woken.activate(received, 1).unwrap());
    kernel.activate(received, 1).unwrap();
    kernel.run_until_idle();
    Machine { kernel, net, arrivals, wire, received }
}

/// A service at port 7, and a connection to it from inside, by `to`.
fn call(machine: &Machine, to: Ipv4Addr) -> (usize, usize) {
    let Machine { kernel, net, .. } = machine;
    let trace = Trace::default();
    let service = kernel.context(Noting::echo("service", &trace), 1 << 20);
    net.listen(7).serve(service).unwrap();
    let mut noting = Noting::new("client", &trace);
    noting.greeting = vec![1; 5_000];
    let client = kernel.context(noting, 1 << 20);
    let connector = net.connector().serve(client).unwrap();
    connector.connect(SocketAddrV4::new(to, 7)).unwrap();
    kernel.run_until_idle();
    let accepted = kernel.state(service, |service| service.accepted);
    let heard = kernel.state(client, |client| client.received.iter().map(Vec::len).sum());
    (accepted, heard)
}

#[test]
fn what_goes_round_does_not_go_out() {
    for to in [Ipv4Addr::LOCALHOST, OWN] {
        let machine = machine(true);
        let sent = machine.wire.counters().frames;
        assert_eq!(call(&machine, to), (1, 5_000), "{to}");
        assert_eq!(machine.wire.counters().frames, sent, "{to}");
    }
    // Nor does it where nothing goes round.
    let without = machine(false);
    let sent = without.wire.counters().frames;
    assert_eq!(call(&without, Ipv4Addr::LOCALHOST), (0, 0));
    assert_eq!(without.wire.counters().frames, sent);
}

/// A datagram from there arrives, for port 7.
fn datagram(machine: &Machine, from: Ipv4Addr, to: Ipv4Addr, tag: &[u8]) {
    let mut frame = raw::udp_from(from, MAC, to, (1000, 7), b"martian");
    frame.splice(12..12, tag.iter().copied());
    if machine.arrivals.push(machine.wire.frame(&frame)) {
        machine.kernel.activate(machine.received, 1).unwrap();
    }
    machine.kernel.run_until_idle();
}

#[test]
fn nothing_comes_from_the_wire_in_its_name() {
    let neighbour = Ipv4Addr::new(10, 0, 0, 1);
    for looped in [true, false] {
        let machine = machine(looped);
        let sent = machine.wire.counters().frames;
        for (from, to) in [
            (Ipv4Addr::LOCALHOST, OWN),
            (Ipv4Addr::new(127, 9, 9, 9), OWN),
            (neighbour, Ipv4Addr::LOCALHOST),
        ] {
            // With a priority, and without.
            for tag in [&[][..], &[0x81, 0, 0xe0, 0]] {
                datagram(&machine, from, to, tag);
                assert_eq!(machine.net.counters().others, 0, "{from} to {to}, {looped}, {tag:?}");
            }
        }
        assert_eq!(machine.wire.counters().frames, sent);
        // One that is no martian is heard.
        datagram(&machine, neighbour, OWN, &[]);
        datagram(&machine, neighbour, OWN, &[0x81, 0, 0xe0, 0]);
        assert_eq!(machine.net.counters().others, 2);
    }
}
