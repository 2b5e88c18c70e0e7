//! The guest's disks: files of the host on virtio-blk.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use tempfile::TempPath;

use super::option::{device, escaped};
use super::{Machine, Model};

/// Bytes of the name that a disk tells at most.
const MOST_NAME: usize = 20;

/// A disk: the bytes of a file, as they are. The guest knows it by its name, and by its place.
#[derive(Clone, Debug)]
pub struct Disk {
    file: Backing,
    read_only: bool,
    name: String,
}

#[derive(Clone, Debug)]
enum Backing {
    File(PathBuf),
    /// Gone when nothing has it any more.
    Scratch(Arc<TempPath>),
}

/// The text is not `FILE[,ro][,name=NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a disk: write FILE, FILE,ro or FILE,name=NAME with a name of at most 20 letters, digits, - and _"
)]
pub struct DiskError(String);

impl Disk {
    /// The disk in that file, with the file's own name, but for its extension.
    pub fn new(file: impl Into<PathBuf>) -> Disk {
        let file = file.into();
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = stem.chars().filter(|&char| is_plain(char)).take(MOST_NAME).collect();
        Disk { file: Backing::File(file), read_only: false, name }
    }

    /// A disk of zeroes that is gone with the machine.
    pub fn scratch(name: &str, mib: u32) -> io::Result<Disk> {
        let file = tempfile::NamedTempFile::new()?;
        file.as_file().set_len(u64::from(mib) << 20)?;
        let file = Backing::Scratch(Arc::new(file.into_temp_path()));
        Ok(Disk { file, read_only: false, name: name.to_owned() })
    }

    /// It cannot be written to.
    pub fn read_only(self) -> Disk {
        Disk { read_only: true, ..self }
    }

    /// What it is called: at most 20 letters, digits, `-` and `_`.
    pub fn name(self, name: &str) -> Disk {
        Disk { name: name.to_owned(), ..self }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        match &self.file {
            Backing::File(file) => file,
            Backing::Scratch(file) => file,
        }
    }

    /// Whether it can be opened for what it is to be used for.
    pub(super) fn probe(&self) -> io::Result<()> {
        File::options().read(true).write(!self.read_only).open(self.file()).map(drop)
    }

    /// What QEMU is told: the host's side, and the guest's.
    fn options(&self, number: usize, model: Model) -> (String, String) {
        let file = escaped(self.file()).to_string_lossy().into_owned();
        let access = if self.read_only { "on" } else { "off" };
        let backend = format!(
            "driver=raw,node-name=disk{number},read-only={access},discard=unmap,\
             file.driver=file,file.filename={file}"
        );
        let mut card = device(model, "virtio-blk");
        card += &format!(",drive=disk{number}");
        if !self.name.is_empty() {
            card += &format!(",serial={}", self.name);
        }
        (backend, card)
    }
}

/// What QEMU is told of a machine's disks: options and values.
pub(super) fn arguments(machine: &Machine) -> Vec<(&'static str, String)> {
    let disks = machine.disks.iter().enumerate();
    let options = disks.flat_map(|(number, disk)| {
        let (backend, device) = disk.options(number, machine.model);
        [("-blockdev", backend), ("-device", device)]
    });
    options.collect()
}

fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_')
}

impl FromStr for Disk {
    type Err = DiskError;

    fn from_str(text: &str) -> Result<Self, DiskError> {
        let wrong = || DiskError(text.to_owned());
        let mut words = text.split(',');
        let file = words.next().filter(|file| !file.is_empty()).ok_or_else(wrong)?;
        let mut disk = Disk::new(file);
        for word in words {
            disk = match word.split_once('=') {
                None if word == "ro" => disk.read_only(),
                Some(("name", name))
                    if (1..=MOST_NAME).contains(&name.len()) && name.chars().all(is_plain) =>
                {
                    disk.name(name)
                }
                _ => return Err(wrong()),
            };
        }
        Ok(disk)
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.read_only { ",ro" } else { "" };
        write!(f, "{}{access},name={}", self.file().display(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_a_file_with_a_name() {
        let disk: Disk = "some/where/my data.img,ro".parse().unwrap();
        assert_eq!(disk.to_string(), "some/where/my data.img,ro,name=mydata");
        let disk: Disk = "a.img,name=logs-1".parse().unwrap();
        assert_eq!(disk.to_string(), "a.img,name=logs-1");
        for text in ["", ",ro", "a,rw", "a,name=", "a,name=x y", "a,name=123456789012345678901"] {
            let error = text.parse::<Disk>().unwrap_err().to_string();
            assert!(error.contains("FILE,ro"), "{error}");
        }
    }

    #[test]
    fn disks_are_on_the_machines_own_bus() {
        let text = |model| {
            let machine = Machine::new("x").model(model).disk(Disk::new("a,b.img").read_only());
            let words: Vec<_> = arguments(&machine).into_iter().map(|(_, value)| value).collect();
            words.join(" ")
        };
        let q35 = text(Model::Q35);
        assert!(q35.contains("file.filename=a,,b.img") && q35.contains("read-only=on"), "{q35}");
        assert!(q35.contains("virtio-blk-pci,disable-legacy=on,drive=disk0,serial=ab"), "{q35}");
        assert!(text(Model::Microvm).contains("virtio-blk-device,drive=disk0"));
    }

    #[test]
    fn a_scratch_disk_is_gone_with_the_last_that_has_it() {
        let disk = Disk::scratch("scratch", 1).unwrap();
        let file = disk.file().to_owned();
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 1 << 20);
        let machine = Machine::new("x").disk(disk);
        assert!(file.exists());
        drop(machine);
        assert!(!file.exists());
    }
}
