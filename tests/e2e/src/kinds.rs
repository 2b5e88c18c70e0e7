//! Event kinds that real clients bring about: TCP, UDP and the console (K-9, A-3.1.2, G-3).

use crate::echo::{tcp_echoes, udp_echoes};
use crate::guest::{Guest, PATIENCE, machine, tap, user};
use reflex_qemu::machine::Network;
use reflex_qemu::protocol::Protocol;
use std::thread;

/// The image keeps so little for its handlers that every source is held up again and again.
#[test]
fn typed_events_of_three_kinds_lose_nothing() {
    let ports = [(Protocol::Tcp, 7), (Protocol::Udp, 7)];
    let mut guest = Guest::start(machine("guest-kinds").network(user(&ports)));
    let running = &mut guest.running;
    running.wait_for_input(PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    for line in ["one", "", "a line that is longer than what is told at a time, and so on"] {
        running.send_line(line).expect("the guest takes it");
        let text = format!("typed: {line}");
        running.wait_for_text(&text, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    }
    let server = guest.endpoint(Protocol::Tcp, 7);
    for _ in 0..6 {
        tcp_echoes(server);
    }
    udp_echoes(guest.endpoint(Protocol::Udp, 7));
    end(guest);
}

/// All at once, and then in places that have been used. Over a tap, since QEMU's user network takes
/// hardly more than one new connection at a time, and resets others.
#[test]
fn typed_events_of_many_connections_lose_nothing() {
    let Some(tap) = tap() else { return };
    let mut guest = Guest::start(machine("guest-kinds").network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 7);
    for _ in 0..3 {
        let clients: Vec<_> = (0..12).map(|_| thread::spawn(move || tcp_echoes(server))).collect();
        clients.into_iter().for_each(|client| client.join().expect("it was echoed"));
    }
    end(guest);
}

fn end(mut guest: Guest) {
    guest.running.send_line("end").expect("the guest takes it");
    let outcome = guest.finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
}
