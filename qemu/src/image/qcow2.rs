//! A disk in QEMU's format (QEMU's `docs/interop/qcow2.rst`), version 3: written whole, and changed in place where that
//! changes nothing but data.

use std::fmt::Debug;
use std::io::{self, Error, Read, Result, Seek, SeekFrom, Write};

const MAGIC: &[u8; 4] = b"QFI\xfb";
const VERSION: u32 = 3;
const HEADER_BYTES: u32 = 104;
/// Logarithm of a cluster's bytes, and of a reference count's bits.
const CLUSTER_BITS: u32 = 16;
const COUNT_ORDER: u32 = 4;
const CLUSTER: usize = 1 << CLUSTER_BITS;
/// An entry of a table: that of the only user of a cluster, and one of a compressed cluster.
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Of an entry, the place in the file.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;
/// A second-level entry that reads as zeros, whatever its place.
const ZEROS: u64 = 1;

/// Clusters before the data: header, table of reference counts, reference counts, first and second level.
const COUNT_TABLE: usize = 1;
const COUNTS: usize = 2;
const LEVEL_1: usize = 3;
const LEVEL_2: usize = 4;
const DATA: usize = 5;
/// What one second-level table has, and one table of reference counts covers: 512 MiB.
const MOST_CLUSTERS: usize = CLUSTER / 8;

/// A disk in this format.
///
/// # Panics
/// When it is longer than 512 MiB: of an image of some hundred kilobytes none is made.
pub(super) fn write(disk: &[u8]) -> Vec<u8> {
    let clusters = disk.len().div_ceil(CLUSTER);
    assert!(clusters <= MOST_CLUSTERS, "a disk of an image is small");
    let mut file = vec![0; DATA * CLUSTER];
    let put = |file: &mut Vec<u8>, place: usize, value: &[u8]| {
        file[place..place + value.len()].copy_from_slice(value);
    };
    let place = |cluster: usize| (cluster * CLUSTER) as u64;
    let header = [
        &MAGIC[..],
        &VERSION.to_be_bytes(),
        &[0; 12], // no other file behind it
        &CLUSTER_BITS.to_be_bytes(),
        &(disk.len() as u64).to_be_bytes(),
        &0_u32.to_be_bytes(), // not encrypted
        &1_u32.to_be_bytes(),
        &place(LEVEL_1).to_be_bytes(),
        &place(COUNT_TABLE).to_be_bytes(),
        &1_u32.to_be_bytes(),
        &[0; 12], // no snapshots
        &[0; 24], // no features
        &COUNT_ORDER.to_be_bytes(),
        &HEADER_BYTES.to_be_bytes(),
    ];
    put(&mut file, 0, &header.concat());
    put(&mut file, COUNT_TABLE * CLUSTER, &place(COUNTS).to_be_bytes());
    put(&mut file, LEVEL_1 * CLUSTER, &(place(LEVEL_2) | COPIED).to_be_bytes());
    for (number, content) in disk.chunks(CLUSTER).enumerate() {
        if content.iter().any(|byte| *byte != 0) {
            let entry = file.len() as u64 | COPIED;
            put(&mut file, LEVEL_2 * CLUSTER + 8 * number, &entry.to_be_bytes());
            file.extend_from_slice(content);
            file.resize(file.len().next_multiple_of(CLUSTER), 0);
        }
    }
    for cluster in 0..file.len() / CLUSTER {
        put(&mut file, COUNTS * CLUSTER + 2 * cluster, &1_u16.to_be_bytes());
    }
    file
}

/// A file of this format, as the disk that it is. What is not there reads as zeros, and cannot be written.
#[derive(Debug)]
pub(super) struct Disk<F> {
    file: F,
    cluster_bits: u32,
    level_1: u64,
    level_1_entries: u64,
    length: u64,
    position: u64,
}

/// Where a piece of the disk lies.
enum Piece {
    Zeros,
    /// At this place of the file; whether nothing else uses it.
    At(u64, bool),
}

impl<F: Read + Seek> Disk<F> {
    /// Reads the header.
    ///
    /// # Errors
    /// When the file is of another version, encrypted, has a file behind it, or features that nobody here knows.
    pub(super) fn open(mut file: F) -> Result<Self> {
        let mut header = [0; 80];
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut header)?;
        let [backing, length, level_1, features] = [8, 24, 40, 72].map(|at| long(&header, at));
        let [version, cluster_bits, encryption, entries] =
            [4, 20, 32, 36].map(|at| (long(&header, at) >> 32) as u32);
        let plain = backing == 0 && encryption == 0 && (version == 2 || features == 0);
        if !plain || !(2..=3).contains(&version) || !(9..=21).contains(&cluster_bits) {
            let what = "it is a qcow2 file with a backing file, encryption, or features that are not known";
            return Err(Error::new(io::ErrorKind::Unsupported, what));
        }
        let level_1_entries = entries.into();
        Ok(Self { file, cluster_bits, level_1, level_1_entries, length, position: 0 })
    }

    fn entry(&mut self, place: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.file.seek(SeekFrom::Start(place))?;
        self.file.read_exact(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Where the byte at the position lies, and how many from there on lie together, of `wanted` at most.
    fn piece(&mut self, wanted: usize) -> Result<(Piece, usize)> {
        let within = self.position & ((1 << self.cluster_bits) - 1);
        let together = ((1 << self.cluster_bits) - within).min(self.length - self.position);
        let together = wanted.min(usize::try_from(together).unwrap_or(usize::MAX));
        let cluster = self.position >> self.cluster_bits;
        let entries_bits = self.cluster_bits - 3;
        let first = cluster >> entries_bits;
        let second = cluster & ((1 << entries_bits) - 1);
        if first >= self.level_1_entries {
            return Ok((Piece::Zeros, together));
        }
        let level_2 = self.entry(self.level_1 + 8 * first)?;
        if level_2 & PLACE == 0 {
            return Ok((Piece::Zeros, together));
        }
        let entry = self.entry((level_2 & PLACE) + 8 * second)?;
        if entry & COMPRESSED != 0 {
            let what = "it is compressed: `qemu-img convert` makes one that is not";
            return Err(Error::new(io::ErrorKind::Unsupported, what));
        }
        let own = level_2 & entry & COPIED != 0;
        let zeros = entry & PLACE == 0 || entry & ZEROS != 0;
        let piece = if zeros { Piece::Zeros } else { Piece::At((entry & PLACE) + within, own) };
        Ok((piece, together))
    }
}

/// The number at a place of the header.
fn long(header: &[u8], at: usize) -> u64 {
    header.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |b| u64::from_be_bytes(*b))
}

impl<F: Read + Seek> Read for Disk<F> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        if self.position >= self.length || bytes.is_empty() {
            return Ok(0);
        }
        let (piece, together) = self.piece(bytes.len())?;
        match piece {
            Piece::Zeros => bytes[..together].fill(0),
            Piece::At(place, _) => {
                self.file.seek(SeekFrom::Start(place))?;
                self.file.read_exact(&mut bytes[..together])?;
            }
        }
        self.position += together as u64;
        Ok(together)
    }
}

impl<F: Read + Write + Seek> Write for Disk<F> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.position >= self.length || bytes.is_empty() {
            return Ok(0);
        }
        let (piece, together) = self.piece(bytes.len())?;
        match piece {
            Piece::At(place, true) => {
                self.file.seek(SeekFrom::Start(place))?;
                self.file.write_all(&bytes[..together])?;
            }
            Piece::At(..) | Piece::Zeros => {
                let what = "snapshots of the disk have the same data: `qemu-img convert` makes one that has none";
                return Err(Error::new(io::ErrorKind::Unsupported, what));
            }
        }
        self.position += together as u64;
        Ok(together)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

impl<F: Seek> Seek for Disk<F> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// A disk of three clusters and a bit, of which one has nothing on it.
    fn disk() -> Vec<u8> {
        let mut disk = vec![0; 3 * CLUSTER + 1000];
        disk[7] = 1;
        disk[2 * CLUSTER..].fill(9);
        disk
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(at in 0..3 * CLUSTER as u64 + 2000, length in 0..200_000_usize) {
            let disk = disk();
            let mut file = Disk::open(Cursor::new(write(&disk))).unwrap();
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.take(length as u64).read_to_end(&mut bytes).unwrap();
            let from = (at as usize).min(disk.len());
            prop_assert!(bytes == disk[from..(from + length).min(disk.len())]);
        }
    }

    #[test]
    fn data_is_changed_where_it_is() {
        let mut file = Disk::open(Cursor::new(write(&disk()))).unwrap();
        file.seek(SeekFrom::Start(5)).unwrap();
        file.write_all(b"abc").unwrap();
        file.seek(SeekFrom::Start(CLUSTER as u64)).unwrap();
        assert!(file.write_all(b"x").is_err(), "there is no room");
        let mut bytes = [0; 9];
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"\0\0\0\0\0abc\0");
        assert_eq!(file.seek(SeekFrom::End(0)).unwrap(), disk().len() as u64);
    }

    #[test]
    fn what_others_share_or_compress_is_left_alone() {
        let refused = |change: fn(&mut u8), at: usize| {
            let mut bytes = write(&disk());
            change(&mut bytes[at]);
            Disk::open(Cursor::new(bytes)).and_then(|mut file| file.write_all(b"x")).unwrap_err()
        };
        assert!(refused(|byte| *byte &= 0x7f, LEVEL_2 * CLUSTER).to_string().contains("snapshots"));
        assert!(
            refused(|byte| *byte |= 0x40, LEVEL_2 * CLUSTER).to_string().contains("compressed")
        );
        for (at, what) in
            [(15, "a backing file"), (35, "encryption"), (79, "features"), (7, "version")]
        {
            assert!(refused(|byte| *byte |= 0x10, at).to_string().contains("qcow2"), "{what}");
        }
    }
}
