//! The key-value server, and the clients of redis that people use: Debian's `redis-cli` and `redis-benchmark`, over a
//! tap and over user networking.

use crate::place::{Place, Program};
use crate::programs::Programs;
use reflex_qemu::build;
use reflex_qemu::machine::{Forward, Machine, Network, Offloads, Running, Status, Tap};
use reflex_qemu::protocol::Protocol;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Where the packages are unpacked, in the cache.
const FOLDER: &str = "redis";
const PACKAGES: [&str; 1] = ["redis-tools"];
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest a guest lives.
const LIFE: Duration = Duration::from_secs(600);
const DATA: u16 = 6379;
const ADMINISTRATION: u16 = 6380;
/// Keys that are sent at once, and bytes of each value.
const KEYS: usize = 40_000;
const VALUE: usize = 200;

/// How the server is reached.
#[derive(Clone, Copy)]
enum Way {
    Tap,
    User,
}

/// A server that runs, and clients on its network.
struct Lab {
    place: Place,
    programs: Programs,
    guest: Running,
    folder: tempfile::TempDir,
}

impl Lab {
    /// Boots the server, once there are the clients.
    fn open(way: Way) -> Option<Self> {
        let programs = Programs::of(FOLDER, &PACKAGES)?;
        let place = Place::new()?;
        let network = match way {
            Way::Tap => {
                let tap = place.run(|| Tap::fresh(Offloads::Withheld));
                Network::Tap(tap.unwrap_or_else(|error| panic!("{error}")))
            }
            Way::User => {
                let ports = [DATA, ADMINISTRATION];
                Network::User(ports.map(|port| Forward::free(Protocol::Tcp, port)).into())
            }
        };
        let file = build::image("keyval").unwrap_or_else(|error| panic!("{error:#}"));
        let machine = Machine::new(file).network(network).memory_mib(64).timeout(LIFE);
        let guest = place.run(move || machine.spawn().map_err(|error| error.to_string()));
        let mut guest = guest.unwrap_or_else(|error| panic!("{error}"));
        for port in [DATA, ADMINISTRATION] {
            let listening = guest.wait_for_listen(Protocol::Tcp, port, PATIENCE);
            listening.unwrap_or_else(|error| panic!("{error}"));
        }
        guest.wait_for_address(PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        let folder = tempfile::tempdir().expect("a folder");
        Some(Self { place, programs, guest, folder })
    }

    /// The host and the port by which clients reach a port of the server.
    fn endpoint(&self, port: u16) -> SocketAddr {
        self.guest.endpoint(Protocol::Tcp, port).expect("the network leads to the guest")
    }

    /// Starts a client of a port.
    fn start(&self, program: &str, port: u16, arguments: &[&str]) -> Program {
        let server = self.endpoint(port);
        let mut command = self.programs.command(program);
        command.args(["-h", &server.ip().to_string(), "-p", &server.port().to_string()]);
        command.args(arguments);
        self.place.start(command, self.folder.path(), program)
    }

    /// What a client says that ends well.
    fn run(&self, program: &str, port: u16, arguments: &[&str]) -> String {
        let mut running = self.start(program, port, arguments);
        assert!(running.wait(PATIENCE), "{arguments:?}:\n{}", running.log());
        running.log()
    }

    /// What `redis-cli` prints of a command's answer.
    fn ask(&self, words: &[&str]) -> String {
        self.run("redis-cli", DATA, words).trim_end().to_owned()
    }

    /// A number of INFO's, at the administrative port.
    fn info(&self, name: &str) -> u64 {
        let text = self.run("redis-cli", ADMINISTRATION, &["INFO"]);
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{name}: {text}"))
    }

    /// Ends a server that has to be alive and well still.
    fn stop(self) {
        let outcome = self.guest.kill();
        assert_eq!(outcome.status, Status::Killed, "\n{}", outcome.tail(30));
        assert!(!outcome.crashed(), "{:?}\n{}", outcome.crashes, outcome.tail(30));
    }
}

/// A file for `redis-cli --pipe`: many SETs.
fn commands(folder: &Path) -> std::fs::File {
    let mut text = String::new();
    for number in 0..KEYS {
        let value = format!("{number:0VALUE$}");
        text += &format!("*3\r\n$3\r\nSET\r\n$12\r\nkey:{number:08}\r\n${VALUE}\r\n{value}\r\n");
    }
    let file = folder.join("commands");
    std::fs::write(&file, text).expect("a file");
    std::fs::File::open(file).expect("it is there")
}

/// The commands of every kind, as people type them, and what the client makes of the answers.
fn commands_are_answered(lab: &Lab) {
    assert_eq!(lab.ask(&["PING"]), "PONG");
    assert_eq!(lab.ask(&["SET", "a", "one two", "EX", "100"]), "OK");
    assert_eq!(lab.ask(&["GET", "a"]), "one two");
    assert_eq!(lab.ask(&["TTL", "a"]), "100");
    assert_eq!(lab.ask(&["SET", "a", "x", "NX"]), "");
    assert_eq!(lab.ask(&["INCRBY", "n", "41"]), "41");
    assert_eq!(lab.ask(&["INCR", "n"]), "42");
    assert_eq!(lab.ask(&["MGET", "n", "none", "a"]), "42\n\none two");
    assert_eq!(lab.ask(&["APPEND", "n", "!"]), "3");
    assert!(lab.ask(&["INCR", "n"]).starts_with("ERR value is not an integer"));
    assert_eq!(lab.ask(&["DEL", "a", "n", "none"]), "2");
    assert_eq!(lab.ask(&["CONFIG", "GET", "maxmemory-policy"]), "maxmemory-policy\nallkeys-lru");
    assert!(lab.ask(&["COMMAND", "INFO", "get"]).starts_with("get\n2\n"));
    assert!(lab.ask(&["NONSENSE"]).starts_with("ERR unknown command 'NONSENSE'"));
}

/// 40,000 keys by `--pipe`, which counts what is answered; a scan of `redis-cli` meets all of them.
fn many_keys_are_taken_at_once(lab: &Lab) {
    let server = lab.endpoint(DATA);
    let mut command = lab.programs.command("redis-cli");
    command.args(["-h", &server.ip().to_string(), "-p", &server.port().to_string(), "--pipe"]);
    let log = std::fs::File::create(lab.folder.path().join("pipe.out")).expect("a file");
    let files = [commands(lab.folder.path()), log];
    let mut running = lab.place.start_between(command, files, lab.folder.path(), "pipe");
    assert!(running.wait(PATIENCE), "{}", running.log());
    let said = std::fs::read_to_string(lab.folder.path().join("pipe.out")).expect("its words");
    assert!(said.contains(&format!("errors: 0, replies: {KEYS}")), "{said}");
    assert_eq!(lab.ask(&["DBSIZE"]), KEYS.to_string());
    assert_eq!(lab.info("evicted_keys"), 0);
    let keys = lab.ask(&["--scan", "--pattern", "key:0003*"]);
    assert_eq!(keys.lines().count(), 10_000);
    assert_eq!(lab.ask(&["FLUSHALL"]), "OK");
    assert_eq!(lab.ask(&["DBSIZE"]), "0");
}

/// `redis-benchmark`, without an error: each test has an answer to every request.
fn the_benchmark_runs(lab: &Lab, clients: &str) {
    let tests = "ping_inline,ping_mbulk,set,get,incr,mset";
    for pipeline in ["1", "16"] {
        let arguments = ["-c", clients, "-P", pipeline, "-n", "5000", "-r", "1000", "-t", tests];
        let said = lab.run("redis-benchmark", DATA, &[&arguments[..], &["--csv"]].concat());
        let answered = said.lines().filter(|line| line.starts_with('"')).count();
        assert_eq!(answered, 1 + tests.split(',').count(), "{said}");
        assert!(!said.contains("rror"), "{said}");
    }
    assert_eq!((lab.info("protocol_errors"), lab.info("total_error_replies")), (0, 2));
}

#[test]
fn clients_of_redis_are_served_on_a_tap() {
    let Some(lab) = Lab::open(Way::Tap) else { return };
    commands_are_answered(&lab);
    many_keys_are_taken_at_once(&lab);
    the_benchmark_runs(&lab, "50");
    lab.stop();
}

/// QEMU's user network takes hardly more than one new connection at a time.
#[test]
fn clients_of_redis_are_served_over_user_networking() {
    let Some(lab) = Lab::open(Way::User) else { return };
    commands_are_answered(&lab);
    many_keys_are_taken_at_once(&lab);
    the_benchmark_runs(&lab, "1");
    lab.stop();
}
