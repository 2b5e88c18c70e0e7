//! The boot loader of disks and ISOs: GRUB of the distribution's packages, which are unpacked into the cache and not
//! installed. Of it is made one program for each way to be started, with all that it is to do inside: it has no
//! menu, reads no file of settings, and searches no other disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::peer;
use crate::process;

/// In the volume, the bootable file.
pub(super) const IMAGE: &str = "reflex/image";
/// In the volume, the configuration.
pub(super) const CONFIGURATION: &str = "reflex/configuration";
/// In an ISO, the volume.
pub(super) const VOLUME: &str = "volume.img";

/// What the boot loader is made of, and what makes ISOs.
const PACKAGES: [&str; 4] = ["grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "xorriso"];
/// What it does, once the volume is its root.
const SCRIPT: &str = "multiboot2 /reflex/image\nmodule2 /reflex/configuration\nboot\n";

/// The boot loader, unpacked.
pub(super) struct Loader {
    root: PathBuf,
}

/// How the boot loader is started, and from what.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// By BIOS, from a disk that has the volume as its second partition.
    BiosDisk,
    /// By BIOS, from an ISO that has the volume as a file.
    BiosDisc,
    /// By UEFI, from a disk's volume.
    UefiDisk,
    /// By UEFI, from an ISO's volume. The loader has the ISO for its root all the same.
    UefiDisc,
}

impl Start {
    fn target(self) -> &'static str {
        match self {
            Self::BiosDisk => "i386-pc",
            Self::BiosDisc => "i386-pc-eltorito",
            Self::UefiDisk | Self::UefiDisc => "x86_64-efi",
        }
    }

    /// Where the loader's parts lie, and of them those that it needs.
    fn parts(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::BiosDisk => ("i386-pc", &["biosdisk", "part_gpt", "fat", "multiboot2"]),
            Self::BiosDisc => {
                ("i386-pc", &["biosdisk", "iso9660", "loopback", "fat", "multiboot2"])
            }
            Self::UefiDisk => ("x86_64-efi", &["part_gpt", "fat", "multiboot2"]),
            Self::UefiDisc => ("x86_64-efi", &["iso9660", "loopback", "fat", "multiboot2"]),
        }
    }

    /// What the loader's root is at first.
    fn prefix(self) -> &'static str {
        match self {
            Self::BiosDisk => "(,gpt2)/",
            Self::BiosDisc | Self::UefiDisk | Self::UefiDisc => "/",
        }
    }

    fn script(self) -> String {
        match self {
            Self::BiosDisk | Self::UefiDisk => SCRIPT.to_owned(),
            Self::BiosDisc | Self::UefiDisc => {
                format!("loopback volume /{VOLUME}\nset root=volume\n{SCRIPT}")
            }
        }
    }
}

impl Loader {
    /// The boot loader, unpacked now if the cache does not have it.
    ///
    /// # Errors
    /// When this is no Debian, or its archive cannot be reached.
    pub(super) fn ensure() -> Result<Self> {
        let unpacked = process::outside(|| peer::unpacked("grub", &PACKAGES));
        let root = unpacked.context("the boot loader of disks and ISOs cannot be had")?;
        Ok(Self { root })
    }

    /// The program for one way to be started.
    pub(super) fn program(&self, start: Start) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        let (script, made) = (folder.path().join("script"), folder.path().join("made"));
        fs::write(&script, start.script())?;
        let (parts, modules) = start.parts();
        let mut command = self.command("grub-mkimage");
        command.args(["--format", start.target(), "--prefix", start.prefix()]);
        command.arg("--directory").arg(self.parts(parts));
        command.arg("--config").arg(&script).arg("--output").arg(&made).args(modules);
        peer::run(&mut command)?;
        fs::read(&made).context("grub-mkimage has made nothing")
    }

    /// The packages that parts of the loader are of, by the names of their files.
    pub(super) fn packages(&self) -> Result<Vec<String>> {
        let versions = fs::read_to_string(self.root.join("VERSIONS"))?;
        let grub = versions.lines().filter(|name| name.starts_with("grub-"));
        Ok(grub.map(str::to_owned).collect())
    }

    /// What BIOS loads from a disk's first sector: it loads the program.
    pub(super) fn first_sector(&self) -> Result<Vec<u8>> {
        let path = self.parts("i386-pc").join("boot.img");
        fs::read(&path).with_context(|| format!("{}", path.display()))
    }

    /// A program of the packages, with their libraries.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.root.join("usr/bin").join(program));
        command.env("LD_LIBRARY_PATH", self.root.join("usr/lib/x86_64-linux-gnu"));
        // Whatever is made has no date but this one, the earliest that FAT knows: 1 January 1980.
        command.env("SOURCE_DATE_EPOCH", "315532800").env("LC_ALL", "C").env("TZ", "UTC");
        command
    }

    fn parts(&self, target: &str) -> PathBuf {
        Path::new(&self.root).join("usr/lib/grub").join(target)
    }
}
