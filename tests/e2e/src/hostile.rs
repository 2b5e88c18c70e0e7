//! Clients that mean no good, or do not know better: the others are served.

use crate::guest::{Guest, PATIENCE, machine, tap};
use crate::http::{Http, assert_serves, get};
use reflex_qemu::machine::Network;
use reflex_qemu::protocol::Protocol;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn a_client_that_never_reads_keeps_nobody_else_from_being_served() {
    let Some(tap) = tap() else { return };
    let mut guest = Guest::start(machine("httpd").network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 80);
    let request = "GET /priorities.html HTTP/1.1\r\nHost: g\r\n\r\n".repeat(50);
    let silent: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = Http::connect(server).stream().try_clone().expect("a handle");
            // Until everything between the two of them is full, or a lot has gone.
            stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a time-out");
            let stopped = (0..200).find_map(|_| stream.write_all(request.as_bytes()).err());
            if let Some(error) = stopped {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            }
            stream
        })
        .collect();
    for _ in 0..50 {
        assert_serves(server);
    }
    // And one that reads after all gets the rest.
    let mut late = Http::connect(server);
    late.send(&request);
    assert_serves(server);
    for _ in 0..50 {
        assert_eq!(late.response("GET").status, 200);
    }
    drop(silent);
    assert_serves(server);
    guest.stop();
}

/// The limit for a head is ten seconds; meanwhile others are served.
#[test]
fn a_head_that_does_not_come_is_answered_with_408() {
    let Some(tap) = tap() else { return };
    let mut guest = Guest::start(machine("httpd").network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 80);
    let mut slow = Http::connect(server);
    slow.send("GET / HTTP/1.1\r\nHost: g");
    let mut silent = Http::connect(server);
    silent.send("G");
    assert_serves(server);
    // One more byte is no more time. (Not later: on a busy host the time could be over.)
    slow.send("u");
    for _ in 0..20 {
        assert_serves(server);
    }
    for mut http in [slow, silent] {
        assert_eq!(http.response("GET").status, 408);
        assert!(http.ended());
    }
    assert_serves(server);
    guest.stop();
}

/// With every place taken a new client waits, those that are there are served, and a place that
/// is given back is taken again.
#[test]
fn the_limit_of_connections_holds_and_hurts_nobody_within_it() {
    const LIMIT: usize = 8;
    let Some(tap) = tap() else { return };
    let machine = machine("httpd").append(format!("connections={LIMIT}"));
    let mut guest = Guest::start(machine.network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 80);
    let mut clients: Vec<Http> = (0..LIMIT).map(|_| Http::connect(server)).collect();
    for client in &mut clients {
        assert_eq!(client.request("GET", "/", "").status, 200);
    }
    let error = TcpStream::connect_timeout(&server, Duration::from_secs(2)).expect_err("full");
    assert!(matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::ConnectionRefused), "{error}");
    for _ in 0..10 {
        for client in &mut clients {
            assert_eq!(client.request("GET", "/", "").status, 200);
        }
    }
    drop(clients.pop());
    let deadline = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect_timeout(&server, Duration::from_secs(5)).is_err() {
        assert!(std::time::Instant::now() < deadline, "the place is not given back");
    }
    drop(clients);
    for _ in 0..2 * LIMIT {
        assert_eq!(get(server, "/").status, 200);
    }
    guest.stop();
}

/// Connections cut off in the middle leave nothing behind: far more of them than there are places.
#[test]
fn connections_that_are_reset_give_their_places_back() {
    let Some(tap) = tap() else { return };
    let machine = machine("httpd").append("connections=8").network(Network::Tap(tap));
    let mut guest = Guest::start(machine);
    let server = guest.endpoint(Protocol::Tcp, 80);
    for round in 0..60 {
        let mut http = Http::connect(server);
        http.send("GET /priorities.html HTTP/1.1\r\nHost: g\r\n\r\n");
        // Closed with bytes unread, which resets: before anything came, or in the middle.
        if round % 2 == 0 {
            http.response("GET");
            http.send("GET /priorities.html HTTP/1.1\r\nHost: g\r\n\r\n".repeat(5));
        }
    }
    assert_serves(server);
    guest.stop();
}
