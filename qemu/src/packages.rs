//! Programs of the system that the command needs, and how to have them installed: by one of the
//! package managers in [`manager`], which may add packages and never removes one.

mod installation;
mod manager;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitStatus;

use crate::console;
use crate::machine::{self, Emulator};
use installation::{Installation, Rights};
pub use manager::PackageManager;

/// A program and the package it comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Package {
    /// The emulator.
    Qemu,
    /// curl, an HTTP client.
    Curl,
    /// ab, an HTTP load generator.
    ApacheBench,
    /// wrk, another.
    Wrk,
    /// ping, which asks for ICMP echoes.
    Ping,
    /// The debugger.
    Gdb,
}

/// What may be done about a missing program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Installing {
    /// Ask on a terminal; without one, say so and install.
    #[default]
    Allowed,
    /// Only say how.
    Refused,
}

impl Package {
    /// The program that shows whether it is there.
    pub fn program(self) -> &'static str {
        match self {
            Package::Qemu => crate::machine::QEMU,
            Package::Curl => "curl",
            Package::ApacheBench => "ab",
            Package::Wrk => "wrk",
            Package::Ping => "ping",
            Package::Gdb => "gdb",
        }
    }

    /// The package's name with this package manager.
    pub fn name(self, manager: PackageManager) -> &'static str {
        use PackageManager::{Apk, Apt, Brew, Dnf, Pacman, Zypper};
        match (self, manager) {
            (Package::Qemu, Apt | Pacman) => "qemu-system-x86",
            (Package::Qemu, Dnf) => "qemu-system-x86-core",
            (Package::Qemu, Apk) => "qemu-system-x86_64",
            (Package::Qemu, Zypper) => "qemu-x86",
            (Package::Qemu, Brew) => "qemu",
            (Package::ApacheBench, Apt | Apk | Zypper) => "apache2-utils",
            (Package::ApacheBench, Dnf) => "httpd-tools",
            (Package::ApacheBench, Pacman) => "apache",
            (Package::ApacheBench, Brew) => "httpd",
            (Package::Curl, _) => "curl",
            (Package::Wrk, _) => "wrk",
            (Package::Ping, Apt) => "iputils-ping",
            // Every macOS has it; the formula that also brings one is named for completeness.
            (Package::Ping, Brew) => "inetutils",
            (Package::Ping, _) => "iputils",
            (Package::Gdb, _) => "gdb",
        }
    }

    /// Whether it need not be installed.
    fn is_there(self) -> bool {
        let named = self == Package::Qemu && machine::named().is_some();
        named || which::which(self.program()).is_ok()
    }
}

/// Why a program is not there and was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is nothing to install it with.
    #[error(
        "{missing} is not installed, and no package manager was found (apt-get, dnf, pacman, apk, \
         zypper, brew): install it by hand"
    )]
    NoPackageManager {
        /// The programs.
        missing: String,
    },
    /// The user does not want it installed.
    #[error("{missing} is not installed; install it with:\n    {typed}")]
    Refused {
        /// The programs.
        missing: String,
        /// What to type.
        typed: String,
    },
    /// This user may not install.
    #[error(
        "{missing} is not installed, and installing it needs root (there is no sudo); as root, \
         type:\n    {typed}"
    )]
    NeedsRoot {
        /// The programs.
        missing: String,
        /// What to type.
        typed: String,
    },
    /// Other packages would have to go.
    #[error(
        "{missing} is not installed, and installing it would remove {}: nothing was done. Install it \
         by hand as you see fit{}; this would remove nothing and fails until that is settled:\n    \
         {typed}",
        removed.join(", "),
        if *emulator { ", or name another QEMU with --qemu PATH or REFLEX_QEMU=PATH (the folder of \
                        an unpacked one will do)" } else { "" }
    )]
    WouldRemove {
        /// The programs.
        missing: String,
        /// The packages that stand in the way.
        removed: Vec<String>,
        /// Whether the emulator is among the programs.
        emulator: bool,
        /// What was not done.
        typed: String,
    },
    /// The package manager could not be started.
    #[error("{program} could not be started: {source}")]
    NotStarted {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The package manager failed.
    #[error("`{typed}` failed ({status})")]
    Failed {
        /// What was run.
        typed: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It was installed, and is not there.
    #[error("`{typed}` succeeded, but there still is no {program}")]
    StillMissing {
        /// What was run.
        typed: String,
        /// The program.
        program: &'static str,
    },
    /// The user could not be asked.
    #[error("the terminal cannot be read: {0}")]
    Terminal(#[from] io::Error),
}

/// The QEMU of this process, installed first if there is none and that may be.
///
/// # Errors
/// When there is none and none was installed, or it cannot be used.
pub fn emulator(installing: Installing) -> anyhow::Result<&'static Emulator> {
    require(&[Package::Qemu], installing)?;
    Ok(Emulator::of_process()?)
}

/// Sees to it that the programs are there: returns at once if they are, and else installs them if it
/// may.
///
/// # Errors
/// With what the user can do, when a program is missing still.
pub fn require(packages: &[Package], installing: Installing) -> Result<(), InstallError> {
    let missing: Vec<Package> = packages.iter().copied().filter(|p| !p.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.program()).collect();
    let names = names.join(", ");
    let is_there = |program: &str| which::which(program).is_ok();
    let Some(manager) = PackageManager::find(is_there) else {
        return Err(InstallError::NoPackageManager { missing: names });
    };
    let rights = Rights::here(manager, is_there("sudo"));
    let installation = Installation::new(manager, &missing, names.clone(), rights);
    let typed = installation.typed.clone();
    if installing == Installing::Refused {
        return Err(InstallError::Refused { missing: names, typed });
    }
    if rights == Rights::None {
        return Err(InstallError::NeedsRoot { missing: names, typed });
    }
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        if !agreed(&names, &typed)? {
            return Err(InstallError::Refused { missing: names, typed });
        }
    } else {
        console::step("Installing", format!("{names} is missing: {typed}"));
    }
    installation.run()?;
    match missing.iter().find(|package| !package.is_there()) {
        Some(package) => Err(InstallError::StillMissing { typed, program: package.program() }),
        None => Ok(()),
    }
}

fn agreed(names: &str, typed: &str) -> io::Result<bool> {
    eprint!("{names} is not installed. Install it with `{typed}`? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_needs_no_installation() {
        // `require` looks for programs, not packages: nothing is asked when none is missing.
        require(&[], Installing::Refused).unwrap();
    }
}
