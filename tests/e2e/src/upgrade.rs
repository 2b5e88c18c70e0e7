//! A service that is replaced by another implementation every few milliseconds, under traffic
//! connections are served on, by one implementation after the other, and nothing is lost.

use crate::guest::{Guest, PATIENCE, machine, user};
use reflex_qemu::protocol::Protocol;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Instant;

const PORTS: [(Protocol, u16); 2] = [(Protocol::Tcp, 9), (Protocol::Udp, 9)];
/// Clients that stay connected, and those that connect anew each time.
const STAYING: u64 = 3;
const COMING: u64 = 3;
const BYTES: u64 = 400;

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("a socket option");
    stream
}

/// Asks with one byte; returns which implementation answered.
fn ask(stream: &mut TcpStream) -> usize {
    stream.write_all(b".").expect("it takes a byte");
    let mut answer = [0];
    stream.read_exact(&mut answer).expect("it answers");
    match answer[0] {
        b'1' => 0,
        b'2' => 1,
        other => panic!("no implementation answers {other}"),
    }
}

/// Asks many times, and on until both implementations have answered, however fast that goes.
fn until_both(mut ask: impl FnMut() -> usize) -> [u64; 2] {
    let mut by = [0; 2];
    let deadline = Instant::now() + 4 * PATIENCE;
    while by[0] + by[1] < BYTES || by.contains(&0) {
        assert!(Instant::now() < deadline, "one implementation answers all: {by:?}");
        by[ask()] += 1;
    }
    by
}

/// What the service has counted: bytes answered, and how often it was replaced.
fn counted(server: SocketAddr) -> (u64, u64) {
    let mut stream = connect(server);
    stream.write_all(b"?").expect("it takes a byte");
    let mut line = [0; 24];
    stream.read_exact(&mut line).expect("it answers");
    let line = String::from_utf8_lossy(&line).into_owned();
    let (answered, replaced) = line.trim_end().split_once(' ').expect("two numbers");
    (answered.parse().expect("a number"), replaced.parse().expect("a number"))
}

#[test]
fn connections_are_served_on_while_their_service_is_replaced() {
    let mut guest = Guest::start(machine("upgrade").network(user(&PORTS)));
    let server = guest.endpoint(Protocol::Tcp, 9);
    let staying = (0..STAYING).map(|_| {
        thread::spawn(move || {
            let mut stream = connect(server);
            until_both(|| ask(&mut stream))
        })
    });
    let coming =
        (0..COMING).map(|_| thread::spawn(move || until_both(|| ask(&mut connect(server)))));
    let clients: Vec<_> = staying.chain(coming).collect();
    let mut by = [0, 0];
    for client in clients {
        let answers: [u64; 2] = client.join().expect("every byte was answered");
        by = [by[0] + answers[0], by[1] + answers[1]];
    }
    let (mut answered, mut replaced) = counted(server);
    while replaced <= 20 {
        (answered, replaced) = counted(server);
    }
    // The count was handed over each time.
    assert_eq!(answered, by[0] + by[1]);
    assert!(answered >= (STAYING + COMING) * BYTES);

    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect(guest.endpoint(Protocol::Udp, 9)).expect("a peer");
    socket.set_read_timeout(Some(PATIENCE / 60)).expect("a time-out");
    let mut seen = [false; 2];
    // Datagrams may be lost.
    for _ in 0..10_000 {
        let mut answer = [0; 16];
        socket.send(b"....").expect("it goes out");
        if socket.recv(&mut answer).is_ok_and(|length| length == 4) {
            seen[usize::from(answer[0] - b'1')] = true;
        }
        if seen == [true; 2] {
            break;
        }
    }
    assert_eq!(seen, [true; 2]);
    let outcome = guest.stop();
    assert!(!outcome.lines.iter().any(|line| line.text.contains("ERROR")), "{}", outcome.tail(30));
}
