//! The active address space: devices' registers are mapped there, and stacks get their guard pages.

use core::cell::{Cell, UnsafeCell};
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
    changing: Cell<bool>,
}

// SAFETY: every access is through `with_slot`: one core, in a section, which keeps
// the other contexts out, or in an exception's handler, which is kept out by `changing`.
unsafe impl Sync for MapCell {}

static MAP: MapCell = MapCell { space: UnsafeCell::new(None), changing: Cell::new(false) };

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
    for guard in (start as u64..(start + under) as u64).step_by(page) {
        unmap_guard(guard)?;
    }
    Some(start + under..start + whole.len())
}

/// Unmaps the page at `guard`; `None` when there is no memory for the table that it takes.
pub(crate) fn unmap_guard(guard: u64) -> Option<()> {
    // The table for a split large page is filled outside of the section.
    while let Some(large) = section(|_| with_map(|map| map.large_page(guard)))? {
        let split = large.split(&mut frame).ok()?;
        section(|_| with_map(|map| map.put(split)))?;
    }
    section(|_| with_map(|map| map.unmap_guard(guard, &mut frame)))?.ok()
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
    for page in reserve.step_by(PAGE as usize) {
        // It may be closed already.
        let _ = with_map(|map| map.unmap_guard(page as u64, &mut || None));
    }
}

/// A frame for a page table.
fn frame() -> Option<u64> {
    let page = PAGE as usize;
    memory::take(page, page).map(|frame| frame.cast::<u8>().addr().get() as u64)
}

/// Runs `work` on the active map; `None` when the map is being changed already, which is so when a
/// fault comes upon that.
fn with_map<R>(work: impl FnOnce(&mut AddressSpace) -> R) -> Option<R> {
    with_slot(|slot| slot.as_mut().map(work)).flatten()
}

fn with_slot<R>(work: impl FnOnce(&mut Option<AddressSpace>) -> R) -> Option<R> {
    if MAP.changing.replace(true) {
        return None;
    }
    // SAFETY: at start-up or in a section, so that no other context is here; an exception's handler
    // comes here too, and was turned away above if it came upon a borrow, as `changing` was set.
    let result = work(unsafe { &mut *MAP.space.get() });
    MAP.changing.set(false);
    Some(result)
}

/// Maps a device's registers, wherever they are, uncached.
pub(crate) fn map_device(address: u64, length: u64) -> Result<(), reflex_arch::Error> {
    section(|_| {
        let mapped = with_map(|map| map.map_device(address, length, &mut frame));
        mapped.expect("set before any device is looked for")
    })
}
