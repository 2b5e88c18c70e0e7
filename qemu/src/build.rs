//! Building images: plain `cargo build --release`, its progress shown as it is.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::Message;

use crate::console;
use crate::process;
use crate::project::{Image, Project, cargo};
use crate::undefined;

/// Builds an image and returns the bootable file, with its debug information. One that refers to what
/// nobody defines is refused.
///
/// Each package is built by an invocation of its own: Cargo gives all packages of one
/// invocation the same features of a shared crate.
pub fn build(image: &Image) -> Result<PathBuf> {
    if image.is_first() {
        let long = "and all it stands on, once: about half a minute on two processors";
        console::step("Building", format!("{} {long}", image.name));
    }
    let mut command = cargo();
    command.args(["build", "--release", "--message-format=json-render-diagnostics"]);
    command.arg("--manifest-path").arg(&image.manifest);
    command.args(["--package", &image.package, "--bin", &image.name]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cargo could not be started")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut executable = None;
    for message in Message::parse_stream(std::io::BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message.context("cargo's output")?
            && artifact.target.name == image.name
            && let Some(path) = artifact.executable
        {
            executable = Some(path.into_std_path_buf());
        }
    }
    let status = child.wait().context("cargo could not be waited for")?;
    if !status.success() {
        bail!("`{}` does not build: the compiler's messages above say why", image.name);
    }
    let executable = executable.ok_or_else(|| anyhow!("cargo built no binary `{}`", image.name))?;
    undefined::refuse(&executable, image)?;
    Ok(executable)
}

/// The bootable file of an image of this repository, for tests and benchmarks: taken from the
/// environment variable [`variable`] names if it is set, and else built, once a process.
pub fn image(name: &str) -> Result<PathBuf> {
    static BUILDING: Mutex<()> = Mutex::new(());
    if let Some(path) = std::env::var_os(variable(name)) {
        return Ok(path.into());
    }
    // One at a time: the second asker finds everything built.
    let _turn = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = name.to_owned();
    // Cargo may have something to download.
    process::outside(move || build(Project::at(checkout())?.image(Some(&name))?))
}

/// The checkout that this command was built from.
pub(crate) fn checkout() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The environment variable that tells tests where the image of this name lies:
/// `REFLEX_IMAGE_HTTPD` for `httpd`.
pub fn variable(name: &str) -> String {
    format!("REFLEX_IMAGE_{}", name.to_uppercase().replace('-', "_"))
}
