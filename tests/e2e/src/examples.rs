//! The examples of the documents behind the project, and what they print (N-1 to N-3, A-4).

use crate::guest::{Guest, PATIENCE, machine, user};
use reflex_qemu::machine::{Model, Outcome};
use reflex_qemu::protocol::Protocol;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// Boots an example and compares all it prints, but for the log and the lines for machines, with
/// what it is expected to print.
pub(crate) fn prints(example: &str, append: &str, expected: &str) {
    for model in [Model::Q35, Model::Microvm] {
        let machine = machine(example).model(model).append("log=error").append(append);
        printed(&Guest::start(machine).finish(), expected);
    }
}

/// Compares what a guest has printed that ended well.
pub(crate) fn printed(outcome: &Outcome, expected: &str) {
    assert!(outcome.status.success(), "{}", outcome.tail(50));
    let plain = outcome.lines.iter().filter(|line| line.event.is_none());
    let printed: Vec<&str> = plain.map(|line| line.text.trim_end()).collect();
    // The firmware's words come before the image's.
    let expected: Vec<&str> = expected.lines().collect();
    let own = printed.len().saturating_sub(expected.len());
    assert_eq!(printed[own..], expected, "{}", outcome.tail(50));
}

#[test]
fn netio_hello() {
    prints("netio-hello", "", include_str!("../expected/netio-hello.txt"));
}

#[test]
fn netio_signal_prints_its_three_lines_in_order() {
    prints("netio-signal", "", include_str!("../expected/netio-signal.txt"));
}

#[test]
fn netio_timer() {
    prints("netio-timer", "period_ms=20", include_str!("../expected/netio-timer.txt"));
}

/// A session with a server.
pub(crate) struct Session(pub(crate) TcpStream);

impl Session {
    /// With the AEM document's server, once it has greeted.
    fn open(server: SocketAddr) -> Self {
        let mut session = Self::silent(server);
        session.hears("welcome\n");
        session
    }

    pub(crate) fn silent(server: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self(stream)
    }

    pub(crate) fn says(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("it takes everything");
    }

    pub(crate) fn hears(&mut self, text: &str) {
        let mut heard = vec![0; text.len()];
        self.0.read_exact(&mut heard).expect("it answers");
        assert_eq!(String::from_utf8_lossy(&heard), text);
    }

    fn says_and_hears(&mut self, text: &str) {
        self.says(text);
        self.hears(text);
    }

    /// The server has closed, and said nothing more.
    pub(crate) fn hears_the_end(mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("it closes");
        assert_eq!(rest, b"");
    }
}

/// Boots the AEM document's server, and leads it through its sessions; each is over, for the guest
/// too, before the next one begins.
fn serves<const N: usize>(append: &str, sessions: [fn(SocketAddr); N], expected: &str) {
    for model in [Model::Q35, Model::Microvm] {
        let machine = machine("aem-server").model(model).network(user(&[(Protocol::Tcp, 7)]));
        let mut guest =
            Guest::start(machine.append(format!("log=error sessions={N}")).append(append));
        let server = guest.endpoint(Protocol::Tcp, 7);
        for session in sessions {
            session(server);
            let closed = guest.running.wait_for_text(": closed", PATIENCE);
            closed.unwrap_or_else(|error| panic!("{error}"));
        }
        printed(&guest.finish(), expected);
    }
}

/// One session that the client closes, one that the server closes, and one that is reset.
#[test]
fn aem_server_accepts_reads_and_closes_asynchronously() {
    let sessions: [fn(SocketAddr); 3] = [
        |server| {
            let mut session = Session::open(server);
            session.says_and_hears("hello\n");
            session.says_and_hears("and again\n");
            session.0.shutdown(Shutdown::Write).expect("our side closes");
            session.hears_the_end();
        },
        |server| {
            let mut session = Session::open(server);
            session.says_and_hears("quit\n");
            session.hears_the_end();
        },
        |server| {
            let session = Session::silent(server);
            // Closed with bytes unread, which resets.
            assert!(session.0.peek(&mut [0]).is_ok_and(|length| length > 0));
        },
    ];
    serves("", sessions, include_str!("../expected/aem-server.txt"));
}

/// A socket without a handler for its closing closes when its peer has, and what came before is
/// answered.
#[test]
fn aem_sockets_close_by_themselves() {
    let sessions: [fn(SocketAddr); 2] = [
        |server| {
            let mut session = Session::silent(server);
            session.says("all at once\n");
            session.0.shutdown(Shutdown::Write).expect("our side closes");
            session.hears("welcome\nall at once\n");
            session.hears_the_end();
        },
        |server| {
            let session = Session::open(server);
            session.0.shutdown(Shutdown::Write).expect("our side closes");
            session.hears_the_end();
        },
    ];
    // The rest depends on what arrives together. One event accepts, one tells of each connection.
    serves("bare", sessions, "leaving keepalive; the server has 2 events");
}

/// The README's program. Whatever is said to it is not answered, and it closes when its client does.
#[test]
fn the_greeter_greets_and_tells_how_many() {
    for model in [Model::Q35, Model::Microvm] {
        let machine = machine("greeter").model(model).network(user(&[(Protocol::Tcp, 2000)]));
        let mut guest = Guest::start(machine);
        let server = guest.endpoint(Protocol::Tcp, 2000);
        for words in ["", "Good day to you.\n", "How do you do?\n"] {
            let mut session = Session::silent(server);
            session.hears("Good day.\n");
            session.says(words);
            session.0.shutdown(Shutdown::Write).expect("our side closes");
            session.hears_the_end();
        }
        let told = guest.running.wait_for_text("3 greeted", PATIENCE);
        told.unwrap_or_else(|error| panic!("{error}"));
    }
}
