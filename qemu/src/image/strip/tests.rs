use super::*;
use object::elf::{Ident, PF_R, ProgramHeader64, ProgramType};
use proptest::prelude::*;

/// The note that images have: owner "Xen", type 18, a 32-bit entry.
const NOTE: [u8; 20] = [4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0, 0x20, 0, 16, 0];
const PAGE: usize = 4096;

fn segment(
    kind: ProgramType,
    offset: usize,
    address: usize,
    size: usize,
    memory: usize,
) -> Segment {
    let number = |number: usize| U64::new(LittleEndian, number as u64);
    ProgramHeader64 {
        p_type: object::U32::new(LittleEndian, kind),
        p_flags: object::U32::new(LittleEndian, PF_R),
        p_offset: number(offset),
        p_vaddr: number(address),
        p_paddr: number(address),
        p_filesz: number(size),
        p_memsz: number(memory),
        p_align: number(if kind == PT_NOTE { 4 } else { PAGE }),
    }
}

/// An image as a linker writes it: each segment at a page of the file, the note in the first.
fn linked(contents: &[Vec<u8>]) -> Vec<u8> {
    let mut segments = vec![segment(PT_NOTE, PAGE, 1 << 20, NOTE.len(), NOTE.len())];
    let mut file = vec![0; PAGE];
    for content in contents {
        let (offset, address) = (file.len(), (1 << 20) + file.len());
        segments.push(segment(PT_LOAD, offset, address, content.len(), content.len() + 100));
        file.extend_from_slice(content);
        file.resize(file.len().next_multiple_of(PAGE), 0xcc);
    }
    let mut header: FileHeader64<LittleEndian> = *pod::from_bytes(&[0; 64]).expect("64 bytes").0;
    header.e_ident = Ident {
        magic: *b"\x7fELF",
        class: object::elf::ELFCLASS64,
        data: object::elf::ELFDATA2LSB,
        version: object::elf::EV_CURRENT,
        ..header.e_ident
    };
    header.e_phoff = U64::new(LittleEndian, 64);
    header.e_phentsize = U16::new(LittleEndian, 56);
    header.e_phnum = U16::new(LittleEndian, segments.len() as u16);
    let head = [pod::bytes_of(&header), pod::bytes_of_slice(&segments)].concat();
    file[..head.len()].copy_from_slice(&head);
    file.extend_from_slice(b"names and debug information");
    file
}

/// What a loader has in memory: addresses, and what lies there.
fn loaded(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let read = segments(file).expect("it is bootable");
    let load = read.iter().filter(|segment| segment.p_type(LittleEndian) == PT_LOAD);
    load.map(|segment| {
        let mut memory = segment.data(LittleEndian, file).expect("it is there").to_vec();
        memory.resize(segment.p_memsz(LittleEndian) as usize, 0);
        (segment.p_paddr(LittleEndian), memory)
    })
    .collect()
}

proptest! {
    #[test]
    fn what_is_loaded_stays_the_same(
        code in prop::collection::vec(any::<u8>(), 0..9000),
        constants in prop::collection::vec(0_u8..2, 0..50),
        data in prop::collection::vec(0_u8..2, 0..9000),
    ) {
        let code = [&NOTE[..], &code].concat();
        let bytes = code.len() + constants.len() + data.len();
        let file = linked(&[code, constants, data]);
        let stripped = strip(&file).expect("it is an image");
        prop_assert_eq!(loaded(&stripped), loaded(&file));
        prop_assert!(stripped.len() <= 64 + 4 * 56 + bytes, "nothing else is in it");
        prop_assert_eq!(strip(&stripped).expect("it still is one"), stripped);
    }
}

#[test]
fn a_file_without_the_note_or_cut_off_is_refused() {
    let file = linked(&[[&NOTE[..], &[1; 100]].concat()]);
    strip(&file).expect("it is an image");
    let mut other = NOTE.to_vec();
    other[8] += 1;
    let error = strip(&linked(&[other])).unwrap_err();
    assert!(format!("{error:#}").contains("no PVH note"), "{error:#}");
    let error = strip(&file[..PAGE + 10]).unwrap_err();
    assert!(format!("{error:#}").contains("cut off"), "{error:#}");
}
