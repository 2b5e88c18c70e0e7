//! What is typed at an image's console reaches its handlers, whatever the machine and the pace.

use crate::guest::{Guest, PATIENCE, machine, user};
use crate::tools::require;
use reflex_qemu::build;
use reflex_qemu::machine::{Firmware, Machine, Model};
use reflex_qemu::process::spawn_tied;
use reflex_qemu::project::cargo;
use reflex_qemu::protocol::{Event, Protocol};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

fn typing() -> Machine {
    machine("guest-typing")
}

/// A guest that reads its console.
fn reading(machine: Machine) -> Guest {
    let mut guest = Guest::start(machine);
    guest.running.wait_for_input(PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    guest
}

fn send(guest: &mut Guest, line: &str) {
    guest.running.send_line(line).expect("the guest takes it");
}

fn wait_for(guest: &mut Guest, text: &str) {
    guest.running.wait_for_text(text, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
}

/// Types `end`; the image ends well and all its console is returned.
fn end(mut guest: Guest) -> String {
    send(&mut guest, "end");
    let outcome = guest.finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
    outcome.tail(usize::MAX)
}

/// Lines, each answered before the next, and a line key by key.
fn echoes(machine: Machine) {
    let mut guest = reading(machine);
    for line in ["one", "", "two words", "three\twith\x7f odd \x1b[A bytes"] {
        send(&mut guest, line);
        wait_for(&mut guest, &format!("typed: {}", line.as_bytes().escape_ascii()));
    }
    for key in "slowly".bytes() {
        guest.running.send(&[key]).expect("the guest takes it");
    }
    send(&mut guest, "");
    wait_for(&mut guest, "typed: slowly");
    let text = end(guest);
    assert!(!text.contains("two readers"), "{text}");
}

#[test]
fn lines_are_said_back_on_q35() {
    echoes(typing());
}

#[test]
fn lines_are_said_back_on_q35_with_qboot() {
    echoes(typing().firmware(Firmware::Qboot));
}

#[test]
fn lines_are_said_back_on_microvm() {
    echoes(typing().model(Model::Microvm));
}

#[test]
fn lines_are_said_back_on_microvm_without_acpi() {
    echoes(typing().model(Model::Microvm).extra(["-M", "acpi=off"]));
}

/// The network card is on a wire of the same interrupt controller, and is started later.
#[test]
fn a_network_card_on_a_wire_leaves_the_console_its_own() {
    let machine = typing().model(Model::Microvm).extra(["-M", "acpi=off"]);
    let mut guest = reading(machine.network(user(&[])).append("net"));
    guest.running.wait_for_address(PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    send(&mut guest, "still there");
    wait_for(&mut guest, "typed: still there");
    end(guest);
}

/// Many times what fits in the image's ring and the port together, in one go.
fn burst(machine: Machine) -> String {
    const LINES: usize = 400;
    let line = |number: usize| format!("line {number} of a burst that is longer than the ring");
    let mut guest = reading(machine);
    let text: String = (0..LINES).map(|number| line(number) + "\n").collect();
    guest.running.send(text.as_bytes()).expect("the guest takes it");
    for number in 0..LINES {
        let said = guest.running.wait_for("the next line", PATIENCE, |said| {
            said.text.split_once("typed: ").map(|(_, line)| line.to_owned())
        });
        assert_eq!(said.unwrap_or_else(|error| panic!("{error}")), line(number));
    }
    send(&mut guest, "counts");
    let counts = guest.running.wait_for("the counts", PATIENCE, |line| {
        line.text.split_once("counts: ").map(|(_, counts)| counts.to_owned())
    });
    end(guest);
    let counts = counts.unwrap_or_else(|error| panic!("{error}"));
    assert!(counts.starts_with(&format!("{LINES} lines, ")), "{counts}");
    assert!(counts.ends_with(", 0 overruns"), "{counts}");
    counts
}

#[test]
fn a_burst_loses_nothing() {
    for model in [Model::Q35, Model::Microvm] {
        burst(typing().model(model));
    }
}

/// The reader waits until the ring is full and the sender held up, and goes on slowly.
#[test]
fn a_slow_reader_holds_the_sender_up_and_loses_nothing() {
    for model in [Model::Q35, Model::Microvm] {
        let counts = burst(typing().model(model).append("pace=2"));
        assert!(!counts.contains(", 0 throttlings"), "{model:?}: {counts}");
    }
}

/// Nobody has asked for the console: what is typed disturbs nobody.
#[test]
fn an_image_that_does_not_read_is_left_alone() {
    let mut guest = Guest::start(machine("echo").network(user(&[(Protocol::Tcp, 7)])));
    let server = guest.endpoint(Protocol::Tcp, 7);
    guest.running.send(&[b'x'; 1000]).expect("QEMU takes it");
    let mut stream = TcpStream::connect(server).expect("it is served");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream.write_all(b"well").expect("it takes it");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"well");
    let outcome = guest.stop();
    assert!(outcome.lines.iter().all(|line| line.event != Some(Event::Input)));
}

/// A running `cargo reflex run`; ends with this value.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        // QEMU ends with the command that started it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_piped_into_the_run_command_reaches_the_image() {
    require();
    let image = build::image("guest-typing").unwrap_or_else(|error| panic!("{error:#}"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
    let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut command = cargo();
    command.arg("reflex").args(["run", "--net", "none", "--timeout", "120"]).arg(image);
    command.current_dir(checkout).env("CARGO_TARGET_DIR", target);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut run = Run(spawn_tied(command).expect("the command starts"));
    let mut stdin = run.0.stdin.take().expect("a pipe");
    let mut output = BufReader::new(run.0.stdout.take().expect("a pipe"));
    // At once: it waits until the image reads, the first byte included.
    stdin.write_all(b"early\n").expect("the command takes it");
    let mut text = String::new();
    while !text.contains("typed: early") {
        let read = output.read_line(&mut text).expect("text");
        assert!(read > 0, "the command ended too soon:\n{text}");
    }
    stdin.write_all(b"late\nend\n").expect("the command takes it");
    drop(stdin);
    output.read_to_string(&mut text).expect("text");
    let status = run.0.wait().expect("it has ended");
    assert!(status.success() && text.contains("typed: late"), "{status}:\n{text}");
}
