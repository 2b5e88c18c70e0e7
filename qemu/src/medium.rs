//! What a bootable file is, by what it has in it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Where an ISO has the descriptor of its boot catalogue (ECMA-119, 8.2), and what begins it.
const BOOT_RECORD: u64 = 17 * 2048;
const BOOT_SIGNATURE: &[u8; 6] = b"\0CD001";
const QCOW2_SIGNATURE: &[u8; 4] = b"QFI\xfb";
/// The last bytes of a disk's first sector, when there is a boot loader in it.
const FIRST_SECTOR: usize = 512;
const DISK_SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// A kind of bootable file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Medium {
    /// What a hypervisor loads itself; and whatever is nothing else, which it then refuses.
    #[default]
    Kernel,
    /// A disk as it is.
    Raw,
    /// A disk in QEMU's format.
    Qcow2,
    /// An optical disc.
    Iso,
}

impl Medium {
    /// What the file is. One that cannot be read is taken for a kernel.
    pub(crate) fn at(path: &Path) -> Self {
        File::open(path).and_then(|mut file| Self::of(&mut file)).unwrap_or_default()
    }

    /// What the file is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of(file: &mut (impl Read + Seek)) -> io::Result<Self> {
        let mut first = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.take(FIRST_SECTOR as u64).read_to_end(&mut first)?;
        let mut record = Vec::new();
        file.seek(SeekFrom::Start(BOOT_RECORD))?;
        file.take(BOOT_SIGNATURE.len() as u64).read_to_end(&mut record)?;
        Ok(if record == BOOT_SIGNATURE {
            Self::Iso
        } else if first.starts_with(QCOW2_SIGNATURE) {
            Self::Qcow2
        } else if first.get(FIRST_SECTOR - 2..) == Some(&DISK_SIGNATURE) {
            Self::Raw
        } else {
            Self::Kernel
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn each_kind_is_known_by_its_signature() {
        let of = |at: usize, signature: &[u8]| {
            let mut bytes = vec![0; 40_000];
            bytes[at..at + signature.len()].copy_from_slice(signature);
            Medium::of(&mut Cursor::new(bytes)).unwrap()
        };
        assert_eq!(of(0, b"\x7fELF"), Medium::Kernel);
        assert_eq!(of(0, b"QFI\xfb"), Medium::Qcow2);
        assert_eq!(of(510, &[0x55, 0xaa]), Medium::Raw);
        assert_eq!(of(17 * 2048, b"\0CD001"), Medium::Iso);
        for length in [0, 3, 511, 512] {
            assert_eq!(Medium::of(&mut Cursor::new(vec![0; length])).unwrap(), Medium::Kernel);
        }
        assert_eq!(Medium::at(Path::new("/no/such/file")), Medium::Kernel);
    }
}
