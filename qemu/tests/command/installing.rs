//! Missing programs, and a program that stands in for a package manager.

use super::{FAKE, code, reflex, stderr};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

/// A search path with nothing but an `apt-get` that notes what it is told. Told to install, it puts the
/// fake into the path; told to say what it would do, it says `simulation`.
fn bare_system(simulation: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let here = home.path().display();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {here}/log\ncase \"$*\" in\n\
         'install -s '*) echo '{simulation}';;\n\
         'install '*) /bin/ln -s {FAKE}/qemu-system-x86_64 {here}/qemu-system-x86_64;;\nesac\n"
    );
    let file = home.path().join("apt-get");
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    home
}

fn run_on(home: &Path, options: &[&str]) -> Output {
    let file = format!("{FAKE}/qemu-system-x86_64");
    reflex("echo '#! exit 0'; exit 33")
        .env("PATH", home)
        .args(["run", &file, "--net", "none"])
        .args(options)
        .output()
        .unwrap()
}

/// What the package manager was told, a line each; `None` when it was not started.
fn told(home: &Path) -> Option<String> {
    fs::read_to_string(home.join("log")).ok()
}

/// Whether installing is refused here for want of rights, which is then checked.
fn needs_root(output: &Output) -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || stderr(output).contains("needs root"), "{}", stderr(output));
    !root
}

#[test]
fn a_missing_qemu_is_installed_and_said_so() {
    let home = bare_system("Inst qemu-system-x86 (1:7.2 Debian [amd64])");
    let output = run_on(home.path(), &[]);
    if needs_root(&output) {
        return;
    }
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("Installing qemu-system-x86_64 is missing"));
    let told = told(home.path()).unwrap();
    let installed = "install -y --no-remove --no-install-recommends qemu-system-x86\n";
    assert!(told.ends_with(installed), "{told}");
}

#[test]
fn nothing_is_installed_when_packages_would_have_to_go() {
    let home = bare_system("Remv qemu-utils [1:10.0.2]\nRemv qemu-block-extra [1:10.0.2]");
    let output = run_on(home.path(), &[]);
    if needs_root(&output) {
        return;
    }
    let text = stderr(&output);
    assert_eq!(code(&output), 1, "{text}");
    assert!(text.contains("would remove qemu-utils, qemu-block-extra: nothing was done"), "{text}");
    assert!(text.contains("--qemu PATH or REFLEX_QEMU=PATH"), "{text}");
    let told = told(home.path()).unwrap();
    assert!(told.lines().all(|line| !line.starts_with("install -y")), "{told}");
    // Another QEMU, as it says, needs no installation.
    let output = run_on(home.path(), &["--qemu", FAKE]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn nothing_is_installed_when_that_is_refused() {
    let home = bare_system("");
    let output = run_on(home.path(), &["--no-install"]);
    assert_eq!(code(&output), 1);
    let text = stderr(&output);
    assert!(text.contains("apt-get install -y --no-remove"), "{text}");
    assert_eq!(told(home.path()), None, "apt-get was started");
}
