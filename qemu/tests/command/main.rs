//! The command as a person starts it, on a project of its own and with a program that stands in
//! for QEMU (`fake/qemu-system-x86_64`, which runs `FAKE_QEMU_SCRIPT`).

mod installing;
#[path = "../own/mod.rs"]
mod own;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reflex_qemu::machine::Forward;
use reflex_qemu::protocol::Protocol;

const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake");
const LIMIT: Duration = Duration::from_secs(60);

/// A project with a crate `reflex` that is empty, an appliance `app` and its test image.
fn project() -> PathBuf {
    static WRITTEN: Once = Once::new();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("command");
    WRITTEN.call_once(|| {
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("reflex/Cargo.toml", "[package]\nname = \"reflex\"\nedition = \"2024\"\n");
        write("reflex/src/lib.rs", "");
        write(
            "app/Cargo.toml",
            "[package]\nname = \"app\"\nedition = \"2024\"\nautotests = false\n\
             [package.metadata.reflex]\nforward = [\"tcp:18399:80\"]\ntests = [\"app-tests\"]\n\
             [dependencies]\nreflex = { path = \"../reflex\" }\n\
             [[bin]]\nname = \"app\"\npath = \"src/main.rs\"\ntest = false\n\
             [[bin]]\nname = \"app-tests\"\npath = \"tests/image.rs\"\ntest = false\n\
             [workspace]\n",
        );
        write("app/src/main.rs", "fn main() {}\n");
        write("app/tests/image.rs", "fn main() {}\n");
        write("app/src/lib.rs", "#[test]\nfn one() {}\n\n#[test]\nfn two() {}\n");
    });
    root.join("app")
}

/// The command, with the fake first on the search path, in a network of the test's own.
fn reflex(script: &str) -> Command {
    own::network();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-reflex"));
    let path = format!("{FAKE}:{}", std::env::var("PATH").unwrap());
    command.env("PATH", path).env("FAKE_QEMU_SCRIPT", script).current_dir(project());
    command.env_remove("REFLEX_QEMU").env_remove("REFLEX_QEMU_NEWEST");
    command.env("CARGO_TARGET_DIR", project().join("target")).stdin(Stdio::null());
    command
}

/// Boots a file that needs no build.
fn boot(script: &str, options: &[&str]) -> Output {
    let file = format!("{FAKE}/qemu-system-x86_64");
    reflex(script).args(["run", &file, "--net", "none"]).args(options).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

#[test]
fn the_exit_status_is_the_guests() {
    for (script, expected) in [
        ("echo '#! exit 0'; exit 33", 0),
        ("echo '#! exit 7'; exit 47", 7),
        ("echo '#! exit 101'; exit 235", 101),
        ("exit 33", 125),
        ("exit 0", 125),
        ("echo '#! exit 0'; kill -KILL $$", 125),
        ("echo no such machine >&2; exit 1", 126),
    ] {
        assert_eq!(code(&boot(script, &[])), expected, "{script}");
    }
}

#[test]
fn the_log_is_shown_without_the_lines_for_machines() {
    let script = "echo hello; echo '#! listen tcp 80'; echo '#! exit 0'; exit 33";
    let output = boot(script, &[]);
    assert_eq!(stdout(&output), "hello\n");
    assert!(stderr(&output).contains("exited with status 0 (success)"), "{}", stderr(&output));
    let verbose = boot(script, &["--verbose"]);
    assert_eq!(stdout(&verbose), "hello\n#! listen tcp 80\n#! exit 0\n");
}

#[test]
fn a_crash_report_is_shown_once() {
    let script = "echo '#! crash panicked: no more'; echo '#! register rip 0000000000000010'; \
                  echo '#! crash-end'; echo '#! exit 101'; exit 235";
    let output = boot(script, &[]);
    assert_eq!(stdout(&output), "");
    assert_eq!(stderr(&output).matches("no more").count(), 1, "{}", stderr(&output));
    let cut_off = boot("echo '#! crash panicked: no more'; kill -KILL $$", &[]);
    assert_eq!(stderr(&cut_off).matches("no more").count(), 1);
}

#[test]
fn a_time_out_ends_the_guest() {
    let output = boot("echo up; exec sleep 600", &["--timeout", "1"]);
    assert_eq!(code(&output), 124);
    assert!(stderr(&output).contains("timed out after 1 s"), "{}", stderr(&output));
}

#[test]
fn the_port_to_try_is_told() {
    own::network();
    let forward = Forward::free(Protocol::Tcp, 80);
    let file = format!("{FAKE}/qemu-system-x86_64");
    let script = "echo '#! listen tcp 80'; echo '#! listen udp 53'; echo '#! exit 0'; exit 33";
    let output =
        reflex(script).args(["run", &file, "--forward", &forward.to_string()]).output().unwrap();
    let text = stderr(&output);
    assert!(text.contains(&format!("http://127.0.0.1:{}/", forward.host_port)), "{text}");
    assert!(text.contains("udp port 53 is not forwarded: pass --forward udp:"), "{text}");
}

/// Starts a guest that never ends; returns the command and the guest's process number.
fn endless() -> (Child, u32) {
    let file = format!("{FAKE}/qemu-system-x86_64");
    let mut child = reflex("echo guest $$; exec sleep 600")
        .args(["reflex", "run", &file, "--net", "none"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let guest = line.trim().strip_prefix("guest ").unwrap().parse().unwrap();
    (child, guest)
}

/// Waits for the end of a process that is not ours to wait for.
fn assert_ends(pid: u32) {
    let deadline = Instant::now() + LIMIT;
    let runs = |pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with(|state| state != 'Z' && state != 'X'))
    };
    while runs(pid) {
        assert!(Instant::now() < deadline, "process {pid} goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_asks_the_guest_to_end_and_the_second_ends_it() {
    let (mut child, guest) = endless();
    let pid = Pid::from_raw(child.id() as i32);
    kill(pid, Signal::SIGINT).unwrap();
    let told = BufReader::new(child.stderr.take().unwrap());
    let asked =
        told.lines().map_while(Result::ok).any(|line| line.contains("Ctrl-C again ends it"));
    assert!(asked, "nobody asked the guest");
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_ends(guest);
}

#[test]
fn no_guest_outlives_a_killed_command() {
    let (mut child, guest) = endless();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ends(guest);
}

/// The processes in a network, by the name that `/proc` has for it.
fn processes_in(network: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let within = processes.filter(|process| {
        let theirs = fs::read_link(process.path().join("ns/net"));
        theirs.is_ok_and(|theirs| theirs.as_os_str() == network)
    });
    within.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_killed_benchmark_leaves_neither_guest_nor_network() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let script = format!(
        "readlink /proc/self/ns/net > {0}.new; echo $$ >> {0}.new; \
         mv {0}.new {0}; exec sleep 600",
        told.display()
    );
    let mut command = reflex(&script);
    command
        .args(["bench", "memory"])
        .env("REFLEX_IMAGE_HTTPD", format!("{FAKE}/qemu-system-x86_64"));
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    let told = loop {
        assert!(Instant::now() < deadline, "no guest was started");
        match fs::read_to_string(&told) {
            Ok(text) => break text,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let (network, guest) = told.trim().split_once('\n').unwrap();
    assert_ne!(fs::read_link("/proc/thread-self/ns/net").unwrap().as_os_str(), network);
    assert!(processes_in(network).contains(&guest.to_owned()));
    child.kill().unwrap();
    child.wait().unwrap();
    // It has no name: without a process in it, it is gone.
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(network));
    while !processes_in(network).is_empty() {
        assert!(Instant::now() < deadline, "{:?} are left", processes_in(network));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_taken_port_is_said_before_anything_is_built() {
    own::network();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let output = reflex("exit 0")
        .args(["run", "app", "--forward", &format!("tcp:{port}:80")])
        .env("CARGO_TARGET_DIR", "/dev/null/unusable")
        .output()
        .unwrap();
    let text = stderr(&output);
    assert!(text.contains(&format!("tcp port {port} on 127.0.0.1 is already in use")), "{text}");
    assert!(text.contains("choose another with --forward tcp:"), "{text}");
    assert_eq!(code(&output), 1);
}

#[test]
fn the_appliance_of_the_folder_is_built_and_booted() {
    let output = reflex("echo '#! exit 3'; exit 39").args(["run"]).output().unwrap();
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("Booting app"), "{}", stderr(&output));
}

#[test]
fn an_unknown_name_brings_the_known_ones() {
    let output = reflex("").args(["run", "nothing"]).output().unwrap();
    let text = stderr(&output);
    assert!(text.contains("no image `nothing`") && text.contains("app, app-tests"), "{text}");
}

#[test]
fn outside_a_project_it_says_how_to_make_one() {
    let empty = tempfile::tempdir().unwrap();
    let output = reflex("").arg("run").current_dir(&empty).output().unwrap();
    assert!(stderr(&output).contains("cargo reflex new NAME"), "{}", stderr(&output));
    let other = empty.path().join("other");
    fs::create_dir_all(other.join("src")).unwrap();
    fs::write(other.join("Cargo.toml"), "[package]\nname = \"other\"\n[workspace]\n").unwrap();
    fs::write(other.join("src/main.rs"), "fn main() {}\n").unwrap();
    let output = reflex("").arg("run").current_dir(&other).output().unwrap();
    assert!(stderr(&output).contains("is not a Reflex project"), "{}", stderr(&output));
}

#[test]
fn a_file_that_is_no_image_is_not_written_as_one() {
    let file = project().join("target/app.elf");
    let output = reflex("").args(["image", "app", "-o", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("no PVH note"), "{}", stderr(&output));
    assert!(!file.exists());
}

#[test]
fn all_tests_come_in_one_report() {
    let script = "case \"$words\" in \
        *test.list*) echo '#! test-list default boots'; echo '#! test-list default counts';; \
        *) echo '#! test-begin boots'; echo '#! test-pass boots'; \
           echo '#! test-begin counts'; echo '#! test-fail counts 1 is not 2'; \
           echo '#! exit 108'; exit 249;; esac; echo '#! exit 0'; exit 33";
    let output = reflex(script).args(["test", "--seed", "5"]).output().unwrap();
    let text = stdout(&output);
    assert_eq!(code(&output), 1, "{text}{}", stderr(&output));
    assert!(text.contains("1 is not 2"), "{text}");
    assert!(
        text.ends_with("host: 2 passed, 0 failed\nimage: 1 passed, 1 failed\n3 passed, 1 failed\n")
    );
    assert!(stderr(&output).contains("--seed 5"));
}

/// Each round has the next seed, which repeats it; those in which a test has failed are told.
#[test]
fn tests_are_repeated_beside_a_load() {
    let script = "case \"$words\" in \
        *test.list*) echo '#! test-list default counts';; \
        *test.seed=6*) echo '#! test-begin counts'; echo '#! test-fail counts 1 is not 2'; \
           echo '#! exit 108'; exit 249;; \
        *) echo '#! test-begin counts'; echo '#! test-pass counts';; esac; echo '#! exit 0'; exit 33";
    let repeat = |seed: &str, only: &[&str]| {
        let words = ["test", "--seed", seed, "--repeat", "3", "--load", "2"];
        reflex(script).args(words).args(only).output().unwrap()
    };
    let output = repeat("5", &[]);
    assert_eq!(code(&output), 1, "{}{}", stdout(&output), stderr(&output));
    let report = "host: 6 passed, 0 failed\nimage: 2 passed, 1 failed\n8 passed, 1 failed\n\
                  3 rounds; seeds of those that failed: 6\n";
    assert!(stdout(&output).ends_with(report), "{}", stdout(&output));
    for seed in 5..=7 {
        assert!(stderr(&output).contains(&format!("--seed {seed}")), "{}", stderr(&output));
    }
    let output = repeat("7", &["--only", "image"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let report = "\nimage: 3 passed, 0 failed\n3 passed, 0 failed\n\
                  3 rounds; seeds of those that failed: none\n";
    assert!(stdout(&output).ends_with(report), "{}", stdout(&output));
}

#[test]
fn a_filter_that_nothing_matches_is_no_success() {
    let script = "echo '#! exit 0'; exit 33";
    let output = reflex(script).args(["test", "no-such-test"]).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).ends_with("0 passed, 0 failed\n"), "{}", stdout(&output));
    assert!(stderr(&output).contains("no test has `no-such-test` in its name"));
}

/// Boots with the QEMU of this folder of stand-ins, named by the option or by the variable.
fn boot_in(folder: &str, option: bool) -> Output {
    let folder = format!("{FAKE}/{folder}");
    let mut command = reflex("echo '#! exit 4'; exit 41");
    // None is on the search path.
    command.env("PATH", "/usr/bin:/bin").arg("run").arg(format!("{FAKE}/qemu-system-x86_64"));
    command.args(["--net", "none"]);
    match option {
        true => command.args(["--qemu", &folder]),
        false => command.env("REFLEX_QEMU", &folder),
    };
    command.output().unwrap()
}

#[test]
fn the_qemu_that_is_named_is_used() {
    for option in [true, false] {
        let output = boot_in("", option);
        assert_eq!(code(&output), 4, "{}", stderr(&output));
    }
}

#[test]
fn a_qemu_that_cannot_be_used_is_refused_by_a_sentence() {
    for (folder, sentence) in [
        ("old", "is QEMU 4.1.0 (Elder), which is too old: 7.2 is the oldest"),
        ("aarch64", "it emulates aarch64, and images are made for x86_64"),
        ("broken", "error while loading shared libraries: libslirp.so.0"),
        ("nowhere", "there is no such file or folder"),
    ] {
        for option in [true, false] {
            let output = boot_in(folder, option);
            let text = stderr(&output);
            assert_eq!(code(&output), 1, "{folder}: {text}");
            assert!(text.contains(sentence), "{folder}: {text}");
            assert!(!text.contains("Booting"), "{folder}: {text}");
        }
    }
}

#[test]
fn the_heading_of_a_test_run_names_the_qemu() {
    let script = "case \"$words\" in *test.list*) echo '#! test-list default boots';; \
        *) echo '#! test-begin boots'; echo '#! test-pass boots';; esac; echo '#! exit 0'; exit 33";
    let output = reflex(script).args(["test", "boots"]).output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stderr(&output).contains("Emulator QEMU 99.1.3, "), "{}", stderr(&output));
}

#[test]
fn the_newest_qemu_repeats_the_counted_tests() {
    let script = "case \"$words\" in \
        *test.list*) echo '#! test-list default boots'; echo '#! test-list icount counts';; \
        *icount*) echo '#! test-begin counts'; echo '#! test-pass counts';; \
        *) echo '#! test-begin boots'; echo '#! test-pass boots';; esac; echo '#! exit 0'; exit 33";
    let output = reflex(script).args(["test", "--newest-qemu", FAKE]).output().unwrap();
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}{}", stderr(&output));
    assert!(
        text.contains("image: 2 passed, 0 failed\nnewest QEMU: 1 passed, 0 failed\n"),
        "{text}"
    );
    let newest = format!("{FAKE}/old");
    let output = reflex(script).env("REFLEX_QEMU_NEWEST", newest).arg("test").output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("newest QEMU: 0 passed, 1 failed\n"), "{}", stdout(&output));
    assert!(stderr(&output).contains("too old"), "{}", stderr(&output));
}
