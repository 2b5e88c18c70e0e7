//! The DHCP client (RFC 2131) at the interface: what of it is asked for and told in the stack's time.
//!
//! The client is a state machine (`reflex_dhcp`); its actions are done in `path/lease`.

use crate::types::settings::InterfaceAddress;
use reflex_dhcp::{Check, Client, Lease, Name, Request, Settings, Standing};
use reflex_event::Instant;

pub(crate) struct Dhcp {
    pub(crate) client: Client,
    /// Waits for its next hop's hardware address, or for a transmit buffer. A later message stands
    /// for an earlier one.
    pub(crate) waiting: Option<Request>,
}

impl Dhcp {
    /// A client of the station `mac` that has not asked yet. A name that is none is not told.
    pub(crate) fn new(mac: [u8; 6], mtu: usize, hostname: Option<&str>) -> Self {
        let settings = Settings {
            host_name: hostname.and_then(|name| Name::new(name.bytes())),
            // An image that starts in a tenth of a second is not to wait for seven.
            check: Check::Trust,
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            ..Settings::new(mac)
        };
        Self { client: Client::new(settings), waiting: None }
    }

    /// When there is something to do without a frame.
    pub(crate) fn due(&self) -> Option<Instant> {
        match (self.client.standing(), self.client.deadline()) {
            // At once.
            (Standing::Off, _) => Some(Instant::ZERO),
            (_, Instant::FAR) => None,
            (_, deadline) => Some(deadline),
        }
    }
}

/// The address of a lease, with its preferred router.
pub(crate) fn leased(lease: &Lease) -> InterfaceAddress {
    let (address, prefix) = (lease.address(), lease.prefix());
    InterfaceAddress { address, prefix, gateway: lease.parameters().gateways().next() }
}
