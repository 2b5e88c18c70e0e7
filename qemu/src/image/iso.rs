//! An optical disc (ECMA-119, with the boot catalogue of "El Torito"): the boot loader's program for BIOS, and the
//! volume, which UEFI starts from.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result, ensure};
use fscommon::StreamSlice;

use super::configuration::Area;
use super::disk;
use super::loader::{Loader, Start, VOLUME};
use super::volume;
use crate::peer;

const PROGRAM: &str = "boot.img";
/// Of all files, whenever they are written.
const DATE: &str = "1980010100000000";
const SECTOR: u64 = 2048;
/// The descriptor that says where the catalogue is.
const BOOT_RECORD: u64 = 17 * SECTOR;
const CATALOGUE_PLACE: usize = 0x47;
/// Entries of the catalogue: one that validates it, one for BIOS, and those of other platforms behind a header each.
const ENTRY: usize = 32;
const PLATFORM_UEFI: u8 = 0xef;
const ENTRY_PLACE: usize = 8;

/// A disc that boots an image with a configuration.
pub(super) fn write(image: &[u8], area: &Area, loader: &Loader) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let (files, made) = (folder.path().join("files"), folder.path().join("made"));
    fs::create_dir(&files)?;
    let number = disk::volume_number(image);
    let volume = volume::write(image, area, &loader.program(Start::UefiDisc)?, number)?;
    fs::write(files.join(PROGRAM), loader.program(Start::BiosDisc)?)?;
    fs::write(files.join(VOLUME), volume)?;
    let mut command = loader.command("xorriso");
    command.args(["-as", "mkisofs", "-quiet", "-volid", "REFLEX", "-R", "-uid", "0", "-gid", "0"]);
    command.args(["--set_all_file_dates", DATE]);
    command.args(["-b", PROGRAM, "-no-emul-boot", "-boot-load-size", "4"]);
    command.args(["-boot-info-table", "--grub2-boot-info"]);
    command.args(["-eltorito-alt-boot", "-e", VOLUME, "-no-emul-boot", "-o"]);
    peer::run(command.arg(&made).arg(&files))?;
    fs::read(&made).context("xorriso has made nothing")
}

/// The volume in a disc.
///
/// # Errors
/// When the disc is not one of these.
pub(super) fn volume<F: Read + Write + Seek>(mut file: F) -> Result<StreamSlice<F>> {
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
    };
    let record = sector(&mut file, BOOT_RECORD)?;
    let catalogue = sector(&mut file, word(&record, CATALOGUE_PLACE) * SECTOR)?;
    let entries: Vec<&[u8]> = catalogue.chunks_exact(ENTRY).collect();
    let mut pairs = entries.windows(2);
    let uefi = pairs.find(|pair| [0x90, 0x91].contains(&pair[0][0]) && pair[0][1] == PLATFORM_UEFI);
    let entry = uefi.context("it does not boot by UEFI: `cargo reflex image` did not make it")?[1];
    let start = word(entry, ENTRY_PLACE) * SECTOR;
    let end = file.seek(SeekFrom::End(0))?;
    ensure!(start < end, "its volume begins behind the end of the file");
    Ok(StreamSlice::new(file, start, end)?)
}

fn sector(file: &mut (impl Read + Seek), place: u64) -> Result<[u8; SECTOR as usize]> {
    let mut bytes = [0; SECTOR as usize];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut bytes).context("it is cut off")?;
    Ok(bytes)
}
