//! Where other processors begin: a page of low memory, for as long as it is needed.

use crate::address_space;
use core::arch::global_asm;
use reflex_arch::paging::{Access, AddressSpace, PAGE};

global_asm!(include_str!("trampoline.s"), options(att_syntax));

unsafe extern "C" {
    static reflex_trampoline: u8;
    static reflex_trampoline_entry: u8;
    static reflex_trampoline_root: u8;
    static reflex_trampoline_end: u8;
}

/// The page, with the code in it, mapped to be executed. It is unmapped when this is dropped.
pub(crate) struct Trampoline {
    page: u64,
}

impl Trampoline {
    /// Puts the code into the page at `page`; `None` when that cannot be mapped, or the address space's root is
    /// not where a processor in 32-bit mode could find it. It leads to `entry`, in long mode and without a stack.
    ///
    /// # Safety
    /// The page is memory, is not mapped, and nobody else uses it.
    pub(crate) unsafe fn new(page: u64, entry: unsafe extern "C" fn() -> !) -> Option<Self> {
        // SAFETY: in ring 0, and the value only tells the root's address.
        let root = u32::try_from(unsafe { AddressSpace::current() }.root()).ok()?;
        let entry = u32::try_from(entry as *const () as usize).ok()?;
        address_space::map_page(page, Access::ReadWrite)?;
        let code = &raw const reflex_trampoline;
        let bytes = &raw const reflex_trampoline_end as usize - code as usize;
        let at_entry = &raw const reflex_trampoline_entry as usize - code as usize;
        let at_root = &raw const reflex_trampoline_root as usize - code as usize;
        let target = page as *mut u8;
        // SAFETY: the page is mapped as data and nobody else's, says the caller; the code is shorter than a page,
        // and both places are whole words of it.
        unsafe {
            core::ptr::copy_nonoverlapping(code, target, bytes);
            target.add(at_entry).cast::<u32>().write_unaligned(entry);
            target.add(at_root).cast::<u32>().write_unaligned(root);
        }
        address_space::unmap(page..page + PAGE)?;
        address_space::map_page(page, Access::ReadExecute)?;
        Some(Self { page })
    }

    /// Where the page is.
    pub(crate) fn page(&self) -> u64 {
        self.page
    }
}

impl Drop for Trampoline {
    fn drop(&mut self) {
        // Mapped by `new`, in a table that is there.
        let _ = address_space::unmap(self.page..self.page + PAGE);
    }
}
