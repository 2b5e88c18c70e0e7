//! A block device in memory, its driver opened, and what the device does.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use reflex_hil::{Block, BlockDone, BlockOperation, BlockRequest, Piece, SECTOR};
use reflex_memory::Pool;
use reflex_virtio_blk::{Disk, open};
use reflex_virtio_fake::{Buffer, DeviceRing, FakeDevice, HostHal, frames};
use virtio_drivers::transport::DeviceType;

pub(crate) const SIZE_MAX: u64 = 1 << 1;
pub(crate) const SEG_MAX: u64 = 1 << 2;
pub(crate) const RO: u64 = 1 << 5;
pub(crate) const BLK_SIZE: u64 = 1 << 6;
pub(crate) const FLUSH: u64 = 1 << 9;
pub(crate) const TOPOLOGY: u64 = 1 << 10;
pub(crate) const DISCARD: u64 = 1 << 13;

/// Sectors of the device, and its name.
pub(crate) const SECTORS: u64 = 64;
pub(crate) const NAME: &str = "data";
/// The most sectors in a discard.
pub(crate) const MOST_DISCARDED: u32 = 16;

/// What the configuration says.
#[derive(Clone, Copy)]
pub(crate) struct Configuration {
    pub(crate) sectors: u64,
    pub(crate) size_max: u32,
    pub(crate) seg_max: u32,
    pub(crate) block: u32,
    pub(crate) physical_exponent: u8,
    pub(crate) optimal: u32,
    pub(crate) discard_alignment: u32,
}

pub(crate) const USUAL: Configuration = Configuration {
    sectors: SECTORS,
    size_max: 4096,
    seg_max: 254,
    block: 512,
    physical_exponent: 3,
    optimal: 16,
    discard_alignment: 1,
};

impl Configuration {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 60];
        bytes[..8].copy_from_slice(&self.sectors.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.size_max.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.seg_max.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.block.to_le_bytes());
        bytes[24] = self.physical_exponent;
        bytes[28..32].copy_from_slice(&self.optimal.to_le_bytes());
        bytes[36..40].copy_from_slice(&MOST_DISCARDED.to_le_bytes());
        bytes[40..44].copy_from_slice(&1u32.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.discard_alignment.to_le_bytes());
        bytes
    }
}

/// A device with a queue of at most `most` descriptors.
pub(crate) fn device(features: u64, configuration: Configuration, most: u32) -> FakeDevice {
    FakeDevice::new(DeviceType::Block, features, &configuration.bytes(), 1, most)
}

pub(crate) type Opened = Result<Disk<HostHal, FakeDevice>, reflex_virtio_blk::Error>;

/// Opens it: the device tells its name while that is waited for. With its ring, which knows of one request.
pub(crate) fn opened(device: &FakeDevice, most: u16) -> (Opened, Option<DeviceRing>) {
    opened_by(device, most, |ring| {
        let chain = ring.take_chain().expect("the driver asks for the name");
        let (kind, _) = header(&chain);
        assert_eq!((kind, chain[1].length, chain[1].writable), (8, 20, true));
        chain[1].write(NAME.as_bytes());
        answer(ring, &chain, 0, 21);
        true
    })
}

/// Opens it, with this answer to the question for its name; false for none.
pub(crate) fn opened_by(
    device: &FakeDevice,
    most: u16,
    mut tell: impl FnMut(&mut DeviceRing) -> bool,
) -> (Opened, Option<DeviceRing>) {
    let mut ring = None;
    let opened = open::<HostHal, _>(device.clone(), most, || {
        let ring = ring.get_or_insert_with(|| device.ring(0));
        !tell(ring)
    });
    (opened, ring)
}

/// The type and the sector of a request.
pub(crate) fn header(chain: &[Buffer]) -> (u32, u64) {
    let bytes = chain[0].read();
    assert_eq!((bytes.len(), chain[0].writable), (16, false));
    let kind = u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes"));
    (kind, u64::from_le_bytes(bytes[8..].try_into().expect("8 bytes")))
}

/// Writes a request's status and returns it. True when the driver wants an interrupt for that.
pub(crate) fn answer(ring: &mut DeviceRing, chain: &[Buffer], status: u8, written: u32) -> bool {
    let last = chain.last().expect("a request has parts");
    assert_eq!((last.length, last.writable), (1, true), "the status comes last");
    last.write(&[status]);
    ring.finish(chain[0].id.into(), written)
}

/// A medium, and the requests that its device has taken.
pub(crate) struct Device {
    pub(crate) ring: DeviceRing,
    pub(crate) medium: Vec<u8>,
    pub(crate) taken: Vec<Vec<Buffer>>,
    pub(crate) flushes: usize,
}

impl Device {
    /// Takes what the driver has shown.
    pub(crate) fn take(&mut self) {
        while let Some(chain) = self.ring.take_chain() {
            self.taken.push(chain);
        }
    }

    /// Does the `at`th of the requests that were taken. True when the driver wants an interrupt.
    pub(crate) fn perform(&mut self, at: usize) -> bool {
        let chain = self.taken.remove(at);
        let (kind, sector) = header(&chain);
        let mut place = sector as usize * SECTOR;
        let mut written = 1;
        for part in &chain[1..chain.len() - 1] {
            let range = place..place + part.length as usize;
            place = range.end;
            match kind {
                0 => {
                    part.write(&self.medium[range]);
                    written += part.length;
                }
                1 => self.medium[range].copy_from_slice(&part.read()),
                11 => {
                    let segment = part.read();
                    let first = u64::from_le_bytes(segment[..8].try_into().expect("8 bytes"));
                    let count = u32::from_le_bytes(segment[8..12].try_into().expect("4 bytes"));
                    let range = first as usize * SECTOR..;
                    self.medium[range][..count as usize * SECTOR].fill(0);
                }
                // The device has said before that it was done with what it does now, and the driver has written a
                // flush in its place.
                4 => {}
                other => panic!("request type {other}"),
            }
        }
        self.flushes += usize::from(kind == 4);
        answer(&mut self.ring, &chain, 0, written)
    }
}

/// An opened disk, and its device.
pub(crate) struct Bench {
    pub(crate) handle: FakeDevice,
    pub(crate) disk: Disk<HostHal, FakeDevice>,
    pub(crate) device: Device,
    pub(crate) pool: &'static Pool,
}

pub(crate) const ALL: u64 = SIZE_MAX | SEG_MAX | BLK_SIZE | FLUSH | TOPOLOGY | DISCARD;

/// A disk with at most `most` requests in flight, of a device with these features.
pub(crate) fn bench(features: u64, configuration: Configuration, most: u16) -> Bench {
    let handle = device(features, configuration, 32768);
    let (disk, ring) = opened(&handle, most);
    let ring = ring.expect("the device was started");
    let medium = (0..SECTORS as usize * SECTOR).map(|at| (at / SECTOR) as u8).collect();
    let device = Device { ring, medium, taken: Vec::new(), flushes: 0 };
    Bench { handle, disk: disk.expect("the device opens"), device, pool: frames(16) }
}

impl Bench {
    /// Bytes of memory, all the same.
    pub(crate) fn piece(&self, fill: u8, length: u32) -> Piece {
        let mut bytes = self.pool.bytes(length as usize).expect("memory");
        bytes.fill(fill);
        Piece { bytes, length }
    }

    pub(crate) fn read(&self, tag: u64, sector: u64, sectors: u32) -> BlockRequest {
        let piece = self.piece(0xee, sectors * SECTOR as u32);
        request(tag, BlockOperation::Read, sector, [Some(piece), None])
    }

    pub(crate) fn write(&self, tag: u64, sector: u64, sectors: u32, fill: u8) -> BlockRequest {
        let piece = self.piece(fill, sectors * SECTOR as u32);
        request(tag, BlockOperation::Write, sector, [Some(piece), None])
    }

    /// All that is done.
    pub(crate) fn drain(&mut self) -> Vec<BlockDone> {
        std::iter::from_fn(|| self.disk.next()).collect()
    }
}

pub(crate) fn request(
    tag: u64,
    operation: BlockOperation,
    sector: u64,
    memory: [Option<Piece>; 2],
) -> BlockRequest {
    BlockRequest { tag, operation, sector, sectors: 0, memory }
}

pub(crate) fn flush(tag: u64) -> BlockRequest {
    request(tag, BlockOperation::Flush, 0, [None, None])
}

pub(crate) fn discard(tag: u64, sector: u64, sectors: u32) -> BlockRequest {
    BlockRequest { sectors, ..request(tag, BlockOperation::Discard, sector, [None, None]) }
}
