//! Event kinds that real clients bring about: the console, and one of the image's own (K-9, A-3.1.2, G-3).

use crate::echo::udp_echoes;
use crate::guest::{Guest, PATIENCE, machine, user};
use reflex_qemu::protocol::Protocol;

/// The image keeps so little for its handlers that every source is held up again and again.
#[test]
fn typed_events_lose_nothing() {
    let ports = [(Protocol::Udp, 7)];
    let mut guest = Guest::start(machine("guest-kinds").network(user(&ports)));
    let running = &mut guest.running;
    running.wait_for_input(PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    for line in ["one", "", "a line that is longer than what is told at a time, and so on"] {
        running.send_line(line).expect("the guest takes it");
        let text = format!("typed: {line}");
        running.wait_for_text(&text, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    }
    udp_echoes(guest.endpoint(Protocol::Udp, 7));
    end(guest);
}

fn end(mut guest: Guest) {
    guest.running.send_line("end").expect("the guest takes it");
    let outcome = guest.finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
}
