//! A physical address space and PCI functions in memory, for tests of drivers on the host.

use reflex_pci::Configuration;
use std::alloc::{Layout, alloc_zeroed};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// The address space comes in pieces of this size.
const PIECE: u64 = 1 << 20;

std::thread_local! {
    /// What has been mapped in this test, by the piece's number.
    static PIECES: RefCell<BTreeMap<u64, NonNull<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Where a physical address lies in this process; zeroed memory at first.
pub fn physical(address: u64) -> NonNull<u8> {
    let piece = PIECES.with_borrow_mut(|pieces| {
        *pieces.entry(address / PIECE).or_insert_with(|| {
            let layout = Layout::from_size_align(PIECE as usize, 4096).unwrap();
            // SAFETY: the layout is not empty.
            NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap()
        })
    });
    // SAFETY: within the piece, which is never given back.
    unsafe { piece.add((address % PIECE) as usize) }
}

/// Reads what a driver has written, or a register shows.
pub fn peek32(address: u64) -> u32 {
    // SAFETY: mapped by `physical`, initialised.
    unsafe { physical(address).cast::<u32>().read_volatile() }
}

/// Makes a register show something.
pub fn poke32(address: u64, value: u32) {
    // SAFETY: mapped by `physical`.
    unsafe { physical(address).cast::<u32>().write_volatile(value) }
}

/// Maps that address space; there is no DMA.
pub struct SpaceHal;

// SAFETY: `mmio_phys_to_virt` gives valid memory; nothing else is offered.
unsafe impl Hal for SpaceHal {
    fn dma_alloc(_pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        (0, NonNull::dangling())
    }

    unsafe fn dma_dealloc(_physical: PhysAddr, _memory: NonNull<u8>, _pages: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, size: usize) -> NonNull<u8> {
        assert!(address % PIECE + size as u64 <= PIECE, "a structure outside of all BARs");
        physical(address)
    }

    unsafe fn share(_buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        0
    }

    unsafe fn unshare(_address: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// The configuration space of one function.
pub struct Function {
    /// What it shows.
    pub words: [u32; 64],
    /// Which bits of each BAR can be written; those below are its type.
    pub bar_masks: [u32; 6],
}

/// All functions there are. Copies are the same.
#[derive(Clone, Copy)]
pub struct Functions(&'static RefCell<BTreeMap<DeviceFunction, Function>>);

impl Functions {
    /// There are none.
    #[expect(clippy::new_without_default, reason = "it leaks: nothing to be had by default")]
    pub fn new() -> Self {
        Self(Box::leak(Box::new(RefCell::new(BTreeMap::new()))))
    }

    /// One more.
    pub fn add(self, bus: u8, device: u8, function: u8, of: Function) -> Self {
        self.0.borrow_mut().insert(DeviceFunction { bus, device, function }, of);
        self
    }
}

impl ConfigurationAccess for Functions {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        let functions = self.0.borrow();
        functions.get(&function).map_or(u32::MAX, |f| f.words[usize::from(offset / 4)])
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        let mut functions = self.0.borrow_mut();
        let function = functions.get_mut(&function).expect("a function that exists");
        let place = usize::from(offset / 4);
        match offset {
            // The status is not for writing.
            0x04 => {
                let status = function.words[place] & 0xffff_0000;
                function.words[place] = status | data & 0xffff;
            }
            0x10..0x28 => {
                let mask = function.bar_masks[place - 4];
                function.words[place] = function.words[place] & !mask | data & mask;
            }
            _ => function.words[place] = data,
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

impl Configuration for Functions {
    fn write_byte(&mut self, function: DeviceFunction, offset: u8, data: u8) {
        self.merge(function, offset, u32::from(data), 0xff);
    }

    fn write_half(&mut self, function: DeviceFunction, offset: u8, data: u16) {
        assert!(offset.is_multiple_of(2), "a misaligned register");
        self.merge(function, offset, u32::from(data), 0xffff);
    }
}

impl Functions {
    /// Writes a part of a word.
    fn merge(&mut self, function: DeviceFunction, offset: u8, data: u32, mask: u32) {
        let shift = offset % 4 * 8;
        let word = self.read_word(function, offset);
        self.write_word(function, offset & !3, word & !(mask << shift) | data << shift);
    }
}

/// What QEMU 7.2's `virtio-net-pci` shows on q35, set up by SeaBIOS.
pub const NET: [u32; 64] = {
    let mut words = [0; 64];
    let head = [
        0x1000_1af4,
        0x0010_0107,
        0x0200_0000,
        0x0000_0000,
        0x0000_c041,
        0xfebc_0000,
        0,
        0,
        0xfebf_c00c,
        0,
        0,
        0x0001_1af4,
        0xfeb8_0000,
        0x0000_0098,
        0,
        0x0000_010b,
        0x0110_0009,
        0x0000_0004,
        0x0000_0000,
        0x0000_1000,
        0x0310_4009,
        0x0000_0004,
        0x0000_1000,
        0x0000_1000,
        0x0410_5009,
        0x0000_0004,
        0x0000_2000,
        0x0000_1000,
        0x0214_6009,
        0x0000_0004,
        0x0000_3000,
        0x0000_1000,
        0x0000_0004,
        0x0514_7009,
        0,
        0,
        0,
        0,
        0x0003_8411,
        0x0000_0001,
        0x0000_0801,
    ];
    let mut place = 0;
    while place < head.len() {
        words[place] = head[place];
        place += 1;
    }
    words
};

/// The sizes of its BARs: 32 bytes of I/O, 4 KiB, and 16 KiB of 64 bits.
pub const NET_BARS: [u32; 6] = [!0x1f, !0xfff, 0, 0, !0x3fff, !0];

/// The network device above.
pub fn net() -> Function {
    Function { words: NET, bar_masks: NET_BARS }
}
