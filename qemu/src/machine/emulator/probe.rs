//! Asks a program what it is, over QEMU's machine protocol (QMP): its version, and the processor it
//! emulates. One start answers both, without a machine, and says neither in words meant for people.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::super::versions::Version;
use super::{EmulatorError, Place};

const ARGUMENTS: [&str; 8] =
    ["-nodefaults", "-no-user-config", "-display", "none", "-M", "none", "-qmp", "stdio"];
const QUESTIONS: &[u8] = b"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-target\"}\n\
    {\"execute\":\"quit\"}\n";
/// No answer is longer.
const LONGEST: u64 = 64 * 1024;

/// What a QEMU says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) version: Version,
    /// The processor it emulates.
    pub(super) target: String,
}

/// Starts the program and reads its answer, which may take so long.
pub(super) fn ask(place: &Place, limit: Duration) -> Result<Answer, EmulatorError> {
    let program = || place.program.clone();
    let unusable = |how: String| EmulatorError::NotQemu { program: program(), how };
    let unstartable = |source| EmulatorError::NotRunnable { program: program(), source };
    let mut command = place.command();
    command.args(ARGUMENTS);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(unstartable)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not listen says why when it is read.
        let _ = stdin.write_all(QUESTIONS);
    }
    let deadline = Instant::now() + limit;
    let (output, errors) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let left = || deadline.saturating_duration_since(Instant::now());
    let (output, errors) = (output.recv_timeout(left()), errors.recv_timeout(left()));
    end(&mut child);
    let (Ok(output), Ok(errors)) = (output, errors) else {
        return Err(unusable(format!("did not answer within {limit:?}")));
    };
    parse(&output).ok_or_else(|| match (errors.trim(), output.trim()) {
        ("", "") => unusable("said nothing".to_owned()),
        ("", said) | (said, _) => unusable(format!("said: {}", beginning(said))),
    })
}

/// As much of a text as an error shows.
fn beginning(text: &str) -> String {
    text.chars().take(500).collect()
}

/// Reads a stream to its end, but not for ever.
fn collect(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What came before an error is still worth showing.
            let _ = stream.take(LONGEST).read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// It has said all it will be asked for.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A line of the protocol; those that are neither a greeting nor an answer have neither part.
#[derive(Deserialize)]
struct Said {
    #[serde(rename = "QMP")]
    greeting: Option<Greeting>,
    #[serde(rename = "return")]
    answer: Option<Target>,
}

#[derive(Deserialize)]
struct Greeting {
    version: Versions,
}

#[derive(Deserialize)]
struct Versions {
    qemu: Numbers,
    #[serde(default)]
    package: String,
}

#[derive(Deserialize)]
struct Numbers {
    major: u32,
    minor: u32,
    micro: u32,
}

#[derive(Deserialize)]
struct Target {
    arch: Option<String>,
}

fn parse(output: &str) -> Option<Answer> {
    let (mut version, mut target) = (None, None);
    for said in output.lines().filter_map(|line| serde_json::from_str::<Said>(line).ok()) {
        if let Some(Greeting { version: Versions { qemu, package } }) = said.greeting {
            let Numbers { major, minor, micro } = qemu;
            version = Some(Version { major, minor, micro, package: package.trim().to_owned() });
        }
        target = said.answer.and_then(|answer| answer.arch).or(target);
    }
    Some(Answer { version: version?, target: target? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What QEMU 7.2.22 printed, carriage returns included.
    const PRINTED: &str = "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \
        \"major\": 7}, \"package\": \"Debian 1:7.2+dfsg-7+deb12u18+b3\"}, \"capabilities\": \
        [\"oob\"]}}\r\n{\"return\": {}}\r\n{\"return\": {\"arch\": \"x86_64\"}}\r\n{\"timestamp\": \
        {\"seconds\": 1796084675, \"microseconds\": 239057}, \"event\": \"SHUTDOWN\", \"data\": \
        {\"guest\": false, \"reason\": \"host-qmp-quit\"}}\r\n{\"return\": {}}\r\n";

    #[test]
    fn version_and_target_are_read() {
        let answer = parse(PRINTED).unwrap();
        assert_eq!(answer.target, "x86_64");
        assert_eq!(answer.version.to_string(), "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)");
    }

    #[test]
    fn half_an_answer_is_none() {
        let greeting = PRINTED.lines().next().unwrap();
        for output in
            ["", "QEMU emulator version 7.2.22", greeting, "{\"return\": {\"arch\": \"x\"}}"]
        {
            assert_eq!(parse(output), None, "{output}");
        }
    }

    /// Why a stand-in of the tests (or another program) is refused.
    fn refused(program: &str, limit: Duration) -> String {
        let fakes = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake"));
        let program = fakes.join(program);
        let place = Place { program, firmware: Vec::new(), libraries: Vec::new() };
        ask(&place, limit).unwrap_err().to_string()
    }

    #[test]
    fn other_programs_are_refused_with_their_words() {
        let long = Duration::from_secs(60);
        assert!(refused("/bin/true", long).contains("said nothing"));
        assert!(refused("/no/such/program", long).contains("cannot be started"));
        assert!(refused("broken/qemu-system-x86_64", long).contains("libslirp.so.0"));
        assert!(refused("endless/qemu-system-x86_64", long).contains("no more of that"));
        let text = refused("silent/qemu-system-x86_64", Duration::from_millis(100));
        assert!(text.contains("did not answer within 100ms"), "{text}");
    }
}
