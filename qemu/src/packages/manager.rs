//! Package managers: what installs, what says beforehand what an installation would remove.
//!
//! Nothing is ever removed. Where a package manager may remove what stands in the way, it is told not to
//! if it can be, and asked beforehand if it can say:
//!
//! | | told not to | asked |
//! | --- | --- | --- |
//! | apt-get | `--no-remove` | `install -s`, lines `Remv` |
//! | dnf | removes nothing by itself but what a package replaces: `obsoletes=0` | |
//! | pacman | `--noconfirm` says no to "Remove?" | |
//! | apk | | `add --simulate`, lines `Purging` |
//! | zypper | `--no-force-resolution` | `install --dry-run`, the list under `REMOVED` |
//! | brew | `HOMEBREW_NO_AUTOREMOVE`, `HOMEBREW_NO_INSTALL_CLEANUP` | |

use std::path::Path;

use super::Package;

/// The environment of all that is run: no questions, no clearing up, words that can be read.
pub(super) const ENVIRONMENT: [(&str, &str); 4] = [
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("HOMEBREW_NO_AUTOREMOVE", "1"),
    ("HOMEBREW_NO_INSTALL_CLEANUP", "1"),
    ("LC_ALL", "C"),
];

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

    /// The words that install packages without asking, and without removing any.
    pub fn install_command(self, packages: &[Package]) -> Vec<&'static str> {
        let words = match self {
            PackageManager::Apt => {
                vec!["apt-get", "install", "-y", "--no-remove", "--no-install-recommends"]
            }
            PackageManager::Dnf => vec!["dnf", "install", "-y", "--setopt=obsoletes=0"],
            PackageManager::Pacman => vec!["pacman", "-S", "--noconfirm", "--needed"],
            PackageManager::Apk => vec!["apk", "add"],
            PackageManager::Zypper => {
                vec!["zypper", "--non-interactive", "install", "--no-force-resolution"]
            }
            PackageManager::Brew => vec!["brew", "install"],
        };
        self.with_names(words, packages)
    }

    /// The words that say what an installation would do, and do nothing; where there are such.
    pub(super) fn simulate_command(self, packages: &[Package]) -> Option<Vec<&'static str>> {
        let words = match self {
            PackageManager::Apt => vec!["apt-get", "install", "-s", "--no-install-recommends"],
            PackageManager::Apk => vec!["apk", "add", "--simulate"],
            PackageManager::Zypper => {
                vec!["zypper", "--non-interactive", "install", "--no-force-resolution", "--dry-run"]
            }
            PackageManager::Dnf | PackageManager::Pacman | PackageManager::Brew => return None,
        };
        Some(self.with_names(words, packages))
    }

    /// The packages that an installation would remove, by what the command above has printed.
    pub(super) fn removed(self, output: &str) -> Vec<String> {
        let word = |line: &str, at: usize| line.split_ascii_whitespace().nth(at).map(str::to_owned);
        let lines = output.lines();
        match self {
            PackageManager::Apt => {
                lines.filter(|line| line.starts_with("Remv ")).filter_map(|l| word(l, 1)).collect()
            }
            // (1/2) Purging NAME (VERSION)
            PackageManager::Apk => {
                let purged = lines.filter(|line| word(line, 1).as_deref() == Some("Purging"));
                purged.filter_map(|line| word(line, 2)).collect()
            }
            // The following package is going to be REMOVED:
            //   NAME NAME
            PackageManager::Zypper => {
                let list = lines.skip_while(|line| !line.contains("going to be REMOVED")).skip(1);
                let list = list.take_while(|line| line.starts_with(' '));
                list.flat_map(str::split_ascii_whitespace).map(str::to_owned).collect()
            }
            PackageManager::Dnf | PackageManager::Pacman | PackageManager::Brew => Vec::new(),
        }
    }

    fn with_names(self, words: Vec<&'static str>, packages: &[Package]) -> Vec<&'static str> {
        let names = packages.iter().map(|package| package.name(self));
        words.into_iter().chain(names).collect()
    }

    /// The words that fetch the lists of packages, where that is a step of its own.
    pub(super) fn update_command(self) -> Option<Vec<&'static str>> {
        match self {
            PackageManager::Apt => Some(vec!["apt-get", "update"]),
            PackageManager::Pacman => Some(vec!["pacman", "-Sy", "--noconfirm"]),
            PackageManager::Apk => Some(vec!["apk", "update"]),
            _ => None,
        }
    }

    /// Whether the lists of packages have never been fetched, as on a fresh container.
    pub(super) fn lists_are_empty(self) -> bool {
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
    fn what_would_be_removed_is_read() {
        let apt = "Reading package lists...\nThe following packages will be REMOVED:\n  qemu-utils\n\
                   Remv qemu-utils [1:10.0.2] [other:amd64 ]\nInst seabios (1.16.2-1 Debian [all])\n\
                   Remv qemu-block-extra [1:10.0.2]\nConf seabios (1.16.2-1 Debian [all])\n";
        assert_eq!(PackageManager::Apt.removed(apt), ["qemu-utils", "qemu-block-extra"]);
        let apk =
            "(1/2) Purging qemu-img (8.1.0-r0)\n(2/2) Installing qemu (9.0.0-r0)\nOK: 9 MiB\n";
        assert_eq!(PackageManager::Apk.removed(apk), ["qemu-img"]);
        let zypper = "Resolving...\n\nThe following 2 packages are going to be REMOVED:\n  \
                      qemu-tools qemu-lang\n\n1 new package to install, 2 to remove.\n";
        assert_eq!(PackageManager::Zypper.removed(zypper), ["qemu-tools", "qemu-lang"]);
        for manager in PackageManager::ALL {
            assert!(manager.removed("Inst seabios (1.16.2-1)\n1 new package.\n").is_empty());
        }
    }
}
