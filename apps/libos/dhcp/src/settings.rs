//! What a client is told at its making.

use crate::frame::Mac;
use crate::identity::Identifier;
use crate::name::Name;
use core::time::Duration;

/// How servers are to send before the client has an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// To the address that they offer: a client that hears all frames to its hardware address, as
    /// this one does, can receive that (RFC 2131, 4.1). Discoveries that are not answered ask for the other in
    /// turn: some networks deliver nothing to an address they do not know.
    Unicast,
    /// To everybody.
    Broadcast,
}

/// Whether an address is used only after it was probed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// The client asks for it ([`Action::Probe`](crate::Action::Probe)) and waits (RFC 5227, 2.1).
    Probe,
    /// The server's word is enough.
    Trust,
}

/// A client's parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The interface's hardware address.
    pub mac: Mac,
    /// How servers know the client.
    pub identifier: Identifier,
    /// The host's name. One with a dot goes as a fully qualified one (RFC 4702), any other as a host
    /// name (RFC 2132, 3.14), never both.
    pub host_name: Option<Name>,
    /// Whether an address is used only after it was probed.
    pub check: Check,
    /// How servers are to send.
    pub delivery: Delivery,
    /// The longest that the first message waits, at random. RFC 2131, 4.4.1, would have one to ten
    /// seconds, so that a street full of hosts does not ask as one when power returns; an image starts
    /// in milliseconds, and its first message as soon as that is zero.
    pub start_delay: Duration,
    /// The largest packet that the interface receives.
    pub mtu: u16,
}

impl Settings {
    /// The usual parameters for an interface.
    pub const fn new(mac: Mac) -> Self {
        Self {
            mac,
            identifier: Identifier::Node { interface: 0 },
            host_name: None,
            check: Check::Probe,
            delivery: Delivery::Unicast,
            start_delay: Duration::ZERO,
            mtu: 1500,
        }
    }
}
