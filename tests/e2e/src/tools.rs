//! Clients of the system: found or installed, and run with a time limit.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reflex_qemu::packages::{self, Installing, Package};
use reflex_qemu::process;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

/// All that the tests use.
const TOOLS: [Package; 5] =
    [Package::Qemu, Package::Curl, Package::ApacheBench, Package::Wrk, Package::Ping];

/// Sees to it, once, that every tool is there.
pub(crate) fn require() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        packages::require(&TOOLS, Installing::Allowed).unwrap_or_else(|error| panic!("{error:#}"));
        // A thousand connections are more descriptors than the usual limit.
        if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, most.min(1 << 16), most);
        }
    });
}

/// What a program that ended well has printed.
pub(crate) fn run(program: &str, arguments: &[&str], limit: Duration) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let (success, output) = outcome(command, limit);
    assert!(success, "{program} {arguments:?} failed:\n{output}");
    output
}

/// Whether a program ended well, and what it has printed on both streams.
pub(crate) fn outcome(mut command: Command, limit: Duration) -> (bool, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let typed = format!("{command:?}");
    let mut child = process::spawn_tied(command).unwrap_or_else(|error| panic!("{typed}: {error}"));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = (stdout.map(collect), stderr.map(collect));
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    let text = [stdout, stderr].into_iter().flatten().map(|reader| reader.join());
    let text: String = text.map(|text| text.expect("a reader does not panic")).collect();
    assert!(status.is_some(), "{typed} did not end within {limit:?}:\n{text}");
    (status.is_some_and(|status| status.success()), text)
}

fn collect(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The number that follows `label` in a tool's report.
pub(crate) fn figure(report: &str, label: &str) -> Option<u64> {
    let rest = report.lines().find_map(|line| line.trim_start().strip_prefix(label))?;
    let digits: String =
        rest.trim_start().chars().take_while(|digit| digit.is_ascii_digit()).collect();
    digits.parse().ok()
}

/// A seed of random choices: the one given, or one nobody has chosen. It is printed, and shown
/// when the test fails.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap_or_default().as_nanos() as u64 % 1_000_000_000
    });
    println!("seed {seed} (repeat with REFLEX_SEED={seed})");
    seed
}

/// How often something is done: `usually`, or with `REFLEX_WHOLE=1` as often as it takes to be sure, which
/// takes minutes.
pub(crate) fn times(usually: u64, whole: u64) -> u64 {
    let is_whole = std::env::var("REFLEX_WHOLE").is_ok_and(|given| given == "1");
    if is_whole { whole } else { usually }
}
