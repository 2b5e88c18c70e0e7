//! Programs of the world: Debian packages, unpacked into the cache and not installed.

use crate::place::skips;
use reflex_qemu::{peer, process};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where programs of a package are.
const FOLDERS: [&str; 4] = ["usr/bin", "usr/sbin", "bin", "sbin"];

/// Some packages, unpacked.
#[derive(Clone)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// The packages, in the folder `name` of the cache. Where they cannot be had the test fails, or where that is
    /// allowed there is `None`.
    pub(crate) fn of(name: &'static str, packages: &'static [&'static str]) -> Option<Self> {
        // Downloads need the computer's network.
        match process::outside(move || peer::unpacked(name, packages)) {
            Ok(root) => Some(Self(root)),
            Err(error) if skips(&format!("{error:#}")) => None,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// A program of these, with the libraries that came with it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let place = FOLDERS.map(|folder| self.0.join(folder).join(program));
        let place = place.into_iter().find(|place| place.exists());
        let mut command = Command::new(place.unwrap_or_else(|| panic!("there is no {program}")));
        let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
        // Some libraries have several makers, each with a folder of its own.
        let libraries = ["usr/lib", "lib"].map(|folder| self.0.join(folder).join(&architecture));
        let blas = libraries[0].join("blas");
        let paths = std::env::join_paths(libraries.iter().chain([&blas]));
        command.env("LD_LIBRARY_PATH", paths.expect("a path of ours has no colon"));
        command
    }

    /// What the packages have at this path.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }
}
