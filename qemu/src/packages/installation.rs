//! An installation: what would be removed for it is asked first, and then it is not done.

use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};

use super::manager::{ENVIRONMENT, PackageManager};
use super::{InstallError, Package};
use crate::console;

/// How this process gets the right to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// It has it.
    Own,
    /// Through sudo.
    Sudo,
    /// Not at all.
    None,
}

impl Rights {
    /// This process's.
    pub(super) fn here(manager: PackageManager, sudo: bool) -> Rights {
        Rights::of(manager, nix::unistd::geteuid().is_root(), sudo)
    }

    fn of(manager: PackageManager, root: bool, sudo: bool) -> Rights {
        match (manager, root, sudo) {
            // Homebrew installs as the user and refuses root.
            (PackageManager::Brew, _, _) | (_, true, _) => Rights::Own,
            (_, false, true) => Rights::Sudo,
            (_, false, false) => Rights::None,
        }
    }
}

/// What is to be installed, and how.
pub(super) struct Installation<'a> {
    manager: PackageManager,
    packages: &'a [Package],
    /// The programs, for people.
    names: String,
    /// The command as a person types it.
    pub(super) typed: String,
    rights: Rights,
}

impl<'a> Installation<'a> {
    /// The installation of these packages, which `names` says for people.
    pub(super) fn new(
        manager: PackageManager,
        packages: &'a [Package],
        names: String,
        rights: Rights,
    ) -> Installation<'a> {
        let typed = typed(manager, packages, rights);
        Installation { manager, packages, names, typed, rights }
    }

    /// Installs, fetching the lists of packages first if there are none, and once more if the
    /// installation fails: the lists may be too old.
    pub(super) fn run(&self) -> Result<(), InstallError> {
        if self.manager.lists_are_empty() {
            self.update()?;
        }
        match self.install() {
            Err(first @ InstallError::Failed { .. }) if self.manager.update_command().is_some() => {
                console::warning(format!("{first}; trying again with new lists of packages"));
                self.update()?;
                self.install()
            }
            result => result,
        }
    }

    fn update(&self) -> Result<(), InstallError> {
        match self.manager.update_command() {
            Some(words) => execute(&words, self.rights),
            None => Ok(()),
        }
    }

    /// Installs, if nothing has to be removed for it.
    fn install(&self) -> Result<(), InstallError> {
        if let Some(words) = self.manager.simulate_command(self.packages) {
            let mut command = command(&words, self.rights);
            let started = command.stdin(Stdio::null()).output();
            let output = started.map_err(|source| not_started(&words, source))?;
            // A simulation that fails says nothing; the installation then does, and removes nothing.
            let removed = self.manager.removed(&String::from_utf8_lossy(&output.stdout));
            if !removed.is_empty() {
                return Err(InstallError::WouldRemove {
                    missing: self.names.clone(),
                    removed,
                    emulator: self.packages.contains(&Package::Qemu),
                    typed: self.typed.clone(),
                });
            }
        }
        execute(&self.manager.install_command(self.packages), self.rights)
    }
}

fn execute(words: &[&str], rights: Rights) -> Result<(), InstallError> {
    let status = command(words, rights).stdout(io::stderr()).status();
    let status = status.map_err(|source| not_started(words, source))?;
    match status.success() {
        true => Ok(()),
        false => Err(InstallError::Failed { typed: words.join(" "), status }),
    }
}

fn not_started(words: &[&str], source: io::Error) -> InstallError {
    InstallError::NotStarted { program: words[0].to_owned(), source }
}

fn command(words: &[&str], rights: Rights) -> Command {
    let mut all: Vec<String> = Vec::new();
    if rights == Rights::Sudo {
        all.push("sudo".to_owned());
        if !io::stdin().is_terminal() {
            // Fails at once where sudo would wait for a password nobody types.
            all.push("-n".to_owned());
        }
        all.push("env".to_owned());
        all.extend(ENVIRONMENT.map(|(name, value)| format!("{name}={value}")));
    }
    all.extend(words.iter().map(|&word| word.to_owned()));
    let mut command = Command::new(&all[0]);
    command.args(&all[1..]).envs(ENVIRONMENT);
    command
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
    fn the_command_names_each_systems_package() {
        let typed =
            |manager, rights| typed(manager, &[Package::Qemu, Package::ApacheBench], rights);
        assert_eq!(
            typed(PackageManager::Apt, Rights::Sudo),
            "sudo apt-get install -y --no-remove \
             --no-install-recommends qemu-system-x86 apache2-utils"
        );
        assert_eq!(
            typed(PackageManager::Dnf, Rights::Own),
            "dnf install -y --setopt=obsoletes=0 qemu-system-x86-core httpd-tools"
        );
        assert_eq!(typed(PackageManager::Brew, Rights::Own), "brew install qemu httpd");
    }

    #[test]
    fn rights_are_roots_or_sudos() {
        assert_eq!(Rights::of(PackageManager::Apt, true, false), Rights::Own);
        assert_eq!(Rights::of(PackageManager::Apt, false, true), Rights::Sudo);
        assert_eq!(Rights::of(PackageManager::Apt, false, false), Rights::None);
        assert_eq!(Rights::of(PackageManager::Brew, false, false), Rights::Own);
    }
}
