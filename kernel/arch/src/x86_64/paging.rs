//! The address space: identity mapped, and no page both writable and executable.
//!
//! Tables are built in 4 KiB frames from a source the caller gives, and are themselves reached by
//! their physical addresses: code that changes an [`AddressSpace`] runs on a map in which those are
//! mapped one to one. 2 MiB pages are used where the whole page has one use, so that a small
//! machine needs few tables.

use super::cpu::Features;
use crate::Error;
use ::x86_64::PhysAddr;
use ::x86_64::registers::control::{Cr0, Cr0Flags, Cr3, Cr3Flags, Cr4, Cr4Flags};
use ::x86_64::registers::model_specific::{Efer, EferFlags};
use ::x86_64::structures::paging::PhysFrame;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// Bytes of a large page.
pub const LARGE_PAGE: u64 = 2 << 20;
/// The first address that cannot be identity mapped with four levels.
pub const LIMIT: u64 = 1 << 47;

/// Where page tables come from: page-aligned addresses of memory nobody else uses.
pub type Frames<'a> = &'a mut dyn FnMut() -> Option<u64>;

/// What may be done with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Constants.
    Read,
    /// Data.
    ReadWrite,
    /// Code.
    ReadExecute,
    /// Device registers: data that is not cached.
    Device,
}

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl Access {
    /// The leaf entry's bits. Accessed and dirty are set ahead, so that the processor never
    /// has to write them.
    const fn bits(self) -> u64 {
        let touched = PRESENT | ACCESSED | DIRTY;
        match self {
            Self::Read => touched | NO_EXECUTE,
            Self::ReadWrite => touched | WRITABLE | NO_EXECUTE,
            Self::ReadExecute => touched,
            Self::Device => touched | WRITABLE | NO_EXECUTE | CACHE_DISABLE | WRITE_THROUGH,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        if bits & CACHE_DISABLE != 0 {
            Self::Device
        } else if bits & WRITABLE != 0 {
            Self::ReadWrite
        } else if bits & NO_EXECUTE != 0 {
            Self::Read
        } else {
            Self::ReadExecute
        }
    }
}

/// One table: 512 entries in a frame.
type Table = *mut [u64; 512];

/// A page-table tree.
#[derive(Debug)]
pub struct AddressSpace {
    root: u64,
    /// A page that was mapped has changed since it was last asked for.
    changed: bool,
}

impl AddressSpace {
    /// A space in which nothing is mapped.
    ///
    /// # Safety
    /// For the life of this value, `frames` hands out, here and in every later call, addresses
    /// of writable memory that is used by nobody else and is mapped where it is.
    ///
    /// # Errors
    /// [`Error::OutOfFrames`].
    pub unsafe fn new(frames: Frames<'_>) -> Result<Self, Error> {
        Ok(Self { root: new_table(frames)?, changed: false })
    }

    /// The space this processor uses now.
    ///
    /// # Safety
    /// Ring 0; all its tables are mapped where they are, and the value is not used to change
    /// them while another value of the same space is.
    pub unsafe fn current() -> Self {
        Self { root: Cr3::read().0.start_address().as_u64(), changed: false }
    }

    /// Whether a page that was mapped has changed since the last call: this processor has forgotten what it was,
    /// others may not have.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// Where the root table is: what a processor is told that is to use the space.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Maps the 4 KiB pages of `range`, none of which may be mapped.
    ///
    /// # Errors
    /// [`Error::Misaligned`], [`Error::NotCanonical`], [`Error::Mapped`],
    /// [`Error::OutOfFrames`]; pages before the one that failed stay mapped.
    pub fn map(
        &mut self,
        range: Range<u64>,
        access: Access,
        frames: Frames<'_>,
    ) -> Result<(), Error> {
        if !range.start.is_multiple_of(PAGE) || !range.end.is_multiple_of(PAGE) {
            return Err(Error::Misaligned);
        }
        for page in range.step_by(PAGE as usize) {
            let entry = self.page_entry(page, frames)?;
            if entry.get() & PRESENT != 0 {
                return Err(Error::Mapped);
            }
            entry.set(page | access.bits());
        }
        Ok(())
    }

    /// Maps RAM as data, except pages that are mapped already, which stay as they are.
    ///
    /// Uses 2 MiB pages where nothing in them is mapped yet, rounding `range` outward: so map
    /// the image first and devices last, and take out guards after that.
    ///
    /// # Errors
    /// [`Error::NotCanonical`], [`Error::OutOfFrames`].
    pub fn map_ram(&mut self, range: Range<u64>, frames: Frames<'_>) -> Result<(), Error> {
        self.fill(range, Access::ReadWrite, frames)
    }

    /// Maps a device's registers at `address` as uncached data, wherever they are.
    ///
    /// What is not mapped yet in the same 2 MiB page may become mapped likewise; pages mapped
    /// as RAM in a rounded-up 2 MiB page change over.
    ///
    /// # Errors
    /// [`Error::NotCanonical`], [`Error::OutOfFrames`].
    pub fn map_device(
        &mut self,
        address: u64,
        length: u64,
        frames: Frames<'_>,
    ) -> Result<(), Error> {
        let end = address.checked_add(length).ok_or(Error::NotCanonical)?;
        let pages = address & !(PAGE - 1)..end.checked_next_multiple_of(PAGE).unwrap_or(LIMIT + 1);
        self.fill(pages.clone(), Access::Device, frames)?;
        let mut page = pages.start;
        while page < pages.end {
            match self.large_page(page) {
                // Configuration space has 256 MiB: its pages are not looked at one by one.
                Some(large) if Access::from_bits(large.entry) == Access::Device => {
                    page = large.block + LARGE_PAGE;
                    continue;
                }
                _ if self.lookup(page) == Some(Access::Device) => {}
                _ => {
                    self.page_entry(page, frames)?.set(page | Access::Device.bits());
                    self.invalidate(page);
                }
            }
            page += PAGE;
        }
        Ok(())
    }

    /// Takes the 4 KiB page at `page` out, splitting the 2 MiB page it may be in.
    ///
    /// # Errors
    /// [`Error::Misaligned`], [`Error::NotCanonical`], [`Error::OutOfFrames`], and
    /// [`Error::NotMapped`] when it was out already.
    pub fn unmap_guard(&mut self, page: u64, frames: Frames<'_>) -> Result<(), Error> {
        if !page.is_multiple_of(PAGE) {
            return Err(Error::Misaligned);
        }
        if self.lookup(page).is_none() {
            return Err(Error::NotMapped);
        }
        self.page_entry(page, frames)?.set(0);
        self.invalidate(page);
        Ok(())
    }

    /// The 2 MiB page around `address`, if it is mapped as a whole: to be [split](LargePage::split)
    /// where that may take its time.
    pub fn large_page(&self, address: u64) -> Option<LargePage> {
        let mut table = self.root;
        for level in (1..4).rev() {
            let entry = PageTableEntry::of(table, address, level).get();
            if entry & PRESENT == 0 {
                return None;
            }
            if entry & LARGE != 0 {
                return Some(LargePage { block: address & !(LARGE_PAGE - 1), entry });
            }
            table = entry & ADDRESS;
        }
        None
    }

    /// Puts a split page in its place, unless that has changed since: then its table is lost.
    pub fn put(&mut self, Split { page, table }: Split) {
        // The tables above it are there as long as the page is mapped.
        if let Ok(large) = self.large_entry(page.block, &mut || None)
            && large.get() == page.entry
        {
            large.set(table | PRESENT | WRITABLE | ACCESSED);
            self.invalidate(page.block);
        }
    }

    /// What may be done with the page at `address`; `None` when it is not mapped.
    pub fn lookup(&self, address: u64) -> Option<Access> {
        if address >= LIMIT {
            return None;
        }
        let mut table = self.root;
        for level in (0..4).rev() {
            let entry = PageTableEntry::of(table, address, level).get();
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || entry & LARGE != 0 {
                return Some(Access::from_bits(entry));
            }
            table = entry & ADDRESS;
        }
        None
    }

    /// Makes this processor use the space, with write protection and no-execute enforced at
    /// ring 0, and with what `features` has against mistaken use of user pages.
    ///
    /// # Safety
    /// Ring 0. The code that runs, its stack and data, and the tables themselves are mapped
    /// where they are, with the access they need, and the space is never dropped.
    pub unsafe fn activate(&self, features: &Features) {
        // SAFETY: none of these bits changes what mapped supervisor pages permit, except by
        // enforcing what the caller vouches for; unsupported bits are left out.
        unsafe {
            if features.no_execute {
                Efer::update(|flags| flags.insert(EferFlags::NO_EXECUTE_ENABLE));
            }
            Cr3::write(PhysFrame::containing_address(PhysAddr::new(self.root)), Cr3Flags::empty());
            Cr0::update(|flags| flags.insert(Cr0Flags::WRITE_PROTECT));
            Cr4::update(|flags| {
                flags.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, features.smep);
                flags.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features.smap);
                flags.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, features.umip);
            });
        }
    }

    /// Makes this processor forget its translation of `address`, which has changed.
    fn invalidate(&mut self, address: u64) {
        self.changed = true;
        // It is privileged, and a test's tables are in no processor's use.
        #[cfg(not(test))]
        ::x86_64::instructions::tlb::flush(::x86_64::VirtAddr::new_truncate(address));
        #[cfg(test)]
        let _ = address;
    }

    /// Maps what is not mapped in `range`, by 2 MiB pages where a whole one is free.
    fn fill(&mut self, range: Range<u64>, access: Access, frames: Frames<'_>) -> Result<(), Error> {
        if range.end > LIMIT {
            return Err(Error::NotCanonical);
        }
        let mut block = range.start & !(LARGE_PAGE - 1);
        while block < range.end {
            let large = self.large_entry(block, frames)?;
            if large.get() & PRESENT == 0 {
                large.set(block | LARGE | access.bits());
            } else if large.get() & LARGE == 0 {
                let first = block.max(range.start & !(PAGE - 1));
                for page in (first..range.end.min(block + LARGE_PAGE)).step_by(PAGE as usize) {
                    let entry = PageTableEntry::of(large.get() & ADDRESS, page, 0);
                    if entry.get() & PRESENT == 0 {
                        entry.set(page | access.bits());
                    }
                }
            }
            block += LARGE_PAGE;
        }
        Ok(())
    }

    /// The entry of the 2 MiB page at `address`, with the tables above it made.
    fn large_entry(&mut self, address: u64, frames: Frames<'_>) -> Result<PageTableEntry, Error> {
        if address >= LIMIT {
            return Err(Error::NotCanonical);
        }
        let upper = descend(PageTableEntry::of(self.root, address, 3), frames)?;
        let directory = descend(PageTableEntry::of(upper, address, 2), frames)?;
        Ok(PageTableEntry::of(directory, address, 1))
    }

    /// The entry of the 4 KiB page at `address`, with a 2 MiB page around it split.
    fn page_entry(&mut self, address: u64, frames: Frames<'_>) -> Result<PageTableEntry, Error> {
        let large = self.large_entry(address, frames)?;
        let whole = large.get();
        if whole & PRESENT != 0 && whole & LARGE != 0 {
            let page = LargePage { block: address & !(LARGE_PAGE - 1), entry: whole };
            self.put(page.split(frames)?);
        }
        Ok(PageTableEntry::of(descend(large, frames)?, address, 0))
    }
}

/// A 2 MiB page that is mapped as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LargePage {
    block: u64,
    entry: u64,
}

/// A 2 MiB page's table of 4 KiB pages, to be [put](AddressSpace::put) in its place.
#[derive(Debug)]
#[must_use = "a table that is put nowhere is lost"]
pub struct Split {
    page: LargePage,
    table: u64,
}

impl LargePage {
    /// A table of 4 KiB pages with which may be done what may be done with this one.
    ///
    /// # Errors
    /// [`Error::OutOfFrames`].
    pub fn split(self, frames: Frames<'_>) -> Result<Split, Error> {
        let table = new_table(frames)?;
        let access = Access::from_bits(self.entry).bits();
        for page in (self.block..self.block + LARGE_PAGE).step_by(PAGE as usize) {
            PageTableEntry::of(table, page, 0).set(page | access);
        }
        Ok(Split { page: self, table })
    }
}

/// One entry of one table.
#[derive(Clone, Copy)]
struct PageTableEntry(*mut u64);

impl PageTableEntry {
    /// The entry for `address` in `table`, a table of `level` (0: of 4 KiB pages, 3: the root).
    fn of(table: u64, address: u64, level: u32) -> Self {
        let index = (address >> (12 + 9 * level) & 511) as usize;
        let table = table as Table;
        // SAFETY: `table` is a frame of the tree, a table of 512 entries, and `index` < 512.
        Self(unsafe { (&raw mut (*table)).cast::<u64>().add(index) })
    }

    fn get(self) -> u64 {
        self.word().load(Relaxed)
    }

    fn set(self, value: u64) {
        self.word().store(value, Relaxed);
    }

    fn word<'a>(self) -> &'a AtomicU64 {
        // SAFETY: `of` made it point to an aligned word in a table of the tree, and the tree's
        // frames are there as long as the space. It is accessed as an atomic only, but for the
        // zeroes that `new_table` wrote before it was in the tree: the processor reads it, and sets
        // bits in it, at any time.
        unsafe { AtomicU64::from_ptr(self.0) }
    }
}

/// The table below `entry`, made if there is none. What may be done is said by leaves alone.
fn descend(entry: PageTableEntry, frames: Frames<'_>) -> Result<u64, Error> {
    let value = entry.get();
    if value & PRESENT != 0 {
        return Ok(value & ADDRESS);
    }
    let table = new_table(frames)?;
    entry.set(table | PRESENT | WRITABLE | ACCESSED);
    Ok(table)
}

fn new_table(frames: Frames<'_>) -> Result<u64, Error> {
    let frame = frames().ok_or(Error::OutOfFrames)?;
    // SAFETY: `AddressSpace::new`'s caller vouched for the frames: a page, aligned, writable at its
    // address, and nobody else's. It is in no tree yet.
    unsafe { (frame as Table).write([0; 512]) };
    Ok(frame)
}

/// Makes this processor forget all translations: none is global.
pub fn forget_all() {
    ::x86_64::instructions::tlb::flush_all();
}

#[cfg(test)]
mod tests;
