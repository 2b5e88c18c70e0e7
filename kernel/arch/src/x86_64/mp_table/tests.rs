use super::*;
use proptest::prelude::*;

/// The BIOS area, with a pointer at `at` to a table of `entries` right behind it.
fn bios(at: usize, entries: &[u8]) -> Vec<u8> {
    let mut area = vec![0; BIOS.1];
    let table = at + POINTER_BYTES;
    let mut pointer = [0; POINTER_BYTES];
    pointer[..4].copy_from_slice(b"_MP_");
    pointer[4..8].copy_from_slice(&(BIOS.0 as u32 + table as u32).to_le_bytes());
    (pointer[8], pointer[9]) = (1, 4);
    pointer[10] = missing(&pointer);
    area[at..table].copy_from_slice(&pointer);
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..4].copy_from_slice(b"PCMP");
    bytes[4..6].copy_from_slice(&((HEADER_BYTES + entries.len()) as u16).to_le_bytes());
    bytes.extend(entries);
    bytes[7] = missing(&bytes);
    area[table..table + bytes.len()].copy_from_slice(&bytes);
    area
}

/// What the bytes lack to a sum of zero.
fn missing(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}

fn processor(id: u8, flags: u8) -> [u8; 20] {
    let mut entry = [0; 20];
    (entry[1], entry[3]) = (id, flags);
    entry
}

fn read_area(area: &[u8]) -> Result<Option<Processors>, Error> {
    read(|address, length| {
        let offset = usize::try_from(address.checked_sub(BIOS.0)?).ok()?;
        area.get(offset..offset.checked_add(length)?)
    })
}

#[test]
fn enabled_processors_are_found_though_no_entry_is_counted() {
    let bus = [1, 0, b'I', b'S', b'A', b' ', b' ', b' '];
    let entries = [&processor(0, 3)[..], &processor(4, 1), &processor(2, 0), &bus].concat();
    for at in [0, 0x50, BIOS.1 - 256] {
        let found = read_area(&bios(at, &entries)).unwrap().unwrap();
        assert_eq!(found.ids(), [0, 4]);
    }
}

#[test]
fn the_extended_data_area_is_looked_into_first() {
    let area = bios(0, &processor(7, 1));
    // The same bytes elsewhere; the pointer in them still leads to the BIOS.
    let found = read(|address, length| match address {
        EXTENDED_DATA => Some(&[0x00, 0x90]),
        0x9_0000 => area.get(..length),
        _ => area.get(usize::try_from(address.checked_sub(BIOS.0)?).ok()?..)?.get(..length),
    });
    assert_eq!(found.unwrap().unwrap().ids(), [7]);
}

#[test]
fn no_pointer_is_no_table_and_damage_is_named() {
    assert!(read_area(&vec![0; BIOS.1]).unwrap().is_none());
    assert!(read(|_, _| None).unwrap().is_none());
    let whole = bios(16, &processor(0, 1));
    let damaged = |at: usize| {
        let mut area = whole.clone();
        area[at] ^= 1;
        read_area(&area)
    };
    assert!(damaged(16).unwrap().is_none(), "a pointer that is none");
    assert_eq!(damaged(32).unwrap_err(), Error::BadSignature);
    assert_eq!(damaged(32 + HEADER_BYTES).unwrap_err(), Error::BadChecksum);
    assert_eq!(read_area(&bios(0, &processor(0, 1)[..19])).unwrap_err(), Error::TableTruncated);
}

proptest! {
    #[test]
    fn no_entries_panic(entries in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read_area(&bios(0, &entries));
    }
}
