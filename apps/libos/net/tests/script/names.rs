//! Names of addresses in scripts.

use crate::common::raw::{MAC, PEER};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of the host under test, unless the script says otherwise.
pub(super) const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
pub(super) const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(super) const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 254];

const ADDRESSES: [(&str, IpAddr); 10] = [
    ("us", IpAddr::V4(US)),
    ("peer", IpAddr::V4(PEER)),
    ("gw", IpAddr::V4(GATEWAY)),
    // Behind the gateway: an address for documentation (RFC 5737).
    ("far", IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
    ("nobody", IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    ("all", IpAddr::V4(Ipv4Addr::BROADCAST)),
    ("subnet", IpAddr::V4(Ipv4Addr::new(10, 0, 0, 255))),
    // Link-local, of our hardware address (RFC 4291, appendix A).
    ("us6", IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1))),
    ("peer6", IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0x63))),
    ("all6", IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1))),
];

const STATIONS: [(&str, [u8; 6]); 7] = [
    ("us", OUR_MAC),
    ("peer", MAC),
    ("gw", GATEWAY_MAC),
    ("other", [2, 0, 0, 0, 0, 7]),
    ("all", [0xff; 6]),
    ("none", [0; 6]),
    ("group", [1, 0, 0x5e, 0, 0, 1]),
];

/// The address that a word stands for.
pub(super) fn address(word: &str) -> Option<IpAddr> {
    let named = ADDRESSES.iter().find(|(name, _)| *name == word).map(|(_, address)| *address);
    named.or_else(|| word.parse().ok())
}

/// The name of an address, or the address.
pub(super) fn of_address(address: IpAddr) -> String {
    let named = ADDRESSES.iter().find(|(_, known)| *known == address);
    named.map_or_else(|| address.to_string(), |(name, _)| (*name).to_owned())
}

/// The hardware address that a word stands for.
pub(super) fn station(word: &str) -> Option<[u8; 6]> {
    if let Some((_, mac)) = STATIONS.iter().find(|(name, _)| *name == word) {
        return Some(*mac);
    }
    let bytes: Result<Vec<u8>, _> =
        word.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    bytes.ok()?.try_into().ok()
}

/// The name of a hardware address, or the address.
pub(super) fn of_station(mac: [u8; 6]) -> String {
    if let Some((name, _)) = STATIONS.iter().find(|(_, known)| *known == mac) {
        return (*name).to_owned();
    }
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
