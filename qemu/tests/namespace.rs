//! Networks of their own for tests and benchmarks: what is in them, what is not, and what they leave.

mod own;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Barrier;
use std::thread;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use reflex_qemu::machine::{Offloads, Tap};
use reflex_qemu::process;

/// Set for a test that is run once more in a network that plays the user's.
const PLAYED: &str = "REFLEX_TEST_PLAYED";

/// The interfaces that the calling thread sees and that are up. (Some drivers make one in every
/// network, which stays down.)
fn interfaces() -> BTreeSet<String> {
    let up = |interface: &InterfaceAddress| interface.flags.contains(InterfaceFlags::IFF_UP);
    getifaddrs().unwrap().filter(up).map(|interface| interface.interface_name).collect()
}

/// The network of the calling thread, or of the program that is asked.
fn network() -> String {
    std::fs::read_link("/proc/thread-self/ns/net").unwrap().display().to_string()
}

fn printed(mut command: Command) -> String {
    command.stdout(Stdio::piped());
    let mut child = process::spawn_tied(command).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text.trim().to_owned()
}

/// Runs one test of this file in a process of its own.
fn run_test(program: &Path, test: &str, change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(program);
    command.args([test, "--exact"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    change(&mut command);
    process::spawn_tied(command).unwrap().wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn there_is_loopback_and_no_way_out() {
    let before = network();
    own::network();
    let here = network();
    assert_ne!(here, before);
    assert_eq!(interfaces(), BTreeSet::from(["lo".to_owned()]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for address in ["192.0.2.1:9", "198.51.100.1:9", "[2001:db8::1]:9"] {
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{address}: {error}");
    }
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let error = socket.send_to(b"out", "192.0.2.1:9").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{error}");
    // What the test starts is where the test is, be it by another thread, and stays out only when told.
    let mut readlink = Command::new("readlink");
    readlink.arg("/proc/self/ns/net");
    assert_eq!(printed(readlink), here);
    assert_eq!(thread::spawn(network).join().unwrap(), here);
    assert_eq!(process::outside(network), before);
    // It is entered once.
    own::network();
    assert_eq!(network(), here);
}

#[test]
fn two_beside_one_another_do_not_meet_and_leave_the_users_as_it_is() {
    if std::env::var_os(PLAYED).is_none() {
        own::network();
        // The user has taps, with the addresses that tests take.
        let users = [Tap::with_default_network, Tap::fresh].map(|tap| tap(Offloads::Offered));
        let users = users.map(own::permitted);
        let this = "two_beside_one_another_do_not_meet_and_leave_the_users_as_it_is";
        let output = run_test(&std::env::current_exe().unwrap(), this, |command| {
            command.env(PLAYED, "1");
        });
        assert!(output.status.success(), "{}", text(&output));
        drop(users);
        return;
    }
    let before = interfaces();
    let both_are_up = Barrier::new(3);
    let looked = Barrier::new(3);
    let suite = || {
        own::network();
        let tap = own::permitted(Tap::fresh(Offloads::Offered));
        // The same port, on the same address.
        let _listener = TcpListener::bind("127.0.0.1:20000").unwrap();
        both_are_up.wait();
        looked.wait();
        tap.map(|tap| (tap.name().to_owned(), tap.host()))
    };
    thread::scope(|scope| {
        let suites = [scope.spawn(suite), scope.spawn(suite)];
        both_are_up.wait();
        assert_eq!(interfaces(), before);
        assert!(TcpStream::connect("127.0.0.1:20000").is_err());
        looked.wait();
        let [one, two] = suites.map(|suite| suite.join().unwrap());
        assert_eq!(one, two);
    });
    assert_eq!(interfaces(), before);
}

/// As a user who is not root: the right comes from a user namespace, or its refusal is explained.
#[test]
fn a_user_without_rights_gets_one_or_is_told_what_to_do() {
    if !nix::unistd::geteuid().is_root() {
        // The other tests of this file show it.
        return;
    }
    // The user `nobody` may not reach this program where it lies.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("namespace");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let everybody = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    everybody(folder.path());
    everybody(&program);
    let as_nobody = |mark: Option<&str>| {
        run_test(&program, "there_is_loopback_and_no_way_out", |command| {
            command.uid(65534).gid(65534).current_dir("/").envs(mark.map(|mark| (mark, "1")));
        })
    };
    let told = |output: &Output| {
        let text = text(output);
        text.contains("making one was refused") && text.contains("run as root")
    };
    let output = as_nobody(None);
    assert!(output.status.success() || told(&output), "{}", text(&output));
    // As if the user namespace had not brought the right: it is not tried for ever.
    let output = as_nobody(Some("REFLEX_USER_NAMESPACE"));
    assert!(!output.status.success() && told(&output), "{}", text(&output));
}
