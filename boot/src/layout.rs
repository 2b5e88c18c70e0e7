//! Where the image's parts are, from the linker script's and the entry's symbols.

use core::ops::Range;

unsafe extern "C" {
    static reflex_image_start: u8;
    static reflex_rodata_start: u8;
    static reflex_data_start: u8;
    static reflex_image_end: u8;
    static reflex_boot_tables: u8;
    static reflex_boot_stack_guard: u8;
}

fn between(start: *const u8, end: *const u8) -> Range<u64> {
    start as u64..end as u64
}

/// Code, from the image's first byte on.
pub fn text() -> Range<u64> {
    between(&raw const reflex_image_start, &raw const reflex_rodata_start)
}

/// Constants.
pub fn rodata() -> Range<u64> {
    between(&raw const reflex_rodata_start, &raw const reflex_data_start)
}

/// Data and what starts as zero.
pub fn data() -> Range<u64> {
    between(&raw const reflex_data_start, &raw const reflex_image_end)
}

/// The whole image.
pub fn image() -> Range<u64> {
    between(&raw const reflex_image_start, &raw const reflex_image_end)
}

/// The page below the stack that the image is entered on, to be unmapped.
pub fn boot_stack_guard() -> u64 {
    &raw const reflex_boot_stack_guard as u64
}

/// The entry's page tables, of no use once others are active.
pub fn boot_tables() -> Range<u64> {
    between(&raw const reflex_boot_tables, &raw const reflex_boot_stack_guard)
}
