//! An image without what no loader reads.
//!
//! A loader reads an image's segments and nothing else. So stripping is writing these one behind the other:
//! names, debug information and section tables are left out, and so are the gaps by which the places of a
//! program's segments in its file follow their addresses, as an operating system that maps files wants them.

use std::ops::Range;

use anyhow::{Context, Result};
use object::elf::{FileHeader64, PT_LOAD, PT_NOTE, SymbolSection};
use object::read::elf::ProgramHeader;
use object::{LittleEndian, U16, U64, pod};

use crate::bootable::{Segment, segments};

/// The image without what no loader reads: its segments, one behind the other, in a new file.
///
/// # Errors
/// When it is not an ELF file of this kind, or has no PVH note and so would not boot.
pub fn strip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut segments = segments(bytes).context("the image is not a bootable ELF file")?;
    let (header, _) = pod::from_bytes::<FileHeader64<LittleEndian>>(bytes)
        .map_err(|()| anyhow::anyhow!("no ELF header"))?;
    let mut header = *header;
    let start = size_of_val(&header) + size_of_val(segments.as_slice());
    let contents = place(&mut segments, bytes, start);
    header.e_phoff = U64::new(LittleEndian, size_of_val(&header) as u64);
    header.e_phnum = U16::new(LittleEndian, segments.len() as u16);
    header.e_shoff = U64::new(LittleEndian, 0);
    header.e_shnum = U16::new(LittleEndian, 0);
    header.e_shstrndx = U16::new(LittleEndian, SymbolSection(0));
    Ok([pod::bytes_of(&header), pod::bytes_of_slice(&segments), &contents].concat())
}

/// Gives each segment its place in a file in which their contents lie from `start` on; those contents.
fn place(segments: &mut [Segment], bytes: &[u8], start: usize) -> Vec<u8> {
    let number = |number: usize| U64::new(LittleEndian, number as u64);
    let mut contents = Vec::new();
    // Where content lay, and where it lies.
    let mut moved: Vec<(Range<u64>, usize)> = Vec::new();
    // Those to be loaded first: the note lies in one of them, and is not written twice.
    let is_note = |segment: &Segment| segment.p_type(LittleEndian) == PT_NOTE;
    let (notes, loaded): (Vec<_>, Vec<_>) = segments.iter_mut().partition(|s| is_note(s));
    for segment in loaded.into_iter().chain(notes) {
        let (from, data) = (segment.p_offset(LittleEndian), content(segment, bytes));
        let held = moved.iter().find(|(range, _)| range.contains(&from)).cloned();
        let place = match held.filter(|_| is_note(segment)) {
            Some((range, place)) => place + (from - range.start) as usize,
            None => {
                let place = start + contents.len();
                contents.extend_from_slice(data);
                moved.push((from..from + data.len() as u64, place));
                place
            }
        };
        segment.p_offset = number(place);
        segment.p_filesz = number(data.len());
        if !is_note(segment) {
            // Places in the file do not follow addresses.
            segment.p_align = number(1);
        }
    }
    contents
}

/// A segment's content, without the zeros at the end of what is to be loaded: a loader adds these.
fn content<'bytes>(segment: &Segment, bytes: &'bytes [u8]) -> &'bytes [u8] {
    let data = segment.data(LittleEndian, bytes).unwrap_or_default();
    match segment.p_type(LittleEndian) {
        PT_LOAD => &data[..data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)],
        _ => data,
    }
}

#[cfg(test)]
mod tests;
