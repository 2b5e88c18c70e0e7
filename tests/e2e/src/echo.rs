//! The echo service, over user networking with DHCP and over a tap with a fixed address; and what
//! else a host on a network answers.

use crate::guest::{Guest, PATIENCE, machine, tap, user};
use crate::tools::{self, figure};
use nix::sys::socket::{setsockopt, sockopt};
use reflex_qemu::machine::{Model, Network};
use reflex_qemu::protocol::{Event, Protocol};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

/// Between the reads of a client that is slower than any guest.
const SLOWLY: Duration = Duration::from_millis(1);
const PORTS: [(Protocol, u16); 2] = [(Protocol::Tcp, 7), (Protocol::Udp, 7)];

/// Sends more than all buffers hold, in both directions at once, and closes properly.
pub(crate) fn tcp_echoes(server: SocketAddr) {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let sent: Vec<u8> = (0..300_000u32).map(|n| ((n * 7) >> 3) as u8).collect();
    let mut writer = stream.try_clone().expect("another handle");
    let bytes = sent.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&bytes).expect("it takes everything");
        writer.shutdown(Shutdown::Write).expect("our side closes");
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("it closes too");
    sender.join().expect("the sender");
    let same = received.iter().zip(&sent).take_while(|(one, other)| one == other).count();
    let (came, all) = (received.len(), sent.len());
    assert!(same == all && came == all, "of {all} bytes {came} came back, {same} as they were");
}

/// The same to a client that reads so slowly that the server has no room for its answer when the
/// client's end comes: what has come before it is answered all the same.
fn a_slow_reader_loses_nothing(server: SocketAddr) {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    setsockopt(&stream, sockopt::RcvBuf, &4096).expect("a small window");
    let sent: Vec<u8> = (0..200_000u32).map(|n| ((n * 7) >> 3) as u8).collect();
    let mut writer = stream.try_clone().expect("another handle");
    let bytes = sent.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&bytes).expect("it takes everything");
        writer.shutdown(Shutdown::Write).expect("our side closes");
    });
    let mut received: Vec<u8> = Vec::new();
    let mut piece = [0; 1024];
    loop {
        match stream.read(&mut piece).expect("it goes on until its end") {
            0 => break,
            length => received.extend(&piece[..length]),
        }
        thread::sleep(SLOWLY);
    }
    sender.join().expect("the sender");
    assert!(received == sent, "{} bytes came back of {}", received.len(), sent.len());
}

/// Datagrams may be lost; each is asked for again until it comes back.
pub(crate) fn udp_echoes(server: SocketAddr) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect(server).expect("a peer");
    socket.set_read_timeout(Some(PATIENCE / 60)).expect("a time-out");
    for length in [0, 1, 2, 17, 512, 1472] {
        let sent: Vec<u8> = (0..length).map(|n| (n + length) as u8).collect();
        let echoed = (0..30).any(|_| {
            socket.send(&sent).expect("it goes out");
            let mut received = [0; 2048];
            socket.recv(&mut received).is_ok_and(|length| received[..length] == sent)
        });
        assert!(echoed, "{length} bytes did not come back");
    }
}

#[test]
fn tcp_and_udp_by_dhcp_on_q35() {
    let machine = machine("echo").network(user(&PORTS)).append("stats=200");
    let mut guest = Guest::start(machine);
    tcp_echoes(guest.endpoint(Protocol::Tcp, 7));
    udp_echoes(guest.endpoint(Protocol::Udp, 7));
    // A discovery and a request, and an answer to each.
    for metric in ["counter 2 reflex_dhcp_sent_total", "counter 2 reflex_dhcp_accepted_total"] {
        guest.running.wait_for_text(metric, PATIENCE).expect("it is counted");
    }
    // What each context has is told, too.
    guest.running.wait_for_text("registrations=", PATIENCE).expect("contexts are told of");
    // What was set aside for connections is the server's.
    let aside = guest.running.wait_for("memory set aside", PATIENCE, |line| match &line.event {
        Some(Event::Context { name, amounts, .. }) if name == "echo" => Some(amounts["aside"]),
        _ => None,
    });
    assert!(aside.expect("the context is told of") > 12 << 10);
    let address = guest.running.wait_for_address(PATIENCE).expect("an address");
    assert_eq!(address, "10.0.2.15/24");
    guest.stop();
}

#[test]
fn tcp_and_udp_by_dhcp_on_microvm() {
    let machine = machine("echo").model(Model::Microvm).network(user(&PORTS));
    let mut guest = Guest::start(machine);
    tcp_echoes(guest.endpoint(Protocol::Tcp, 7));
    udp_echoes(guest.endpoint(Protocol::Udp, 7));
    guest.stop();
}

/// Also: ICMP echo, and closed ports are refused rather than silent.
#[test]
fn a_fixed_address_on_a_tap() {
    let Some(tap) = tap() else { return };
    let address = tap.guest().expect("a tap of ours has one").to_string();
    let mut guest = Guest::start(machine("echo").network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 7);
    assert_eq!(server.ip().to_string(), address);
    tcp_echoes(server);
    a_slow_reader_loses_nothing(server);
    udp_echoes(server);
    // The last two in fragments, both ways.
    for size in ["0", "56", "1472", "4000", "60000"] {
        let report =
            tools::run("ping", &["-n", "-c", "5", "-i", "0.2", "-s", size, &address], PATIENCE);
        assert_eq!(figure(&report, "5 packets transmitted,"), Some(5), "{report}");
    }
    closed_ports_refuse(server);
    guest.stop();
}

fn closed_ports_refuse(server: SocketAddr) {
    let closed = SocketAddr::new(server.ip(), 81);
    let error = TcpStream::connect_timeout(&closed, PATIENCE).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    // ICMP port unreachable, unless it was one too many for the limit on such messages.
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect(closed).expect("a peer");
    socket.set_read_timeout(Some(PATIENCE / 60)).expect("a time-out");
    let refused = (0..30).any(|_| {
        let sent = socket.send(b"anybody?").map(|_| 0);
        let answer = sent.and_then(|_| socket.recv(&mut [0; 64]));
        answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    assert!(refused, "no datagram to a closed port was answered");
}
