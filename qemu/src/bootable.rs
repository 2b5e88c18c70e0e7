//! What makes a file an image: segments to load, and a note that says where it is entered.

use anyhow::{Result, bail};
use object::LittleEndian;
use object::elf::{FileHeader64, NoteType, PT_LOAD, PT_NOTE};
use object::read::elf::{FileHeader, ProgramHeader};

/// Type of the ELF note with the 32-bit entry point (Xen's `XEN_ELFNOTE_PHYS32_ENTRY`), by
/// which QEMU, Firecracker and Cloud Hypervisor boot an image.
const PVH_NOTE_TYPE: NoteType = NoteType(18);

/// Where the last segment ends in the file.
pub(crate) fn loaded_end(bytes: &[u8]) -> Result<usize> {
    let header = FileHeader64::<LittleEndian>::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?;
    let table = header.e_phoff(endian)
        + u64::from(header.e_phnum(endian)) * u64::from(header.e_phentsize(endian));
    let mut end = table.max(size_of::<FileHeader64<LittleEndian>>() as u64);
    let mut bootable = false;
    for segment in segments {
        let kind = segment.p_type(endian);
        if kind == PT_LOAD || kind == PT_NOTE {
            end = end.max(segment.p_offset(endian) + segment.p_filesz(endian));
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
    let end = usize::try_from(end)?;
    if end > bytes.len() {
        bail!("it is cut off");
    }
    Ok(end)
}
