//! Partition tables: good ones are read, damaged ones are none, and nothing that they say leads outside of the disk.

use gpt_disk_io::gpt_disk_types::{
    BlockSize, GptHeader, GptPartitionEntry, GptPartitionEntryArray, GptPartitionType, Lba, LbaLe,
    U32Le, guid,
};
use gpt_disk_io::{BlockIoAdapter, Disk};
use proptest::prelude::*;
use reflex_block::{Partition, SECTOR, TableError, partitions};
use reflex_testkit::{Medium, pool};

const SECTORS: usize = 512;

/// What is found on a disk with those bytes and that block size.
fn found(bytes: Vec<u8>, block: u32) -> Result<Vec<Partition>, TableError> {
    let medium = Medium::of(bytes, 4);
    medium.describe(|info| info.block = block);
    let mut disk = medium.disk();
    partitions(&mut disk, pool(1 << 19), || {
        let asked = medium.pending() > 0;
        medium.perform_all();
        !asked
    })
}

/// An MBR with those entries: type, first block, blocks.
fn mbr(entries: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; SECTORS * SECTOR];
    for (entry, (kind, first, blocks)) in bytes[446..510].chunks_mut(16).zip(entries) {
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..].copy_from_slice(&blocks.to_le_bytes());
    }
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

/// A GPT of blocks of that size with those partitions: label, first and last block.
fn gpt(block: u32, wanted: &[(&str, u64, u64)]) -> Vec<u8> {
    let size = BlockSize::new(block).expect("a block size");
    let blocks = (SECTORS * SECTOR) as u64 / size.to_u64();
    let table = 128 * 128 / size.to_u64();
    let mut bytes = vec![0; SECTORS * SECTOR];
    let mut header = GptHeader {
        my_lba: LbaLe::from_u64(1),
        alternate_lba: LbaLe::from_u64(blocks - 1),
        first_usable_lba: LbaLe::from_u64(2 + table),
        last_usable_lba: LbaLe::from_u64(blocks - table - 2),
        partition_entry_lba: LbaLe::from_u64(2),
        number_of_partition_entries: U32Le::from_u32(128),
        ..GptHeader::default()
    };
    let mut storage = vec![0; 128 * 128];
    let layout = header.get_partition_entry_array_layout().expect("a layout");
    let mut array = GptPartitionEntryArray::new(layout, size, &mut storage).expect("an array");
    for (at, (label, first, last)) in wanted.iter().enumerate() {
        let entry = GptPartitionEntry {
            partition_type_guid: GptPartitionType(guid!("0fc63daf-8483-4772-8e79-3d69d8477de4")),
            starting_lba: LbaLe::from_u64(*first),
            ending_lba: LbaLe::from_u64(*last),
            name: label.parse().expect("a label"),
            ..GptPartitionEntry::default()
        };
        // The second is left out.
        *array.get_partition_entry_mut(at as u32 * 2).expect("an entry") = entry;
    }
    header.partition_entry_array_crc32 = array.calculate_crc32();
    header.update_header_crc32();
    let mut disk = Disk::new(BlockIoAdapter::new(&mut bytes[..], size)).expect("a disk");
    let mut buffer = vec![0; block as usize];
    disk.write_protective_mbr(&mut buffer).expect("it is written");
    disk.write_primary_gpt_header(&header, &mut buffer).expect("it is written");
    disk.write_gpt_partition_entry_array(&array).expect("it is written");
    // The copy at the end.
    (header.my_lba, header.alternate_lba) = (header.alternate_lba, header.my_lba);
    header.partition_entry_lba = LbaLe::from_u64(blocks - table - 1);
    header.update_header_crc32();
    disk.write_secondary_gpt_header(&header, &mut buffer).expect("it is written");
    array.set_start_lba(Lba(blocks - table - 1));
    disk.write_gpt_partition_entry_array(&array).expect("it is written");
    // It borrows them until it is dropped.
    drop(disk);
    bytes
}

fn ranges(partitions: &[Partition]) -> Vec<(u32, &str, std::ops::Range<u64>)> {
    partitions.iter().map(|it| (it.number, it.label.as_str(), it.range.clone())).collect()
}

#[test]
fn partitions_of_both_tables_are_found() {
    assert_eq!(found(vec![0; SECTORS * SECTOR], 512), Ok(vec![]));
    let table = found(mbr(&[(0x83, 8, 100), (0, 8, 8), (0x0c, 200, 312)]), 512).unwrap();
    assert_eq!(ranges(&table), [(1, "", 8..108), (3, "", 200..512)]);
    assert!(table[0].is_called("1") && !table[0].is_called("") && !table[0].is_called("2"));
    let table = found(mbr(&[(0x83, 8, 16)]), 4096).unwrap();
    assert_eq!(ranges(&table), [(1, "", 64..192)]);
    let table = found(gpt(512, &[("logs", 40, 99), ("site", 100, 400)]), 512).unwrap();
    assert_eq!(ranges(&table), [(1, "logs", 40..100), (3, "site", 100..401)]);
    assert!(table[1].is_called("site") && table[1].is_called("3"));
    let table = found(gpt(4096, &[("logs", 10, 19)]), 4096).unwrap();
    assert_eq!(ranges(&table), [(1, "logs", 80..160)]);
}

#[test]
fn what_leads_outside_is_no_partition() {
    let table = found(mbr(&[(0x83, 500, 13), (0x83, u32::MAX, u32::MAX), (0x83, 1, 0)]), 512);
    assert_eq!(table, Ok(vec![]));
    let beyond = gpt(512, &[("a", 40, 512), ("b", 50, 49), ("c", u64::MAX, u64::MAX), ("d", 0, 9)]);
    assert_eq!(found(beyond, 512), Ok(vec![]));
}

#[test]
fn the_copy_at_the_end_counts_when_the_first_is_damaged() {
    let good = gpt(512, &[("logs", 40, 99)]);
    for damaged in [512, 600, 1024, 1024 + 56] {
        let mut bytes = good.clone();
        bytes[damaged] ^= 0x40;
        let table = found(bytes.clone(), 512).unwrap();
        assert_eq!(ranges(&table), [(1, "logs", 40..100)], "byte {damaged}");
        // With both damaged there is no table.
        let last = SECTORS * SECTOR - SECTOR;
        bytes[last] ^= 1;
        assert_eq!(found(bytes, 512), Ok(vec![]), "byte {damaged}");
    }
}

#[test]
fn a_disk_that_does_not_answer_is_told_of() {
    let medium = Medium::new(SECTORS as u64, 4);
    assert_eq!(partitions(&mut medium.disk(), pool(1 << 19), || true), Err(TableError::Device));
    medium.break_down();
    assert_eq!(partitions(&mut medium.disk(), pool(1 << 19), || true), Err(TableError::Device));
}

proptest! {
    #[test]
    fn whatever_a_table_says_partitions_are_on_the_disk(
        changes in proptest::collection::vec((0usize..3 * SECTOR, any::<u8>()), 0..8),
        mend in any::<bool>(),
    ) {
        let mut bytes = gpt(512, &[("logs", 40, 99), ("site", 100, 400)]);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        if mend {
            // Its checksum is right, so that what it says is looked at.
            let mut disk = Disk::new(BlockIoAdapter::new(&mut bytes[..], BlockSize::BS_512)).unwrap();
            let mut buffer = [0; SECTOR];
            let mut header = disk.read_primary_gpt_header(&mut buffer).unwrap();
            header.update_header_crc32();
            disk.write_primary_gpt_header(&header, &mut buffer).unwrap();
        }
        for partition in found(bytes, 512).unwrap() {
            prop_assert!(!partition.range.is_empty() && partition.range.end <= SECTORS as u64);
        }
    }
}
