//! The active address space: devices' registers are mapped there, and stacks get their guard pages.

use crate::core_lock::CoreLock;
use crate::shootdown;
use core::cell::UnsafeCell;
use core::ops::Range;
use reflex_arch::paging::{Access, AddressSpace, PAGE};
use reflex_runtime::memory::{self, StackSource};
use reflex_runtime::section::section;

/// What the kernel has stacks made by.
pub(crate) const STACKS: StackSource =
    StackSource { make: guarded_stack, open: open_reserve, close: close_reserve };

/// The active map. Reached at start-up, and later in sections and for stacks that overflow.
struct MapCell {
    space: UnsafeCell<Option<AddressSpace>>,
    lock: CoreLock,
}

// SAFETY: every access is through `with_slot`, which holds the lock: of other cores nobody comes, of this one no other
// context, as it is in a section, and an exception's handler is turned away.
unsafe impl Sync for MapCell {}

static MAP: MapCell = MapCell { space: UnsafeCell::new(None), lock: CoreLock::new() };

/// Has `space`, which is active, found from now on: at start-up, once, before the kernel is started.
pub(crate) fn set(space: AddressSpace) {
    with_slot(|slot| *slot = Some(space));
}

/// Takes a stack of at least a page from the kernel's memory, and unmaps the pages under it: the
/// reserve, and one more.
fn guarded_stack(bytes: usize, reserve: usize) -> Option<Range<usize>> {
    let page = PAGE as usize;
    let stack = bytes.max(1).checked_next_multiple_of(page)?;
    let under = reserve.checked_next_multiple_of(page)? + page;
    let whole = memory::take(stack.checked_add(under)?, page)?;
    let start = whole.cast::<u8>().addr().get();
    unmap(start as u64..(start + under) as u64)?;
    Some(start + under..start + whole.len())
}

/// Unmaps the pages of `range`, which are mapped; `None` when there is no memory for the tables that it takes. When
/// this returns, no core reaches them any more.
pub(crate) fn unmap(range: Range<u64>) -> Option<()> {
    let pages = || range.clone().step_by(PAGE as usize);
    for page in pages() {
        // The table for a split large page is filled outside of the section.
        while let Some(large) = section(|_| with_map(|map| map.large_page(page)))? {
            let split = large.split(&mut frame).ok()?;
            section(|_| with_map(|map| map.put(split)))?;
        }
    }
    let unmapped =
        |map: &mut AddressSpace| pages().all(|page| map.unmap_guard(page, &mut frame).is_ok());
    section(|_| with_map(unmapped))?.then_some(())
}

/// Maps the page at `page`, which is not mapped, as what `access` says; `None` when there is no memory for tables,
/// or it is mapped.
pub(crate) fn map_page(page: u64, access: Access) -> Option<()> {
    section(|_| with_map(|map| map.map(page..page + PAGE, access, &mut frame)))?.ok()
}

/// Maps the pages of a reserve that are not mapped.
fn open_reserve(reserve: Range<usize>) -> bool {
    let opened = with_map(|map| {
        (reserve.start as u64..reserve.end as u64).step_by(PAGE as usize).all(|page| {
            // The tables are there: the pages were taken out of them one by one.
            map.lookup(page).is_some()
                || map.map(page..page + PAGE, Access::ReadWrite, &mut || None).is_ok()
        })
    });
    opened.unwrap_or(false)
}

/// Unmaps the pages of a reserve that are mapped.
fn close_reserve(reserve: Range<usize>) {
    with_map(|map| {
        for page in reserve.step_by(PAGE as usize) {
            // It may be closed already.
            let _ = map.unmap_guard(page as u64, &mut || None);
        }
    });
}

/// A frame for a page table.
fn frame() -> Option<u64> {
    let page = PAGE as usize;
    memory::take(page, page).map(|frame| frame.cast::<u8>().addr().get() as u64)
}

/// Runs `work` on the active map, and has other cores forget what it has changed; `None` when this core is changing
/// the map already, which is so when a fault comes upon that.
fn with_map<R>(work: impl FnOnce(&mut AddressSpace) -> R) -> Option<R> {
    with_slot(|slot| {
        slot.as_mut().map(|map| {
            let result = work(map);
            if map.take_changed() {
                shootdown::ask_others();
            }
            result
        })
    })
    .flatten()
}

fn with_slot<R>(work: impl FnOnce(&mut Option<AddressSpace>) -> R) -> Option<R> {
    let _held = MAP.lock.hold()?;
    // SAFETY: the lock is held for as long as the borrow lives, so nobody else has one.
    Some(work(unsafe { &mut *MAP.space.get() }))
}

/// Maps a device's registers, wherever they are, uncached.
pub(crate) fn map_device(address: u64, length: u64) -> Result<(), reflex_arch::Error> {
    section(|_| {
        let mapped = with_map(|map| map.map_device(address, length, &mut frame));
        mapped.expect("set before any device is looked for")
    })
}
