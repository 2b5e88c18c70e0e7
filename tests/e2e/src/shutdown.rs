//! The power button and Ctrl-Alt-Del: what is in hand is answered, nothing new is taken, and the machine is turned off with
//! status 0; at once when it is pressed again, and when the time is over (PE-16).

use crate::guest::{Guest, PATIENCE, machine, tap, user};
use crate::http::Http;
use crate::tools::{outcome, require};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reflex_qemu::build;
use reflex_qemu::machine::{Model, Network, Outcome, free_port};
use reflex_qemu::process::spawn_tied;
use reflex_qemu::project::cargo;
use reflex_qemu::protocol::Protocol;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// Clients that keep the guest busy.
const CLIENTS: usize = 8;
/// Round trips of each after the button was pressed.
const AFTER: usize = 50;

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

fn round_trip(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("it takes what is said");
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).expect("it answers");
    assert_eq!(answer, text.as_bytes());
}

/// A connection that is served: QEMU's network takes one, and resets it, before the guest listens.
fn served(server: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stream = connect(server);
        let mut answer = [0; 5];
        let talk = stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut answer));
        match talk {
            Ok(()) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "it is not served: {error}"),
        }
    }
}

fn press(guest: &mut Guest, answer: &str) {
    guest.running.press_power_button().expect("QEMU runs");
    guest.running.wait_for_text(answer, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
}

fn press_keys(guest: &mut Guest, answer: &str) {
    guest.running.press_ctrl_alt_del().expect("QEMU runs");
    guest.running.wait_for_text(answer, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
}

fn succeeds(guest: Guest) -> Outcome {
    let outcome = guest.finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
    assert!(outcome.crashes.is_empty());
    outcome
}

#[test]
fn an_idle_image_is_turned_off_on_both_machines() {
    for model in [Model::Q35, Model::Microvm] {
        let mut guest = Guest::start(machine("echo").model(model).network(user(&[])));
        guest.running.wait_for_address(PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        press(&mut guest, "was pressed: 0 connections");
        succeeds(guest);
    }
}

/// Under load: every connection that there is goes on, without an error, to the end that its client gives it;
/// others are refused; and then the image ends with success.
#[test]
fn what_is_in_hand_is_answered_and_nothing_new_is_taken() {
    for model in [Model::Q35, Model::Microvm] {
        let Some(tap) = tap() else { return };
        let machine = machine("echo").model(model).append("shutdown=3600");
        let mut guest = Guest::start(machine.network(Network::Tap(tap)));
        let server = guest.endpoint(Protocol::Tcp, 7);
        // The last that `main` does: it has been said before what is to be done about the button. Clients that
        // keep the image busy would have `main` wait, which is below all handlers.
        guest.endpoint(Protocol::Udp, 7);
        // All are connected, then the button is pressed while all are talking, and then the guest says so.
        let (connected, pressed) = (Barrier::new(CLIENTS + 1), Barrier::new(CLIENTS + 1));
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (connected, pressed) = (&connected, &pressed);
                scope.spawn(move || {
                    let mut stream = connect(server);
                    round_trip(&mut stream, "hello");
                    connected.wait();
                    for turn in 0..AFTER {
                        round_trip(&mut stream, &format!("{client} goes on, {turn}"));
                    }
                    pressed.wait();
                    for turn in 0..AFTER {
                        round_trip(&mut stream, &format!("{client} is still there, {turn}"));
                    }
                });
            }
            connected.wait();
            press(&mut guest, &format!("was pressed: {CLIENTS} connections"));
            // The listener is closed as soon as the context has been told. One that is served until then goes
            // on at its own pace, so that ports of this side do not run out.
            let refused = || {
                let mut stream = match TcpStream::connect_timeout(&server, PATIENCE) {
                    Ok(stream) => stream,
                    Err(error) => return Some(error),
                };
                // It may be reset, if it was accepted too late.
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let _ = stream.write_all(b"late\n").and_then(|()| stream.read(&mut [0; 8]));
                None
            };
            let error = std::iter::repeat_with(refused).flatten().next().expect("in the end");
            // The clients wait for this, whatever has come.
            pressed.wait();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        });
        let outcome = succeeds(guest);
        assert!(!outcome.tail(30).contains("cut off"), "{}", outcome.tail(30));
    }
}

#[test]
fn a_second_press_ends_at_once() {
    for model in [Model::Q35, Model::Microvm] {
        let machine = machine("echo").model(model).append("shutdown=3600");
        let mut guest = Guest::start(machine.network(user(&[(Protocol::Tcp, 7)])));
        let mut idle = connect(guest.endpoint(Protocol::Tcp, 7));
        round_trip(&mut idle, "hello");
        press(&mut guest, "was pressed: 1 connections");
        round_trip(&mut idle, "still there");
        guest.running.press_power_button().expect("QEMU runs");
        let outcome = succeeds(guest);
        assert!(outcome.tail(30).contains("pressed again"), "{}", outcome.tail(30));
    }
}

/// It is what a press of the power button is, on the machine that has a keyboard: once and twice.
#[test]
fn ctrl_alt_del_is_the_power_button() {
    let machine = machine("echo").append("shutdown=3600");
    let mut guest = Guest::start(machine.network(user(&[(Protocol::Tcp, 7)])));
    let server = guest.endpoint(Protocol::Tcp, 7);
    let mut client = connect(server);
    round_trip(&mut client, "hello");
    press_keys(&mut guest, "was pressed: 1 connections");
    // The keys have been released by then, or are about to be: which is no second press.
    round_trip(&mut client, "still there");
    drop(client);
    let outcome = succeeds(guest);
    assert!(!outcome.tail(30).contains("pressed again"), "{}", outcome.tail(30));
}

#[test]
fn ctrl_alt_del_again_ends_at_once() {
    let machine = machine("echo").append("shutdown=3600");
    let mut guest = Guest::start(machine.network(user(&[(Protocol::Tcp, 7)])));
    let mut idle = connect(guest.endpoint(Protocol::Tcp, 7));
    round_trip(&mut idle, "hello");
    press_keys(&mut guest, "was pressed: 1 connections");
    round_trip(&mut idle, "still there");
    guest.running.press_ctrl_alt_del().expect("QEMU runs");
    let outcome = succeeds(guest);
    assert!(outcome.tail(30).contains("pressed again"), "{}", outcome.tail(30));
}

#[test]
fn a_connection_that_stays_is_cut_off_in_the_end() {
    let machine = machine("echo").append("shutdown=1");
    let mut guest = Guest::start(machine.network(user(&[(Protocol::Tcp, 7)])));
    let mut idle = connect(guest.endpoint(Protocol::Tcp, 7));
    round_trip(&mut idle, "hello");
    press(&mut guest, "was pressed: 1 connections");
    let outcome = succeeds(guest);
    assert!(outcome.tail(30).contains("1 connections are cut off"), "{}", outcome.tail(30));
}

/// Nobody waits for a client that is silent: its connection is closed as soon as the button is pressed.
#[test]
fn an_idle_http_connection_does_not_keep_the_machine_on() {
    let machine = machine("httpd").append("shutdown=3600").network(user(&[(Protocol::Tcp, 80)]));
    let mut guest = Guest::start(machine);
    let mut idle = Http::connect(guest.endpoint(Protocol::Tcp, 80));
    assert_eq!(idle.request("GET", "/", "").status, 200);
    press(&mut guest, "was pressed: 1 connections");
    assert!(idle.ended());
    succeeds(guest);
}

/// Under `wrk`: every request that was sent on a connection is answered, whenever the button is pressed. The
/// connections that are tried later are refused.
#[test]
fn no_request_is_lost() {
    let Some(tap) = tap() else { return };
    let machine = machine("httpd").append("shutdown=3600").network(Network::Tap(tap));
    let mut guest = Guest::start_alone(machine);
    let server = guest.endpoint(Protocol::Tcp, 80);
    let url = format!("http://{server}/");
    let mut command = Command::new("wrk");
    command.args(["-t", "2", "-c", "16", "-d", "4s", "--timeout", "120s", &url]);
    let report = thread::spawn(move || outcome(command, PATIENCE));
    while established(server) < 16 {
        thread::yield_now();
    }
    press(&mut guest, "Ctrl-Alt-Del was pressed");
    succeeds(guest);
    let (success, report) = report.join().expect("it was started");
    assert!(success && !report.contains("Non-2xx"), "{report}");
    // Those that are tried while nobody listens are refused, which wrk counts when it writes.
    if let Some(errors) = report.lines().find(|line| line.contains("Socket errors")) {
        assert!(errors.contains("read 0") && errors.contains("timeout 0"), "{report}");
    }
    assert!(report.contains(" requests in ") && !report.contains(" 0 requests in "), "{report}");
}

/// Connections to `server` that this network has.
fn established(server: SocketAddr) -> usize {
    const ESTABLISHED: &str = "01";
    let SocketAddr::V4(server) = server else { panic!("it has an IPv4 address") };
    let address = u32::from_ne_bytes(server.ip().octets());
    let remote = format!("{address:08X}:{:04X}", server.port());
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").expect("a table of sockets");
    let fields = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields[2..4] == [remote.as_str(), ESTABLISHED]).count()
}

/// A press while `main` is at work is told to a context that asks later, once.
#[test]
fn a_press_before_anybody_listens_is_remembered() {
    let machine = machine("misbehave").append("by=late-shutdown shutdown=3600");
    let mut guest = Guest::start(machine.network(user(&[(Protocol::Tcp, 7)])));
    let mut client = connect(guest.endpoint(Protocol::Tcp, 7));
    client.read_exact(&mut [0; 5]).expect("it is accepted");
    press(&mut guest, "was pressed: 1 connections");
    client.write_all(b"pressed").expect("it takes what is said");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("it answers");
    assert_eq!(answer, "told twice ");
    drop(client);
    succeeds(guest);
}

/// The first Ctrl-C asks the guest, which ends with success when nothing is in hand.
#[test]
fn ctrl_c_asks_first() {
    let mut run = Run::start(free_port(Protocol::Tcp), &[]);
    run.output_until("address ");
    run.interrupt();
    assert_eq!(run.end(), Some(0));
}

/// What is in hand keeps it, and the second ends the machine.
#[test]
fn ctrl_c_again_ends_the_machine() {
    let port = free_port(Protocol::Tcp);
    let mut run = Run::start(port, &["--append", "shutdown=3600"]);
    run.output_until("address ");
    let mut idle = served((Ipv4Addr::LOCALHOST, port).into());
    run.interrupt();
    run.output_until("was pressed: 1 connections");
    round_trip(&mut idle, "still there");
    run.interrupt();
    assert_eq!(run.end(), Some(130));
}

/// A running `cargo reflex run` of the echo appliance; ends with this value.
struct Run {
    process: Child,
    output: BufReader<ChildStdout>,
    text: String,
}

impl Run {
    /// With `port` of the host for the guest's.
    fn start(port: u16, arguments: &[&str]) -> Self {
        require();
        let image = build::image("echo").unwrap_or_else(|error| panic!("{error:#}"));
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
        let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let mut command = cargo();
        command.arg("reflex").args(["run", "--timeout", "120"]).args(arguments).arg(image);
        let datagrams = free_port(Protocol::Udp);
        for forward in [format!("tcp:{port}:7"), format!("udp:{datagrams}:7")] {
            command.args(["--forward", &forward]);
        }
        command.current_dir(checkout).env("CARGO_TARGET_DIR", target);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = spawn_tied(command).expect("the command starts");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, output, text: String::new() }
    }

    /// Waits until the command has printed this.
    fn output_until(&mut self, text: &str) {
        while !self.text.contains(text) {
            let read = self.output.read_line(&mut self.text).expect("text");
            assert!(read > 0, "the command ended too soon:\n{}", self.text);
        }
    }

    /// What a terminal's Ctrl-C does.
    fn interrupt(&self) {
        let process = Pid::from_raw(self.process.id() as i32);
        kill(process, Signal::SIGINT).expect("the command runs");
    }

    fn end(mut self) -> Option<i32> {
        self.output.read_to_string(&mut self.text).expect("text");
        self.process.wait().expect("it has ended").code()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // QEMU ends with the command that started it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
