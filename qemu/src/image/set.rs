//! `cargo reflex image set`: changes the configuration inside a disk or an ISO.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::configuration::{Area, Word};
use super::{disk, iso, qcow2, volume};
use crate::console;
use crate::medium::Medium;

/// What `image set` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The disk or ISO
    file: PathBuf,
    /// Keys, each with the value that it is to have from now on
    #[arg(required = true, value_name = "KEY=VALUE")]
    words: Vec<Word>,
}

/// Runs the subcommand.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let file = &arguments.file;
    set(file, &arguments.words).with_context(|| format!("{} is as it was", file.display()))?;
    console::step("Set", format!("{} in {}", keys(&arguments.words), file.display()));
    Ok(ExitCode::SUCCESS)
}

/// The keys alone: a value may be a secret.
fn keys(words: &[Word]) -> String {
    words.iter().map(Word::key).collect::<Vec<_>>().join(", ")
}

fn set(path: &Path, words: &[Word]) -> Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let change = |area: &mut Area| area.set(words);
    match Medium::of(&mut file)? {
        Medium::Kernel => bail!(
            "it is neither a disk nor an ISO; an ELF file has no configuration inside (docs/deploying.md)"
        ),
        Medium::Iso => volume::change(iso::volume(file)?, change),
        Medium::Qcow2 => volume::change(disk::volume(qcow2::Disk::open(file)?)?, change),
        Medium::Raw => volume::change(disk::volume(file)?, change),
    }
}
