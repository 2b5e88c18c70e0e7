//! Programs of the system that the command needs, and how to have them installed.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::console;

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

/// A system's package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackageManager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora, RHEL.
    Dnf,
    /// Arch.
    Pacman,
    /// Alpine.
    Apk,
    /// openSUSE.
    Zypper,
    /// macOS.
    Brew,
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
}

impl PackageManager {
    /// All of them, in the order they are looked for.
    pub const ALL: [PackageManager; 6] = [
        PackageManager::Apt,
        PackageManager::Dnf,
        PackageManager::Pacman,
        PackageManager::Apk,
        PackageManager::Zypper,
        PackageManager::Brew,
    ];

    /// Its program.
    pub fn program(self) -> &'static str {
        match self {
            PackageManager::Apt => "apt-get",
            PackageManager::Dnf => "dnf",
            PackageManager::Pacman => "pacman",
            PackageManager::Apk => "apk",
            PackageManager::Zypper => "zypper",
            PackageManager::Brew => "brew",
        }
    }

    /// The first one that `is_there` says yes to.
    pub fn find(is_there: impl Fn(&str) -> bool) -> Option<PackageManager> {
        PackageManager::ALL.into_iter().find(|manager| is_there(manager.program()))
    }

    /// The words that install packages without asking.
    pub fn install_command(self, packages: &[Package]) -> Vec<&'static str> {
        let mut words = match self {
            PackageManager::Apt => vec!["apt-get", "install", "-y", "--no-install-recommends"],
            PackageManager::Dnf => vec!["dnf", "install", "-y"],
            PackageManager::Pacman => vec!["pacman", "-S", "--noconfirm", "--needed"],
            PackageManager::Apk => vec!["apk", "add"],
            PackageManager::Zypper => vec!["zypper", "--non-interactive", "install"],
            PackageManager::Brew => vec!["brew", "install"],
        };
        words.extend(packages.iter().map(|package| package.name(self)));
        words
    }

    /// The words that fetch the lists of packages, where that is a step of its own.
    fn update_command(self) -> Option<Vec<&'static str>> {
        match self {
            PackageManager::Apt => Some(vec!["apt-get", "update"]),
            PackageManager::Pacman => Some(vec!["pacman", "-Sy", "--noconfirm"]),
            PackageManager::Apk => Some(vec!["apk", "update"]),
            _ => None,
        }
    }

    /// Whether the lists of packages have never been fetched, as on a fresh container.
    fn lists_are_empty(self) -> bool {
        let folder = match self {
            PackageManager::Apt => "/var/lib/apt/lists",
            PackageManager::Pacman => "/var/lib/pacman/sync",
            _ => return false,
        };
        let holds = |name: &str| match self {
            PackageManager::Apt => name.contains("_Packages"),
            _ => name.ends_with(".db"),
        };
        let Ok(mut entries) = Path::new(folder).read_dir() else { return true };
        !entries.any(|entry| entry.is_ok_and(|entry| holds(&entry.file_name().to_string_lossy())))
    }
}

/// How this process gets the right to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    /// It has it.
    Own,
    /// Through sudo.
    Sudo,
    /// Not at all.
    None,
}

fn rights(manager: PackageManager, root: bool, sudo: bool) -> Rights {
    match (manager, root, sudo) {
        // Homebrew installs as the user and refuses root.
        (PackageManager::Brew, _, _) | (_, true, _) => Rights::Own,
        (_, false, true) => Rights::Sudo,
        (_, false, false) => Rights::None,
    }
}

/// Sees to it that the programs are there: returns at once if they are, installs them if it
/// may, and else fails with the command to type.
pub fn require(packages: &[Package], installing: Installing) -> Result<()> {
    let is_there = |program: &str| which::which(program).is_ok();
    let missing: Vec<Package> =
        packages.iter().copied().filter(|package| !is_there(package.program())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.program()).collect();
    let names = names.join(", ");
    let Some(manager) = PackageManager::find(is_there) else {
        bail!(
            "{names} is not installed, and no package manager was found (apt-get, dnf, pacman, \
             apk, zypper, brew): install it by hand"
        );
    };
    let rights = rights(manager, nix::unistd::geteuid().is_root(), is_there("sudo"));
    let typed = typed(manager, &missing, rights);
    if installing == Installing::Refused {
        bail!("{names} is not installed; install it with:\n    {typed}");
    }
    if rights == Rights::None {
        bail!(
            "{names} is not installed, and installing it needs root (there is no sudo); as root, \
             type:\n    {typed}"
        );
    }
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        if !agreed(&names, &typed)? {
            bail!("{names} is not installed; install it with:\n    {typed}");
        }
    } else {
        console::step("Installing", format!("{names} is missing: {typed}"));
    }
    install(manager, &missing, rights)?;
    match missing.iter().find(|package| !is_there(package.program())) {
        Some(package) => {
            bail!("`{typed}` succeeded, but there still is no {}", package.program())
        }
        None => Ok(()),
    }
}

fn agreed(names: &str, typed: &str) -> Result<bool> {
    eprint!("{names} is not installed. Install it with `{typed}`? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// Installs, fetching the lists of packages first if there are none, and once more if the
/// installation fails: the lists may be too old.
fn install(manager: PackageManager, packages: &[Package], rights: Rights) -> Result<()> {
    let update = || match manager.update_command() {
        Some(words) => execute(&words, rights),
        None => Ok(()),
    };
    if manager.lists_are_empty() {
        update()?;
    }
    let words = manager.install_command(packages);
    if let Err(first) = execute(&words, rights) {
        if manager.update_command().is_none() {
            return Err(first);
        }
        console::warning(format!("{first:#}; trying again with new lists of packages"));
        update()?;
        execute(&words, rights)?;
    }
    Ok(())
}

fn execute(words: &[&str], rights: Rights) -> Result<()> {
    let mut all: Vec<&str> = Vec::new();
    if rights == Rights::Sudo {
        all.push("sudo");
        if !io::stdin().is_terminal() {
            // Fails at once where sudo would wait for a password nobody types.
            all.push("-n");
        }
        all.extend(["env", "DEBIAN_FRONTEND=noninteractive"]);
    }
    all.extend(words);
    let status = Command::new(all[0])
        .args(&all[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(io::stderr())
        .status()
        .with_context(|| format!("{} could not be started", all[0]))?;
    if !status.success() {
        bail!("`{}` failed ({status})", words.join(" "));
    }
    Ok(())
}

/// The command as a person types it.
fn typed(manager: PackageManager, packages: &[Package], rights: Rights) -> String {
    let words = manager.install_command(packages).join(" ");
    if rights == Rights::Sudo { format!("sudo {words}") } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_package_manager_there_is_taken() {
        assert_eq!(PackageManager::find(|p| p == "apk"), Some(PackageManager::Apk));
        assert_eq!(PackageManager::find(|_| true), Some(PackageManager::Apt));
        assert_eq!(PackageManager::find(|_| false), None);
    }

    #[test]
    fn the_command_names_each_systems_package() {
        let typed =
            |manager, rights| typed(manager, &[Package::Qemu, Package::ApacheBench], rights);
        assert_eq!(
            typed(PackageManager::Apt, Rights::Sudo),
            "sudo apt-get install -y --no-install-recommends qemu-system-x86 apache2-utils"
        );
        assert_eq!(
            typed(PackageManager::Dnf, Rights::Own),
            "dnf install -y qemu-system-x86-core httpd-tools"
        );
        assert_eq!(typed(PackageManager::Brew, Rights::Own), "brew install qemu httpd");
    }

    #[test]
    fn rights_are_roots_or_sudos() {
        assert_eq!(rights(PackageManager::Apt, true, false), Rights::Own);
        assert_eq!(rights(PackageManager::Apt, false, true), Rights::Sudo);
        assert_eq!(rights(PackageManager::Apt, false, false), Rights::None);
        assert_eq!(rights(PackageManager::Brew, false, false), Rights::Own);
    }

    #[test]
    fn what_is_there_needs_no_installation() {
        // `require` looks for programs, not packages: nothing is asked when none is missing.
        require(&[], Installing::Refused).unwrap();
    }
}
