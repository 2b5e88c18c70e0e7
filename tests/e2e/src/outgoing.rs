//! Connections that the guest opens.

use crate::guest::{Guest, PATIENCE, machine, tap, user};
use crate::steady::Session;
use reflex_qemu::machine::{Model, Network};
use reflex_qemu::protocol::Protocol;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};

/// Where user networking leads to the host's loopback.
const USER_HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Has the guest connect to a listener of ours, several times at once, and talks with each.
fn connects(session: &mut Session, bind: Ipv4Addr, reach: Ipv4Addr) {
    let listener = TcpListener::bind((bind, 0)).expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let before = session.runs();
    let mut sessions = Vec::new();
    for _ in 0..5 {
        assert_eq!(
            session.ask(&format!("connect {}", SocketAddrV4::new(reach, port))),
            "connecting"
        );
        let (stream, _) = listener.accept().expect("the guest connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut outgoing = Session::over(stream);
        assert_eq!(outgoing.line(), "connected");
        sessions.push(outgoing);
    }
    for (number, outgoing) in sessions.iter_mut().enumerate() {
        let text = format!("over connection {number}");
        assert_eq!(outgoing.ask(&text), text);
    }
    assert_eq!(session.runs().connected, before.connected + 5);
    drop(sessions);
    session.until("both sides have closed", |session| session.runs().over >= before.over + 5);
    // Nobody listens any more, once no process is left that was begun meanwhile, and has our files until it is its program.
    drop(listener);
    session.until("nobody listens", |_| TcpStream::connect((bind, port)).is_err());
    let over = session.runs().over;
    assert_eq!(session.ask(&format!("connect {}", SocketAddrV4::new(reach, port))), "connecting");
    session.until("the refusal is told", |session| session.runs().over > over);
    assert_eq!(session.runs().connected, before.connected + 5);
}

#[test]
fn over_user_networking() {
    for model in [Model::Q35, Model::Microvm] {
        let machine = machine("steady").model(model).network(user(&[(Protocol::Tcp, 9)]));
        let mut guest = Guest::start(machine);
        let mut session = Session::connect(guest.endpoint(Protocol::Tcp, 9));
        connects(&mut session, Ipv4Addr::LOCALHOST, USER_HOST);
        guest.stop();
    }
}

#[test]
fn over_a_tap() {
    let Some(tap) = tap() else { return };
    let host = tap.host().expect("a tap of ours has one");
    let mut guest = Guest::start(machine("steady").network(Network::Tap(tap)));
    let mut session = Session::connect(guest.endpoint(Protocol::Tcp, 9));
    connects(&mut session, host, host);
    guest.stop();
}
