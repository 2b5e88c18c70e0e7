//! Machines against a program that stands in for QEMU: time-outs, exit codes, odd lines,
//! death by signal.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use reflex_qemu::machine::{Emulator, Forward, Machine, MachineError, Network, Status};
use reflex_qemu::protocol::{Event, Protocol};

const LONG: Duration = Duration::from_secs(120);

/// The program that stands in for QEMU.
fn emulator() -> Emulator {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/qemu-system-x86_64");
    Emulator::at(Path::new(program)).unwrap()
}

/// A machine that runs `script` in place of QEMU.
fn fake(script: &str) -> Machine {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/qemu-system-x86_64");
    Machine::new(program).emulator(emulator()).append(script).timeout(LONG)
}

fn status(script: &str) -> Status {
    fake(script).spawn().unwrap().finish().status
}

/// Whether a process of this number exists (a zombie does not count).
fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| {
        let state = rest.trim_start().chars().next();
        state.is_some_and(|state| state != 'Z')
    })
}

#[test]
fn a_status_is_taken_when_marker_and_code_agree() {
    assert_eq!(status("echo '#! exit 0'; exit 33"), Status::Exited(0));
    assert_eq!(status("echo '#! exit 7'; exit 47"), Status::Exited(7));
}

#[test]
fn an_exit_without_a_marker_is_a_crash() {
    for script in ["exit 33", "exit 0", "echo '#! exit 0'; exit 0", "echo '#! exit 1'; exit 33"] {
        assert!(matches!(status(script), Status::Crashed(_)), "{script}");
    }
}

#[test]
fn death_by_signal_is_a_crash_even_after_the_marker() {
    let status = status("echo '#! exit 0'; kill -KILL $$");
    assert!(matches!(&status, Status::Crashed(how) if how.contains("signal 9")), "{status}");
}

#[test]
fn a_failure_of_qemu_shows_its_words() {
    let status = status("echo 'qemu: -M q36: unsupported machine type' >&2; exit 1");
    assert!(matches!(&status, Status::QemuFailed(text) if text.contains("q36")), "{status}");
}

#[test]
fn the_hard_time_out_ends_the_machine_though_nobody_reads() {
    let machine = fake("echo up; exec sleep 600").timeout(Duration::from_millis(300));
    let running = machine.spawn().unwrap();
    let (pid, deadline) = (running.pid(), Instant::now() + LONG);
    while alive(pid) {
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::yield_now();
    }
    assert_eq!(running.finish().status, Status::TimedOut);
}

#[test]
fn a_time_out_can_be_set_when_it_is_known_from_when_on() {
    let mut running = fake("echo up; exec sleep 600").spawn().unwrap();
    running.wait_for_text("up", LONG).unwrap();
    running.end_after(Duration::from_millis(100));
    let outcome = running.finish();
    assert_eq!(outcome.status, Status::TimedOut);
    assert_eq!(outcome.lines[0].text, "up");
    // The one it was started with no longer counts.
    let mut running =
        fake("sleep 0.3; echo up").timeout(Duration::from_millis(200)).spawn().unwrap();
    running.end_after(LONG);
    running.wait_for_text("up", LONG).unwrap();
}

#[test]
fn what_a_machine_started_ends_with_it() {
    // The console stays open in a grandchild; the whole process group must go.
    let mut running = fake("sleep 600 & echo child $!; wait").spawn().unwrap();
    let line = running.wait_for_text("child", LONG).unwrap();
    let child: u32 = line.text.trim_start_matches("child ").parse().unwrap();
    assert!(alive(child));
    assert_eq!(running.kill().status, Status::Killed);
    let deadline = Instant::now() + LONG;
    while alive(child) {
        assert!(Instant::now() < deadline, "the grandchild outlived the machine");
        std::thread::yield_now();
    }
}

#[test]
fn dropping_a_machine_ends_it() {
    let mut running = fake("echo up; exec sleep 600").spawn().unwrap();
    running.wait_for_text("up", LONG).unwrap();
    let pid = running.pid();
    drop(running);
    assert!(!alive(pid));
}

#[test]
fn the_thread_that_starts_a_machine_may_end_before_it() {
    let running = std::thread::spawn(|| fake("read word; echo got $word").spawn().unwrap());
    let mut running = running.join().unwrap();
    running.send_line("it").unwrap();
    running.wait_for_text("got it", LONG).unwrap();
}

#[test]
fn the_console_can_be_typed_at_from_elsewhere() {
    let mut running = fake("read one; read two; echo got $one$two").spawn().unwrap();
    running.send(b"a").unwrap();
    let mut input = running.take_input().unwrap();
    assert!(running.take_input().is_none() && running.send(b"x").is_err());
    let typist = std::thread::spawn(move || input.write_all(b"b\nc\n").unwrap());
    running.wait_for_text("got abc", LONG).unwrap();
    typist.join().unwrap();
}

#[test]
fn lines_split_oddly_arrive_whole_and_in_order() {
    let script = "printf 'one\\r\\ntw'; sleep 0.05; printf 'o\\n\\n\\377thr'; sleep 0.05; \
                  printf 'ee\\n#! ex'; sleep 0.05; printf 'it 3'; exit 39";
    let outcome = fake(script).spawn().unwrap().finish();
    let lines: Vec<&str> = outcome.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["one", "two", "", "\u{fffd}three", "#! exit 3"]);
    assert_eq!(outcome.status, Status::Exited(3));
}

#[test]
fn no_line_is_lost_however_slow_the_reader() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; \
                  echo '#! exit 0'; exit 33";
    let outcome = fake(script).spawn().unwrap().finish();
    assert_eq!(outcome.lines.len(), 20_001);
    for (number, line) in outcome.lines[..20_000].iter().enumerate() {
        assert_eq!(line.text, format!("line {number}"));
    }
}

#[test]
fn waiting_ends_with_the_machine_and_shows_its_last_words() {
    let mut running = fake("echo giving up; echo '#! exit 5'; exit 43").spawn().unwrap();
    let error = running.wait_for_listen(Protocol::Tcp, 80, LONG).unwrap_err();
    assert!(matches!(error, MachineError::Ended { .. }));
    let text = error.to_string();
    assert!(text.contains("giving up") && text.contains("status 5"), "{text}");
}

#[test]
fn waiting_too_long_says_for_what() {
    let mut running = fake("echo quiet; exec sleep 600").spawn().unwrap();
    running.wait_for_text("quiet", LONG).unwrap();
    let error = running.wait_for_listen(Protocol::Udp, 7, Duration::from_millis(200)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("udp port 7") && text.contains("quiet"), "{text}");
}

#[test]
fn what_was_said_before_is_remembered() {
    let script = "echo '#! address 10.0.2.15/24'; echo '#! listen tcp 80'; echo '#! input'; \
                  echo ready; read x";
    let mut running = fake(script).spawn().unwrap();
    running.wait_for_text("ready", LONG).unwrap();
    running.wait_for_listen(Protocol::Tcp, 80, Duration::ZERO).unwrap();
    running.wait_for_input(Duration::ZERO).unwrap();
    assert_eq!(running.wait_for_address(Duration::ZERO).unwrap(), "10.0.2.15/24");
    assert_eq!(running.address(), Some([10, 0, 2, 15].into()));
}

#[test]
fn a_taken_port_is_found_before_the_boot() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let forward = Forward::tcp(holder.local_addr().unwrap().port(), 80);
    let machine = fake("echo started").network(Network::User(vec![forward]));
    let Err(error) = machine.spawn() else { panic!("it started") };
    let text = error.to_string();
    assert!(text.contains("already in use") && text.contains("--forward tcp:"), "{text}");
    assert!(text.contains(":80"), "{text}");
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let Err(error) = Machine::new("/no/such/image").emulator(emulator()).spawn() else {
        panic!("it started")
    };
    assert!(error.to_string().contains("/no/such/image"));
}

#[test]
fn crash_reports_are_put_together() {
    let script = "echo '#! crash panicked at main.rs:3'; echo '#! register rip 0000000000100000'; \
                  echo '#! stack 0000000000002000 0100000000000000'; echo '#! crash-end'; \
                  echo '#! register rip 0000000000000000'; echo '#! exit 101'; exit 235";
    let outcome = fake(script).spawn().unwrap().finish();
    assert_eq!(outcome.status, Status::Exited(101));
    assert_eq!(outcome.crashes.len(), 1);
    let crash = &outcome.crashes[0];
    assert_eq!(crash.text, "panicked at main.rs:3");
    assert_eq!(crash.registers["rip"], 0x10_0000);
    assert_eq!(crash.read(0x2000), Some(1));
    assert_eq!(crash.read(0x2001), None);
}

#[test]
fn an_interruption_wakes_the_reader() {
    let mut running = fake("exec sleep 600").spawn().unwrap();
    let interrupter = running.interrupter();
    std::thread::spawn(move || interrupter.interrupt());
    assert_eq!(running.next_line(None), None);
    assert!(running.take_interruption() && !running.ended());
}

#[test]
fn machine_lines_become_events() {
    let outcome = fake("echo '#! test-fail a::b 1 is not 2'; echo '#! exit 108'; exit 249")
        .spawn()
        .unwrap()
        .finish();
    assert_eq!(
        outcome.lines[0].event,
        Some(Event::TestFail { name: "a::b".into(), reason: "1 is not 2".into() })
    );
    assert_eq!(outcome.status, Status::Exited(108));
}
