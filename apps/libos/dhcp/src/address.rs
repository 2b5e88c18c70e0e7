//! Which addresses there are.

use core::net::Ipv4Addr;

/// Whether one host may have this address: not 0.0.0.0/8, not loopback, not a group, not everybody
/// (RFC 1122, 3.2.1.3). 240.0.0.0/4 is reserved for the future, and in use inside of networks.
pub(crate) fn is_host(address: Ipv4Addr) -> bool {
    address.octets()[0] != 0
        && !address.is_loopback()
        && !address.is_multicast()
        && !address.is_broadcast()
}

/// Whether a host of a subnet with this prefix may have this address: it is neither the subnet's own
/// nor everybody's in it. Prefixes of 31 and 32 have no such addresses (RFC 3021).
pub(crate) fn is_host_of(address: Ipv4Addr, prefix: u8) -> bool {
    let host = address.to_bits() & !mask(prefix);
    is_host(address) && (prefix >= 31 || (host != 0 && host != !mask(prefix)))
}

/// The mask of a prefix.
pub(crate) fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

/// The prefix that a mask is of: ones, at least one, then zeros.
pub(crate) fn prefix(mask: [u8; 4]) -> Option<u8> {
    let mask = u32::from_be_bytes(mask);
    let ones = mask.leading_ones();
    (ones > 0 && mask.count_ones() == ones).then_some(ones as u8)
}

/// The prefix of the network by its class (RFC 791, 3.2), for an address that came without a mask.
///
/// RFC 2131 lets a server leave the mask out, and RFC 1122, 3.2.1.3, has no other meaning for an
/// address without one; what other clients take. Too much may then count as on link, never the router
/// as off it. 240.0.0.0/4 has no networks: nothing but the address.
pub(crate) fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        192..=223 => 24,
        224..=255 => 32,
    }
}
