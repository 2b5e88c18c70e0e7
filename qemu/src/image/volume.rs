//! The file system with everything that boots: a FAT volume, which UEFI looks into itself.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result, bail};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, ReadWriteSeek};

use super::configuration::{Area, LENGTH};
use super::loader::{CONFIGURATION, IMAGE};

/// Where UEFI looks for what it is to start from a removable medium (UEFI Specification 2.10, 3.5.1.1).
const UEFI_LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// What the file system itself may take, and files that others add.
const ROOM: usize = 512 << 10;
/// A volume's length is a multiple of this.
const STEP: usize = 64 << 10;
pub(super) const SECTOR: usize = 512;

/// A volume with an image, its configuration, and the program by which UEFI starts it. Equal contents make equal
/// volumes: no date is in it, and its number is the one given.
pub(super) fn write(image: &[u8], area: &Area, loader: &[u8], number: u32) -> Result<Vec<u8>> {
    let length = image.len() + LENGTH + loader.len() + ROOM;
    let mut bytes = vec![0; length.next_multiple_of(STEP)];
    let options = FormatVolumeOptions::new().volume_id(number).volume_label(*b"REFLEX     ");
    fatfs::format_volume(Cursor::new(&mut bytes), options)?;
    let volume = FileSystem::new(Cursor::new(&mut bytes), FsOptions::new())?;
    {
        let root = volume.root_dir();
        for folder in ["EFI", "EFI/BOOT", "reflex"] {
            root.create_dir(folder)?;
        }
        for (name, content) in
            [(UEFI_LOADER, loader), (IMAGE, image), (CONFIGURATION, &area.bytes())]
        {
            root.create_file(name)?.write_all(content)?;
        }
    }
    volume.unmount()?;
    Ok(bytes)
}

/// Has `change` change the configuration in a volume, and writes it in its place.
///
/// # Errors
/// When the volume is not one of these, or the change is refused; nothing is written then.
pub(super) fn change(
    volume: impl ReadWriteSeek,
    change: impl FnOnce(&mut Area) -> Result<()>,
) -> Result<()> {
    let volume = FileSystem::new(volume, FsOptions::new()).context("it is no FAT volume")?;
    {
        let root = volume.root_dir();
        let mut file = root.open_file(CONFIGURATION).context("it has no configuration of ours")?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.len() != LENGTH {
            bail!("its configuration has {} bytes, and not {LENGTH}", bytes.len());
        }
        let mut area = Area::parse(&bytes)?;
        change(&mut area)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&area.bytes())?;
    }
    volume.unmount()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(volume: &mut [u8]) -> String {
        let volume = FileSystem::new(Cursor::new(volume), FsOptions::new()).unwrap();
        let mut text = String::new();
        volume.root_dir().open_file(CONFIGURATION).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), LENGTH);
        text.trim_end().to_owned()
    }

    #[test]
    fn equal_contents_make_equal_volumes() {
        let area = Area::parse(b"log=off").unwrap();
        let made = || write(&[7; 300_000], &area, &[9; 100_000], 5).unwrap();
        assert!(made() == made());
        assert!(made() != write(&[7; 300_000], &Area::default(), &[9; 100_000], 5).unwrap());
    }

    #[test]
    fn a_configuration_is_changed_in_its_place() {
        let mut volume = write(&[7; 300_000], &Area::default(), b"loader", 5).unwrap();
        let before = volume.clone();
        change(Cursor::new(&mut volume[..]), |area| area.set(&["a=b c".parse().unwrap()])).unwrap();
        assert_eq!(configuration(&mut volume), "a=b c");
        let refused = change(Cursor::new(&mut volume[..]), |_| bail!("no"));
        assert_eq!(refused.unwrap_err().to_string(), "no");
        assert_eq!(configuration(&mut volume), "a=b c");
        assert_eq!(before.len(), volume.len());
    }

    #[test]
    fn what_is_no_volume_of_ours_is_refused() {
        let error = change(Cursor::new(vec![0; 1 << 20]), |_| Ok(())).unwrap_err();
        assert!(format!("{error:#}").contains("no FAT volume"), "{error:#}");
        let mut other = vec![0; 1 << 20];
        fatfs::format_volume(Cursor::new(&mut other), FormatVolumeOptions::new()).unwrap();
        let error = change(Cursor::new(other), |_| Ok(())).unwrap_err();
        assert!(format!("{error:#}").contains("no configuration of ours"), "{error:#}");
    }
}
