//! Names of places for requests, by which these are in lists and with the device.

/// The name of a place: its disk's, and its own there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    pub(crate) disk: u16,
    pub(crate) slot: u16,
}

impl Name {
    /// By which the device has it.
    pub(crate) fn tag(self) -> u64 {
        u64::from(self.disk) << 16 | u64::from(self.slot)
    }

    /// The name with that tag.
    pub(crate) fn of(tag: u64) -> Self {
        Self { disk: (tag >> 16) as u16, slot: tag as u16 }
    }
}

/// The neighbours in a list.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    pub(crate) before: Option<Name>,
    pub(crate) behind: Option<Name>,
}

impl Links {
    pub(crate) const NONE: Self = Self { before: None, behind: None };
}
