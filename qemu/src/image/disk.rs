//! A disk with a partition table (UEFI Specification 2.10, 5): the boot loader's program for BIOS in a partition of
//! its own, and the volume in the other.

use std::io::{Cursor, Read, Seek, Write};

use anyhow::{Context, Result, bail, ensure};
use fscommon::StreamSlice;
use gpt::disk::LogicalBlockSize::Lb512;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{BIOS, EFI};
use gpt::{DiskDevice, GptConfig};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::configuration::Area;
use super::loader::{Loader, Start};
use super::volume::{self, SECTOR};

/// The name of the volume's partition.
const NAME: &str = "reflex";
/// Where partitions begin: behind the table. The volume begins at a MiB.
const FIRST: u64 = 64;
const ALIGNMENT: u64 = 2048;
/// The table's copy at the end.
const COPY: u64 = 33;

/// GRUB's first sector: where it has the place of the program, and a jump that is for floppy disks alone.
const PROGRAM_PLACE: usize = 0x5c;
const FLOPPY_JUMP: usize = 0x66;
const NO_OPERATION: [u8; 2] = [0x90, 0x90];
/// The program's first sector: where it has the place of its second, in a list of such places that ends there.
const REST_PLACE: usize = SECTOR - 12;
/// Code of the first sector; behind it are a signature and the table of older systems.
const CODE: usize = 440;

/// A disk that boots an image with a configuration.
pub(super) fn write(image: &[u8], area: &Area, loader: &Loader) -> Result<Vec<u8>> {
    let first = loader.first_sector()?;
    let program = loader.program(Start::BiosDisk)?;
    let identity = identity(image);
    let volume = volume::write(image, area, &loader.program(Start::UefiDisk)?, number(&identity))?;
    assemble(&first, program, &volume, identity)
}

/// Numbers by which others tell disks apart; equal images have equal ones.
fn identity(image: &[u8]) -> [u8; 32] {
    Sha256::digest(image).into()
}

/// The number of an image's volume.
pub(super) fn volume_number(image: &[u8]) -> u32 {
    number(&identity(image))
}

fn number(identity: &[u8; 32]) -> u32 {
    u32::from_le_bytes([identity[0], identity[1], identity[2], identity[3]])
}

fn assemble(first: &[u8], mut program: Vec<u8>, volume: &[u8], id: [u8; 32]) -> Result<Vec<u8>> {
    let sectors = |bytes: usize| bytes.div_ceil(SECTOR) as u64;
    let (program_length, volume_length) = (sectors(program.len()), sectors(volume.len()));
    let volume_first = (FIRST + program_length).next_multiple_of(ALIGNMENT);
    let total = volume_first + volume_length + COPY;
    let mut disk = vec![0; total as usize * SECTOR];

    let mut code = [0; CODE];
    code.copy_from_slice(first.get(..CODE).context("GRUB's first sector is too short")?);
    code[PROGRAM_PLACE..PROGRAM_PLACE + 8].copy_from_slice(&FIRST.to_le_bytes());
    code[FLOPPY_JUMP..FLOPPY_JUMP + 2].copy_from_slice(&NO_OPERATION);
    let rest =
        program.get_mut(REST_PLACE..REST_PLACE + 8).context("GRUB's program is too short")?;
    rest.copy_from_slice(&(FIRST + 1).to_le_bytes());
    for (place, content) in [(FIRST, &program[..]), (volume_first, volume)] {
        let place = place as usize * SECTOR;
        disk[place..place + content.len()].copy_from_slice(content);
    }

    let mut device = Cursor::new(&mut disk[..]);
    let mut mbr = ProtectiveMBR::with_lb_size(u32::try_from(total - 1)?);
    mbr.set_bootcode(code);
    mbr.overwrite_lba0(&mut device)?;
    let guid = |part: u8| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest([&id[..], &[part]].concat())[..16]);
        Builder::from_random_bytes(bytes).into_uuid()
    };
    let config = GptConfig::new().writable(true).logical_block_size(Lb512);
    let mut table = config.create_from_device(device, Some(guid(0)))?;
    table.add_partition_at("boot loader", 1, FIRST, program_length, BIOS, 0)?;
    table.add_partition_at(NAME, 2, volume_first, volume_length, EFI, 0)?;
    let mut partitions = table.take_partitions();
    for (part, partition) in &mut partitions {
        partition.part_guid = guid(*part as u8);
    }
    table.update_partitions(partitions)?;
    table.write()?;
    Ok(disk)
}

/// The volume in a disk.
///
/// # Errors
/// When the disk is not one of these.
pub(super) fn volume<D: DiskDevice + Read + Write + Seek>(mut disk: D) -> Result<StreamSlice<D>> {
    let table = GptConfig::new().writable(false).logical_block_size(Lb512);
    let opened = table.open_from_device(&mut disk).context("it has no partition table")?;
    let ours = opened.partitions().values().find(|part| part.name == NAME);
    let Some(ours) = ours.filter(|part| part.part_type_guid == EFI) else {
        bail!("it has no partition `{NAME}`: `cargo reflex image` did not make it");
    };
    let (start, length) = (ours.bytes_start(Lb512)?, ours.bytes_len(Lb512)?);
    drop(opened);
    let end = disk.seek(std::io::SeekFrom::End(0))?;
    ensure!(start + length <= end, "its partition `{NAME}` ends behind the end of the disk");
    Ok(StreamSlice::new(disk, start, start + length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Vec<u8> {
        let volume = volume::write(b"image", &Area::default(), b"loader", 1).unwrap();
        assemble(&[1; 512], vec![2; 100_000], &volume, [3; 32]).unwrap()
    }

    fn set(disk: &mut [u8], word: &str) -> Result<()> {
        volume::change(volume(Cursor::new(disk))?, |area| area.set(&[word.parse().unwrap()]))
    }

    #[test]
    fn the_same_parts_make_the_same_disk() {
        assert!(disk() == disk());
    }

    #[test]
    fn the_loader_finds_its_parts() {
        let disk = disk();
        assert_eq!(disk[510..512], [0x55, 0xaa]);
        assert_eq!(disk[PROGRAM_PLACE..PROGRAM_PLACE + 8], FIRST.to_le_bytes());
        let program = FIRST as usize * SECTOR;
        assert_eq!(disk[program..program + 4], [2; 4]);
        let rest = program + REST_PLACE;
        assert_eq!(disk[rest..rest + 8], (FIRST + 1).to_le_bytes());
    }

    #[test]
    fn the_configuration_is_found_and_changed() {
        let mut disk = disk();
        let before = disk.clone();
        set(&mut disk, "log=warn").unwrap();
        let differ = disk.iter().zip(&before).filter(|(one, other)| one != other).count();
        assert!((1..64).contains(&differ), "{differ} bytes differ");
    }

    #[test]
    fn a_disk_without_our_partition_is_refused() {
        let error = set(&mut vec![0; 1 << 20], "a=b").unwrap_err();
        assert!(format!("{error:#}").contains("no partition table"), "{error:#}");
        let mut other = vec![0; 1 << 20];
        let config = GptConfig::new().writable(true).logical_block_size(Lb512);
        let mut table = config.create_from_device(Cursor::new(&mut other[..]), None).unwrap();
        table.add_partition_at("data", 1, 64, 100, EFI, 0).unwrap();
        table.write().unwrap();
        let error = set(&mut other, "a=b").unwrap_err().to_string();
        assert!(error.contains("no partition `reflex`"), "{error}");
        let mut cut = disk();
        cut.truncate(1 << 20);
        set(&mut cut, "a=b").unwrap_err();
    }
}
