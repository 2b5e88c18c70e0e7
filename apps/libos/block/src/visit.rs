//! How far the look for what closed disks have left has come.

/// A place of a disk. They are looked at in this order.
#[derive(Clone, Copy, Default)]
pub(crate) struct Visit {
    pub(crate) disk: u16,
    pub(crate) slot: u16,
}
