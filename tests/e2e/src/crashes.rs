//! What the host is told of an image that goes wrong, and that none of it is taken for success.

use crate::guest::{Guest, PATIENCE, machine};
use reflex_qemu::crash::Symbols;
use reflex_qemu::machine::{Machine, Model, Outcome, Status};
use std::time::Duration;

fn misbehaving(by: &str) -> Machine {
    machine("misbehave").append(format!("by={by}"))
}

fn outcome(by: &str) -> Outcome {
    Guest::start(misbehaving(by)).finish()
}

/// The report of an image that crashed with this status, named by its symbols.
fn report(by: &str, status: u8) -> String {
    report_of(misbehaving(by), by, status)
}

fn report_on(by: &str, status: u8, cpus: u32) -> String {
    report_of(misbehaving(by).cpus(cpus), by, status)
}

fn report_of(machine: Machine, by: &str, status: u8) -> String {
    let symbols = Symbols::load(machine.image()).expect("the image has symbols");
    let outcome = Guest::start(machine).finish();
    assert_eq!(outcome.status, Status::Exited(status), "{by}\n{}", outcome.tail(30));
    let [crash] = &outcome.crashes[..] else { panic!("{by}: {:?}", outcome.crashes) };
    crash.render(Some(&symbols))
}

/// The number of the line of a misbehaving image's source that holds `text`.
fn line_of(file: &str, text: &str) -> usize {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../misbehave/src/");
    let source = std::fs::read_to_string(format!("{folder}{file}")).expect("a source");
    let at = source.lines().position(|line| line.contains(text));
    at.unwrap_or_else(|| panic!("{text} is not in {file}")) + 1
}

#[test]
fn an_image_that_does_nothing_wrong_succeeds() {
    let outcome = Guest::start(machine("misbehave")).finish();
    assert!(outcome.status.success(), "{}", outcome.tail(30));
}

#[test]
fn the_status_is_the_applications_own() {
    for status in [1, 2, 42, 100] {
        let machine = machine("misbehave").append(format!("status={status}"));
        assert_eq!(Guest::start(machine).finish().status, Status::Exited(status));
    }
}

#[test]
fn an_error_of_main_is_status_1_and_its_reason_is_logged() {
    let outcome = outcome("error");
    assert_eq!(outcome.status, Status::Exited(1));
    assert!(outcome.tail(3).contains("told to fail"), "{}", outcome.tail(30));
    assert!(outcome.crashes.is_empty());
}

#[test]
fn a_panic_is_told_with_function_and_line() {
    let report = report("panic", 101);
    let line = line_of("main.rs", "panic!(\"told to panic\")");
    assert!(report.contains("told to panic"), "{report}");
    assert!(report.contains(&format!("misbehave/src/main.rs:{line}")), "{report}");
    assert!(report.matches("misbehave::panic_below").count() >= 3, "{report}");
    assert!(report.contains("misbehave::main"), "{report}");
}

/// A crash on one core stops the others, and says where each was.
#[test]
fn a_crash_tells_of_every_core() {
    for (cpus, model) in [(2, Model::Q35), (4, Model::Microvm), (8, Model::Q35)] {
        let machine = misbehaving("panic").cpus(cpus).model(model);
        let symbols = Symbols::load(machine.image()).expect("the image has symbols");
        let outcome = Guest::start(machine).finish();
        assert_eq!(outcome.status, Status::Exited(101), "{}", outcome.tail(30));
        let [crash] = &outcome.crashes[..] else { panic!("{}", outcome.tail(30)) };
        assert!(crash.render(Some(&symbols)).contains("misbehave::panic_below"));
        let numbers: Vec<Option<u32>> = crash.others.iter().map(|other| other.core).collect();
        assert_eq!(numbers, (1..cpus).map(Some).collect::<Vec<_>>());
        for other in &crash.others {
            let text = other.render(Some(&symbols));
            assert!(text.contains("no context") && text.contains("   0: "), "{text}");
        }
    }
}

/// A crash on a core that is not the first: that one ends the image, and the first is stopped.
#[test]
fn a_crash_on_another_core_is_told_whole() {
    let report = report_on("panic-elsewhere", 101, 4);
    let line = line_of("elsewhere.rs", "panic!(\"told to panic elsewhere\")");
    assert!(report.contains(&format!("misbehave/src/elsewhere.rs:{line}")), "{report}");
    let first = report.split_once("at that time on core 0: ").expect("the first is told of").1;
    assert!(first.contains("\"main\"") && first.contains("elsewhere::panic"), "{report}");
    for core in [2, 3] {
        assert!(report.contains(&format!("at that time on core {core}: ")), "{report}");
    }
}

/// A core that has read a page does not read it any more once another has unmapped it: it has forgotten where the
/// page was.
#[test]
fn what_is_unmapped_is_reached_by_no_other_core() {
    for cpus in [2, 4] {
        let report = report_on("unmapped", 102, cpus);
        assert!(report.contains("page fault"), "{report}");
        assert!(report.contains("misbehave::elsewhere::read"), "{report}");
    }
}

/// The end that is asked for stops the others, too.
#[test]
fn an_image_of_several_cores_ends_with_its_status() {
    let machine = machine("misbehave").append("status=42").cpus(4);
    assert_eq!(Guest::start(machine).finish().status, Status::Exited(42));
}

#[test]
fn a_panic_of_a_handler_names_its_context() {
    let outcome = outcome("handler-panic");
    assert_eq!(outcome.status, Status::Exited(101));
    assert!(outcome.tail(usize::MAX).contains("\"culprit\""), "{}", outcome.tail(usize::MAX));
    let report = report("handler-panic", 101);
    assert!(report.contains("misbehave::panic_below"), "{report}");
}

/// Page zero is not mapped, text is not writable, data is not executable.
#[test]
fn what_memory_protection_stops_is_told_with_function_and_line() {
    for (by, function, reason) in [
        ("null", "read_null", "address 0x0"),
        ("write-text", "write_text", "page fault"),
        ("execute-data", "execute_data", "page fault"),
        ("invalid-opcode", "invalid_opcode", "invalid opcode"),
    ] {
        let report = report(by, 102);
        assert!(report.contains(reason), "{by}: {report}");
        assert!(report.contains(function), "{by}: {report}");
        assert!(report.contains("misbehave/src/faults.rs:"), "{by}: {report}");
    }
}

/// The page under a handler's stack is a guard: nothing else is written over.
#[test]
fn a_stack_overflow_is_stopped_at_the_guard_and_told() {
    let report = report("overflow", 102);
    assert!(report.contains("page fault"), "{report}");
    assert!(report.contains("misbehave::faults::descend"), "{report}");
}

/// Waits until an image has said that it goes on, and gives it three seconds to do otherwise.
fn goes_on(by: &str, text: &str) -> Outcome {
    let mut guest = Guest::start(misbehaving(by));
    guest.running.wait_for_text(text, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    guest.running.end_after(Duration::from_secs(3));
    guest.finish()
}

#[test]
fn a_guest_that_hangs_is_ended_and_no_success() {
    let outcome = goes_on("hang", "hanging");
    assert_eq!(outcome.status, Status::TimedOut);
    assert!(!outcome.status.success());
}

/// An image stays alive after its `main` has returned; it takes the host to end it.
#[test]
fn an_idle_image_stays_alive() {
    let outcome = goes_on("wait", "waiting");
    assert_eq!(outcome.status, Status::TimedOut, "{}", outcome.tail(30));
}
