//! Counts the instructions of each processor of a machine, by a plugin of QEMU's (`qemu/plugin/count.c`): halted ones count
//! none, which the clock of `-icount` cannot tell apart.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Emulator, Version};

const SOURCE: &str = include_str!("../../plugin/count.c");
/// From this version on the interface copies an instruction's bytes.
const COPIES: (u32, u32) = (9, 1);

/// The plugin, compiled for a version of QEMU, and where it writes.
#[derive(Debug)]
pub struct Counter {
    library: PathBuf,
    marks: PathBuf,
}

/// A processor came by a mark in the guest's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The mark's number.
    pub number: u8,
    /// The processor.
    pub processor: usize,
    /// The instructions of every processor until then, as many as the plugin knows of.
    pub counts: Vec<u64>,
}

impl Counter {
    /// Compiles the plugin into `folder`, with the host's C compiler.
    ///
    /// # Errors
    /// There is no compiler, or it refuses the source: its own words.
    pub fn build(emulator: &Emulator, folder: &Path) -> Result<Self> {
        let (source, library) = (folder.join("count.c"), folder.join("count.so"));
        fs::write(&source, SOURCE).with_context(|| format!("{}", source.display()))?;
        let mut compiler = Command::new("cc");
        compiler.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
        compiler.args(interface(emulator.version()));
        compiler.arg("-o").arg(&library).arg(&source);
        let output = compiler.output().context("`cc`, a C compiler, cannot be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the plugin does not compile: {said}");
        Ok(Self { library, marks: folder.join("marks") })
    }

    /// What a machine is started with, beside its own [arguments](super::Machine::extra).
    pub fn arguments(&self) -> [OsString; 2] {
        let mut plugin = self.library.clone().into_os_string();
        plugin.push(",out=");
        plugin.push(&self.marks);
        ["-plugin".into(), plugin]
    }

    /// The marks that processors came by, in order.
    ///
    /// # Errors
    /// No machine has run with the plugin, or it was ended in the middle of a line.
    pub fn marks(&self) -> Result<Vec<Mark>> {
        let text = fs::read_to_string(&self.marks).context("the plugin has written nothing")?;
        text.lines().map(|line| parse(line).with_context(|| format!("no mark: {line}"))).collect()
    }
}

/// How the plugin is compiled for a version.
fn interface(version: &Version) -> Option<&'static str> {
    ((version.major, version.minor) >= COPIES).then_some("-DCOPIES")
}

fn parse(line: &str) -> Option<Mark> {
    let mut words = line.split(' ');
    let (number, processor) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let counts: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
    let counts = counts.filter(|counts| processor < counts.len())?;
    Some(Mark { number, processor, counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_has_a_number_a_processor_and_counts() {
        let mark = Mark { number: 7, processor: 1, counts: vec![12, 3_000_000_000_000] };
        assert_eq!(parse("7 1 12 3000000000000"), Some(mark));
        for line in ["", "7", "7 1", "7 2 1 2", "300 0 1", "7 0 x", "7 0 1 "] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_interface_is_that_of_the_version() {
        let version = |major, minor| Version { major, minor, micro: 0, package: String::new() };
        assert_eq!(interface(&version(7, 2)), None);
        assert_eq!(interface(&version(9, 0)), None);
        assert_eq!(interface(&version(9, 1)), Some("-DCOPIES"));
        assert_eq!(interface(&version(10, 0)), Some("-DCOPIES"));
    }
}
