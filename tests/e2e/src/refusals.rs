//! What an image cannot run with: one line that says why, and a status of its own.

use crate::guest::{Guest, machine, user};
use reflex_qemu::machine::{Entropy, Machine, Model, Network, Outcome, Status};
use reflex_qemu::protocol::Protocol;

/// The one line in which an image that ended with `status` said why.
fn refusal(machine: Machine, status: u8) -> String {
    let outcome = Guest::start(machine).finish();
    assert_eq!(outcome.status, Status::Exited(status), "\n{}", outcome.tail(30));
    assert!(outcome.crashes.is_empty(), "{}", outcome.tail(30));
    reason(&outcome)
}

fn reason(outcome: &Outcome) -> String {
    let errors: Vec<&str> = outcome
        .lines
        .iter()
        .map(|line| line.text.as_str())
        .filter(|line| line.contains("] ERROR "))
        .collect();
    let [reason] = errors[..] else { panic!("not one reason: {errors:?}") };
    reason.to_owned()
}

#[test]
fn a_bad_command_line_value() {
    for (text, expected) in [
        ("ip=10.77.0.2", "ip:"),
        ("ip=10.77.0.300/24", "ip:"),
        ("ip=10.77.0.2/24 gw=router", "gw:"),
        ("gw=10.77.0.1", "gw:"),
        ("log=loud", "log:"),
        ("heap=127k", "heap:"),
        ("log=info log=warn", "only once"),
    ] {
        let reason = refusal(machine("hello").append(text), 103);
        assert!(reason.contains("command line") && reason.contains(expected), "{text}: {reason}");
    }
}

/// A key that was mistyped is no key: what it was to be is named where it can be told.
#[test]
fn a_key_that_is_unknown_or_out_of_its_bounds() {
    for (image, text, expected) in [
        ("httpd", "conections=3", "conections: there is no such key; perhaps connections?"),
        ("hello", "log=info shutdwon=1", "shutdwon: there is no such key; perhaps shutdown?"),
        ("hello", "connections=3", "connections: there is no such key; `help` prints them all"),
        ("httpd", "connections=0", "connections: expected a number from 1 to 1048576, not `0`"),
        ("httpd", "connections=+3", "connections: expected a number"),
        ("hello", "shutdown=4000", "shutdown: expected a number from 0 to 3600"),
    ] {
        let reason = refusal(machine(image).append(text), 103);
        assert!(reason.contains(expected), "{image} {text}: {reason}");
    }
}

#[test]
fn a_metric_that_is_declared_twice() {
    let reason = refusal(machine("twice"), 1);
    for part in ["the metric twice_done_total is declared twice", "twice.rs:9:", "twice.rs:13:"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
}

#[test]
fn what_boot_loaders_add_is_ignored_with_a_line() {
    let keys = ["BOOT_IMAGE", "console", "reboot", "panic", "pci"];
    let words = "BOOT_IMAGE=/hello console=ttyS0 reboot=k panic=1 pci=off";
    let outcome = Guest::start(machine("hello").append(words)).finish();
    assert!(outcome.status.success(), "{}", outcome.tail(30));
    for key in keys {
        let line = format!("command line: {key} is for other systems, and ignored");
        assert!(outcome.tail(30).contains(&line), "{}", outcome.tail(30));
    }
}

#[test]
fn help_prints_all_keys() {
    let outcome = Guest::start(machine("httpd").append("help log=error")).finish();
    assert!(outcome.status.success(), "{}", outcome.tail(40));
    let connections = "connections=N  how many there may be at a time [as many as half";
    for line in [connections, "shutdown=SECONDS  ", "ip=dhcp|ADDRESS/PREFIX  ", "help  "] {
        assert!(outcome.tail(40).contains(line), "{}", outcome.tail(40));
    }
}

#[test]
fn a_command_line_that_is_too_long() {
    let reason = refusal(machine("hello").append("x".repeat(2048)), 103);
    assert!(reason.contains("command line is longer"), "{reason}");
}

#[test]
fn no_network_interface() {
    for model in [Model::Q35, Model::Microvm] {
        let reason = refusal(machine("httpd").model(model).network(Network::None), 104);
        assert!(reason.contains("network interface"), "{reason}");
    }
}

#[test]
fn too_little_memory() {
    let network = || user(&[(Protocol::Tcp, 80)]);
    let reason = refusal(machine("httpd").memory_mib(2).network(network()), 105);
    assert!(reason.contains("memory"), "{reason}");
}

/// Whatever the memory, an image either serves or says that it has too little.
#[test]
fn scarce_memory_is_served_in_or_refused() {
    let mut guest =
        Guest::start(machine("httpd").memory_mib(3).network(user(&[(Protocol::Tcp, 80)])));
    let listening =
        guest.running.wait_for_listen(Protocol::Tcp, 80, crate::guest::PATIENCE).is_ok();
    if listening {
        let server = guest.endpoint(Protocol::Tcp, 80);
        crate::http::assert_serves(server);
        guest.stop();
    } else {
        let outcome = guest.finish();
        assert_eq!(outcome.status, Status::Exited(105), "\n{}", outcome.tail(30));
    }
}

#[test]
fn no_source_of_random_numbers() {
    for model in [Model::Q35, Model::Microvm] {
        let reason = refusal(machine("hello").model(model).entropy(Entropy::None), 106);
        assert!(reason.contains("entropy"), "{reason}");
    }
}

/// The heap keeps its bound; what it refuses it tells, with the context and the amounts, and seldom: at the
/// first, second, fourth, eighth … refusal.
#[test]
fn what_the_heap_refuses_is_told_with_the_amounts_and_not_too_often() {
    let outcome = Guest::start(machine("misbehave").append("by=heap heap=512k")).finish();
    assert_eq!(outcome.status, Status::Exited(105), "\n{}", outcome.tail(30));
    let reason = reason(&outcome);
    let amounts = "bytes are in use, 524288 allowed, ";
    assert!(reason.contains("memory allocation of 524288 bytes failed: "), "{reason}");
    assert!(reason.contains(amounts) && reason.contains(" left in the machine"), "{reason}");
    let lines = || outcome.lines.iter().map(|line| line.text.as_str());
    assert!(lines().any(|line| line.contains("refused 99 of 99")), "{}", outcome.tail(30));
    let told: Vec<&str> = lines().filter(|line| line.contains("is refused")).collect();
    assert!((6..=8).contains(&told.len()), "{told:#?}");
    for line in told {
        assert!(line.contains("\"main\"") && line.contains(amounts), "{line}");
    }
}

/// What a context is refused is told with its name, what it asked for and what there is, and seldom: memory,
/// registrations, and a context itself.
#[test]
fn what_a_context_is_refused_is_told_with_the_amounts() {
    let outcome = Guest::start(machine("misbehave").append("by=refused")).finish();
    assert_eq!(outcome.status, Status::Exited(0), "\n{}", outcome.tail(30));
    let lines: Vec<&str> = outcome.lines.iter().map(|line| line.text.as_str()).collect();
    let all = lines.join("\n");
    assert!(all.contains("refused 9 pieces, 9 registrations, a context: true"), "{all}");
    let told = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    // Eighteen refusals, of which the first, second, fourth, eighth and sixteenth are told.
    assert_eq!(told("\"greedy\" is refused"), 5, "{all}");
    assert_eq!(told("\"greedy\" is refused 5000 bytes of event memory: "), 4, "{all}");
    assert_eq!(told("of 3520 are in use, 0 set aside, at most "), 4, "{all}");
    assert_eq!(
        told("\"greedy\" is refused a registration: it may have 3, and has them"),
        1,
        "{all}"
    );
    let context = "\"huge\" is refused 16384 bytes of stack and 1099511627776 of event memory: ";
    assert_eq!(told(context), 1, "{all}");
}
