//! What makes a file an image: segments to load, and a note that says where it is entered.

use anyhow::{Result, bail};
use object::LittleEndian;
use object::elf::{FileHeader64, NoteType, PT_LOAD, PT_NOTE, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

/// Type of the ELF note with the 32-bit entry point (Xen's `XEN_ELFNOTE_PHYS32_ENTRY`), by
/// which QEMU and other loaders of PVH images find where an image is entered.
const PVH_NOTE_TYPE: NoteType = NoteType(18);

/// A program header of an image.
pub(crate) type Segment = ProgramHeader64<LittleEndian>;

/// The segments that a loader reads. The file has all of their bytes.
///
/// # Errors
/// When the file is not an ELF file of this kind, is cut off, or has no PVH note and so would not boot.
pub(crate) fn segments(bytes: &[u8]) -> Result<Vec<Segment>> {
    let header = FileHeader64::<LittleEndian>::parse(bytes)?;
    let endian = header.endian()?;
    let all = header.program_headers(endian, bytes)?;
    let read = all.iter().filter(|segment| [PT_LOAD, PT_NOTE].contains(&segment.p_type(endian)));
    let mut bootable = false;
    for segment in read.clone() {
        if segment.data(endian, bytes).is_err() {
            bail!("it is cut off");
        }
        if let Some(mut notes) = segment.notes(endian, bytes)? {
            while let Some(note) = notes.next()? {
                bootable |= note.name() == b"Xen" && note.n_type(endian) == PVH_NOTE_TYPE;
            }
        }
    }
    if !bootable {
        bail!("it has no PVH note: does the package's build.rs pass the linker's arguments on?");
    }
    Ok(read.copied().collect())
}
