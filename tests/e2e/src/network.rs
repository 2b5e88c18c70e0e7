//! The network that a test has for itself: suites do not meet, and a killed one leaves nothing.

use crate::guest::{PATIENCE, Seats, enter_network, skips};
use crate::tools::{outcome, require};
use nix::ifaddrs::getifaddrs;
use reflex_qemu::build;
use reflex_qemu::process::spawn_tied;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// This suite as another command runs it, in the network of the calling thread: one test, with the
/// image that it boots.
fn suite(test: &str, image: &str) -> Command {
    let file = build::image(image).unwrap_or_else(|error| panic!("{image}: {error:#}"));
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args([test, "--exact"]).env(build::variable(image), file);
    command
}

fn interfaces() -> BTreeSet<String> {
    let found = getifaddrs().expect("interfaces can be listed");
    found.map(|interface| interface.interface_name).collect()
}

/// A network that plays the user's, in which suites may run; `None` where a test may be skipped.
fn user() -> Option<Seats> {
    require();
    if !enter_network() && skips(&"a network of its own is refused") {
        return None;
    }
    Some(Seats::all())
}

#[test]
fn two_suites_run_beside_one_another() {
    let Some(_seats) = user() else { return };
    let before = interfaces();
    let suites =
        || thread::spawn(|| outcome(suite("echo::a_fixed_address_on_a_tap", "echo"), 4 * PATIENCE));
    let suites = [suites(), suites()];
    while suites.iter().any(|suite| !suite.is_finished()) {
        assert_eq!(interfaces(), before);
        thread::sleep(Duration::from_millis(20));
    }
    for suite in suites {
        let (success, output) = suite.join().expect("a thread that waits");
        assert!(success && output.contains("1 passed"), "{output}");
    }
    assert_eq!(interfaces(), before);
}

/// A process: its number, its parent's, and its network.
fn processes() -> Vec<(u32, u32, String)> {
    let entries = fs::read_dir("/proc").expect("processes can be listed");
    let known = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let number = path.file_name()?.to_str()?.parse().ok()?;
        // After the name, which may hold anything, come the state and the parent's number.
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let parent = stat.rsplit(')').next()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        let network = fs::read_link(path.join("ns/net")).ok()?;
        Some((number, parent, network.display().to_string()))
    });
    known.collect()
}

#[test]
fn a_killed_suite_leaves_nothing() {
    let Some(_seats) = user() else { return };
    let before = interfaces();
    let here = fs::read_link("/proc/thread-self/ns/net").expect("a network").display().to_string();
    let deadline = Instant::now() + 2 * PATIENCE;
    let mut command = suite("hostile::a_head_that_does_not_come_is_answered_with_408", "httpd");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut suite = spawn_tied(command).expect("it starts");
    // Until its guest runs, in the network that it has made.
    let network = loop {
        let made = |(_, parent, network): &(u32, u32, String)| {
            (*parent == suite.id() && *network != here).then(|| network.clone())
        };
        if let Some(network) = processes().iter().find_map(made) {
            break network;
        }
        assert!(Instant::now() < deadline, "no guest was started");
        thread::sleep(Duration::from_millis(5));
    };
    suite.kill().expect("it runs");
    suite.wait().expect("it has ended");
    while processes().iter().any(|(_, _, theirs)| *theirs == network) {
        assert!(Instant::now() < deadline, "its processes go on: {:?}", processes());
        thread::sleep(Duration::from_millis(5));
    }
    // A network without processes lives on only where it has a name: none was given.
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts can be listed");
    assert!(!mounts.contains(&network), "{mounts}");
    assert_eq!(interfaces(), before);
}
