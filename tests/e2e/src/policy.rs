//! What the command line says of contexts: it is checked at the start, and has the last word
//!

use crate::guest::{Guest, PATIENCE, machine, user};
use reflex_qemu::machine::Status;

const TEST: &str = "test.filter=policy::the_command_line_has_the_last_word log=warn";

#[test]
fn the_command_line_has_the_last_word() {
    for words in [
        "",
        "context.configured.registrations=4 context.configured.memory=16k",
        "context.configured.priority=44 context.configured.kinds=signal",
    ] {
        let machine = machine("guest-tests").append(TEST).append(words);
        let outcome = Guest::start(machine).finish();
        assert!(outcome.status.success(), "{words}: {}", outcome.tail(30));
        let passed = outcome.lines.iter().any(|line| line.text.contains("test-pass policy::"));
        assert!(passed, "{words}: {}", outcome.tail(30));
    }
}

#[test]
fn nonsense_is_refused_at_the_start() {
    for (word, expected) in [
        ("context.web.memory=lots", "context.web.memory: expected a number of bytes"),
        ("context.web.memroy=64k", "context.web.memroy: expected memory, stack,"),
        ("context.web.executors=thread", "context.web.executors: expected none, or some of"),
        ("context.memory=64k", "context.memory: expected a context's name"),
    ] {
        let outcome = Guest::start(machine("hello").append(word)).finish();
        assert_eq!(outcome.status, Status::Exited(103), "{word}: {}", outcome.tail(30));
        let told = outcome.lines.iter().any(|line| line.text.contains(expected));
        assert!(told, "{word}: {}", outcome.tail(30));
    }
}

#[test]
fn a_context_that_is_not_there_is_warned_of() {
    let machine = machine("echo").append("context.eco.memory=64k context.echo.priority=40");
    let mut guest = Guest::start(machine.network(user(&[])));
    let warning = "context.eco: there is no context of that name";
    let told = guest.running.wait_for_text(warning, PATIENCE);
    told.unwrap_or_else(|error| panic!("{error}"));
    let outcome = guest.stop();
    assert!(!outcome.lines.iter().any(|line| line.text.contains("context.echo:")));
}
