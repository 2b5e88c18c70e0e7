//! `cargo reflex new`: an appliance outside this repository, as a user makes one.

use crate::guest::{PATIENCE, enter_network};
use crate::tools::{outcome, require};
use reflex_qemu::machine::{Forward, Machine};
use reflex_qemu::process::spawn_tied;
use reflex_qemu::project::cargo;
use reflex_qemu::protocol::Protocol;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The command builds itself and the project first, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(600);

/// `cargo reflex` as it is typed in this folder; what it builds is shared with everybody.
fn reflex(folder: &Path, arguments: &[&str]) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
    let mut command = cargo();
    command.arg("reflex").args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target);
    command
}

fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let (success, output) = outcome(reflex(folder, arguments), LIMIT);
    assert!(success, "cargo reflex {arguments:?}:\n{output}");
    output
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

/// Connects as soon as somebody answers a line with a line.
fn answer(port: u16, question: &str) -> String {
    let deadline = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < deadline, "nobody answers on port {port}");
        std::thread::sleep(Duration::from_millis(50));
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        let _ = stream.set_read_timeout(Some(PATIENCE / 6));
        let mut line = String::new();
        let sent = writeln!(stream, "{question}");
        if sent.is_ok() && BufReader::new(stream).read_line(&mut line).is_ok_and(|read| read > 0) {
            return line;
        }
    }
}

#[test]
fn a_new_appliance_is_built_run_tested_and_shipped() {
    require();
    let home = tempfile::tempdir().expect("a folder");
    let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let folder = home.path().join("sensor");
    succeeds(checkout, &["new", folder.to_str().expect("text")]);

    let report = succeeds(&folder, &["test"]);
    assert!(report.contains("4 passed, 0 failed"), "{report}");

    // All is downloaded now.
    enter_network();
    let forward = Forward::free(Protocol::Tcp, 7);
    let mut command = reflex(&folder, &["run", "--forward", &forward.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let run = Run(spawn_tied(command).expect("the command starts"));
    assert_eq!(answer(forward.host_port, "hello, appliance"), "HELLO, APPLIANCE\n");
    drop(run);

    let image = folder.join("sensor.elf");
    succeeds(&folder, &["image", "-o", image.to_str().expect("text")]);
    // What it wrote is nothing that a build depends on.
    let again = succeeds(&folder, &["image", "-o", image.to_str().expect("text")]);
    assert!(!again.contains("Compiling"), "{again}");
    let mut magic = [0; 4];
    let mut file = std::fs::File::open(&image).expect("the image is there");
    file.read_exact(&mut magic).expect("it is not empty");
    assert_eq!(&magic, b"\x7fELF");
    // What is shipped boots, and serves.
    let mut guest = crate::guest::Guest::start(
        Machine::new(&image)
            .timeout(2 * PATIENCE)
            .network(crate::guest::user(&[(Protocol::Tcp, 7)])),
    );
    let server = guest.endpoint(Protocol::Tcp, 7);
    assert_eq!(answer(server.port(), "shipped"), "SHIPPED\n");
    guest.stop();
    let sizes = succeeds(&folder, &["bench", "size"]);
    assert!(sizes.contains("sensor, stripped") && !sizes.contains("httpd"), "{sizes}");
    needs_an_operating_system(&folder);
}

/// Links silently, as the C library is asked for before an image's arguments forbid it, and would crash: so it is
/// refused, and the function named.
fn needs_an_operating_system(folder: &Path) {
    let main = folder.join("src/main.rs");
    let text = std::fs::read_to_string(&main).expect("the program");
    // Called on the way: nothing that is not reached is linked.
    let begin = "#[reflex::main]\nfn main(system: System) -> Result {\n";
    let call = "    reflex::log::info!(\"{}\", unsafe { getpid() });\n";
    let foreign = "#[link(name = \"c\")]\nunsafe extern \"C\" {\n    fn getpid() -> i32;\n}\n\n";
    let changed = text.replacen(begin, &format!("{foreign}{begin}{call}"), 1);
    assert_ne!(changed, text, "the template's main function is another");
    std::fs::write(&main, changed).expect("writable");
    let (success, output) = outcome(reflex(folder, &["image"]), LIMIT);
    assert!(!success, "{output}");
    let refusal = "would crash: it calls functions that nothing in it defines: getpid";
    assert!(output.contains(refusal), "{output}");
}
