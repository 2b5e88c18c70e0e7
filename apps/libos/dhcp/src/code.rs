//! Numbers of options (RFC 2132 and those named) and of messages.

pub(crate) const PAD: u8 = 0;
pub(crate) const SUBNET_MASK: u8 = 1;
pub(crate) const ROUTERS: u8 = 3;
pub(crate) const NAME_SERVERS: u8 = 6;
pub(crate) const HOST_NAME: u8 = 12;
pub(crate) const DOMAIN: u8 = 15;
pub(crate) const MTU: u8 = 26;
pub(crate) const REQUESTED_ADDRESS: u8 = 50;
pub(crate) const LEASE_TIME: u8 = 51;
pub(crate) const OVERLOAD: u8 = 52;
pub(crate) const MESSAGE_TYPE: u8 = 53;
pub(crate) const SERVER: u8 = 54;
pub(crate) const PARAMETERS: u8 = 55;
pub(crate) const LARGEST_MESSAGE: u8 = 57;
pub(crate) const RENEWAL_TIME: u8 = 58;
pub(crate) const REBINDING_TIME: u8 = 59;
pub(crate) const CLIENT: u8 = 61;
/// RFC 4702.
pub(crate) const FQDN: u8 = 81;
/// RFC 3442.
pub(crate) const CLASSLESS_ROUTES: u8 = 121;
pub(crate) const END: u8 = 255;

/// What servers are asked for, classless routes before routers (RFC 3442, "DHCP Client Behavior").
pub(crate) const WANTED: [u8; 9] = [
    CLASSLESS_ROUTES,
    SUBNET_MASK,
    ROUTERS,
    NAME_SERVERS,
    DOMAIN,
    MTU,
    LEASE_TIME,
    RENEWAL_TIME,
    REBINDING_TIME,
];

pub(crate) const OFFER: u8 = 2;
pub(crate) const ACK: u8 = 5;
pub(crate) const NAK: u8 = 6;
/// RFC 3203.
pub(crate) const FORCERENEW: u8 = 9;
