//! What `cargo reflex` starts: builds the command, and becomes it.
//!
//! Cargo, asked by an alias to be quiet, says nothing while it builds the command from a fresh clone; asked
//! not to be, it says something every time. This program depends on nothing and so is there at once.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const COMMAND: &str = "cargo-reflex";
/// The repository.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Cargo's profile of this program and of the command, which lie in one folder.
const PROFILE: &str = "host";

fn main() -> ExitCode {
    match start() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<std::convert::Infallible, String> {
    let here = std::env::current_exe().map_err(|error| format!("where am I? {error}"))?;
    let command = here.with_file_name(COMMAND);
    build(&command, here.parent().and_then(Path::parent).map(Path::to_owned))?;
    let error = Command::new(&command).args(std::env::args_os().skip(1)).exec();
    Err(format!("{} cannot be started: {error}", command.display()))
}

/// Has Cargo build the command, into this target folder; with a word where there is none yet.
fn build(command: &Path, target: Option<PathBuf>) -> Result<(), String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        // What Cargo has told this program of its own package is nothing to that of the command.
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo.args(["build", "--profile", PROFILE, "--package", COMMAND, "--bin", COMMAND]);
    cargo.arg("--manifest-path").arg(Path::new(CHECKOUT).join("Cargo.toml"));
    if let Some(target) = target {
        cargo.arg("--target-dir").arg(target);
    }
    if command.exists() {
        cargo.arg("--quiet");
    } else {
        eprintln!("Building the command itself, once: about half a minute on two processors");
    }
    let status = cargo.status().map_err(|error| format!("cargo cannot be started: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => {
            Err("the command does not build: the compiler's messages above say why".to_owned())
        }
    }
}
