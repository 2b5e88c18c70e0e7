//! The programs: where they are, and what they have said at their end.

use super::victim::{PATIENCE, Victim};
use crate::place::Program;
use crate::programs::Programs;
use std::net::Ipv4Addr;
use std::path::Path;

/// Where the packages are unpacked, in the cache.
const FOLDER: &str = "attackers";
const PACKAGES: [&str; 5] = ["hping3", "ncat", "netcat-openbsd", "nmap", "slowhttptest"];

/// The programs, if they can be had.
pub(crate) fn programs() -> Option<Programs> {
    Programs::of(FOLDER, &PACKAGES)
}

/// Programs, and the image that they are let loose on.
pub(crate) struct Attack {
    pub(crate) programs: Programs,
    pub(crate) victim: Victim,
    folder: tempfile::TempDir,
}

impl Attack {
    /// Boots the image, once there are the programs.
    pub(crate) fn on(image: &str, append: &str) -> Option<Self> {
        let programs = programs()?;
        let victim = Victim::boot(image, append)?;
        Some(Self { programs, victim, folder: tempfile::tempdir().expect("a folder") })
    }

    /// The image's address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.victim.address()
    }

    /// A folder for what programs read and write.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a program on the image's network.
    fn start(&self, program: &str, arguments: &[&str]) -> Program {
        self.start_as(program, program, arguments)
    }

    /// Starts a program beside others of the same name; its words go to a file of this one.
    pub(crate) fn start_as(&self, name: &str, program: &str, arguments: &[&str]) -> Program {
        let mut command = self.programs.command(program);
        command.args(arguments).env("NMAPDIR", self.programs.path("usr/share/nmap"));
        self.victim.place.start(command, self.folder.path(), name)
    }

    /// Runs a program to its end: what it has said, and whether it is content.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> (String, bool) {
        let mut running = self.start(program, arguments);
        let content = running.wait(PATIENCE);
        (running.log(), content)
    }
}
