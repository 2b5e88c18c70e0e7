//! Tests that are programs of the host: `cargo test`, shown as it runs and counted.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::tally::{Skipping, Tally, ignored};
use crate::project::cargo;
use crate::{console, process};

/// One call of `cargo test`.
pub(super) struct CargoTest<'a> {
    /// The workspace.
    pub(super) root: &'a Path,
    /// Cargo's profile, where it is not the usual one.
    pub(super) profile: Option<&'a str>,
    /// Which packages and targets.
    pub(super) selection: Vec<String>,
    /// Which tests of these.
    pub(super) tests: Selected,
    /// Further environment.
    pub(super) environment: Vec<(String, OsString)>,
    /// What becomes of ignored tests.
    pub(super) skipping: Skipping,
}

/// Which tests of a package.
#[derive(Clone, Debug)]
pub(super) enum Selected {
    /// Every one.
    All,
    /// Those with this in their names.
    Containing(String),
    /// Those of these names.
    Exactly(Vec<String>),
}

impl CargoTest<'_> {
    /// Runs them all, failures or not.
    pub(super) fn run(&self) -> Result<Tally> {
        let mut command = cargo();
        command.args(["test", "--no-fail-fast"]).args(&self.selection);
        command.args(self.profile.map(|profile| format!("--profile={profile}")));
        command.current_dir(self.root);
        match &self.tests {
            Selected::All => {}
            Selected::Containing(filter) => _ = command.arg(filter),
            Selected::Exactly(names) => _ = command.args(["--", "--exact"]).args(names),
        }
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = process::spawn_tied(command).context("cargo could not be started")?;
        let stdout = child.stdout.take().context("cargo has no output")?;
        let mut tally = Tally::default();
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("cargo's output")?;
            let line = String::from_utf8_lossy(&line);
            anstream::println!("{line}");
            tally += Tally::parse(&line).unwrap_or_default();
            if let Some((name, reason)) = ignored(&line) {
                self.report_ignored(name, reason);
            }
        }
        let status = child.wait().context("cargo could not be waited for")?;
        if !status.success() && tally.failed == 0 {
            // It did not build, or a test program died before it could count.
            console::error(format!("`cargo test {}` failed", self.selection.join(" ")));
            tally += Tally::FAILURE;
        }
        Ok(tally.settle(self.skipping))
    }

    fn report_ignored(&self, name: &str, reason: &str) {
        let reason = if reason.is_empty() { "marked #[ignore]" } else { reason };
        match self.skipping {
            Skipping::Allowed => console::note("Skipped", format!("{name}: {reason}")),
            Skipping::Fails => console::error(format!(
                "{name} did not run ({reason}); pass --allow-skip to let that be"
            )),
        }
    }
}
