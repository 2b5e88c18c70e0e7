//! What is known of others with our addresses; what comes of it is in `own_address`.

use crate::ip::conflict::Detection;
use crate::types::conflict::AddressConflict;
use crate::types::settings::InterfaceAddress;
use reflex_event::Instant;

/// What watches our addresses.
pub(crate) struct Watch {
    /// The IPv4 address, in use or wanted.
    pub(crate) v4: Option<(InterfaceAddress, Detection)>,
    /// Until when the IPv6 addresses are tentative.
    pub(crate) tentative6: Option<Instant>,
    pub(crate) defended6_until: Instant,
    /// What has been noticed and is to be told.
    pub(crate) noticed: Option<AddressConflict>,
}

impl Watch {
    pub(crate) const NEW: Self =
        Self { v4: None, tentative6: None, defended6_until: Instant::ZERO, noticed: None };

    /// When there is something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.v4.and_then(|(_, detection)| detection.due())
    }

    /// What has been noticed since the last time.
    pub(crate) fn take(&mut self) -> Option<AddressConflict> {
        self.noticed.take()
    }

    /// Whether the IPv6 addresses have been looked for.
    pub(crate) fn watches6(&self) -> bool {
        self.tentative6.is_some()
    }

    /// Watches no IPv4 address any more.
    pub(crate) fn forget(&mut self) {
        self.v4 = None;
    }
}
