//! What the demultiplexer must know of a frame, with every length checked against the frame.

use crate::ip::checksum::Sum;
use crate::ip::header::{ADDRESSES, ETHERNET, ICMP, TCP, UDP, word};
use crate::ip::ndisc;
use crate::ip::resolution::EVERYONE;
use crate::ip::station::Station;
use crate::table::flow_key::FlowKey;
use core::ops::Range;
use reflex_dhcp::CLIENT_PORT;

const ARP_TYPE: [u8; 2] = [0x08, 0x06];
const IPV4_TYPE: [u8; 2] = [0x08, 0x00];
const IPV6_TYPE: [u8; 2] = [0x86, 0xdd];
const VLAN_TYPE: [u8; 2] = [0x81, 0x00];
/// Where a VLAN tag is in a frame.
pub(crate) const TAG: Range<u16> = 12..16;
/// ICMP's types of errors: unreachable, quench, redirect, time exceeded, parameter problem (RFC 1122, 3.2.2).
const ICMP_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
const BROADCAST: [u8; 6] = [0xff; 6];
/// What the Ethernet addresses of IPv6's groups begin with (RFC 2464, 7).
const GROUP: [u8; 2] = [0x33; 2];

/// Why a frame was dropped before it was queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bad {
    NotForUs,
    Malformed,
    HeaderChecksum,
    UnknownProtocol,
    UnreachableProtocol,
    /// Not dropped, but looked at again without its tag: it has a priority, and no VLAN.
    PriorityTagged,
}

/// What a frame is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// A segment; `flags` as in the header.
    Tcp {
        key: FlowKey,
        flags: u8,
    },
    /// A datagram to us or to everyone.
    Udp {
        port: u16,
        broadcast: bool,
    },
    /// To the DHCP client.
    Dhcp,
    Arp,
    /// Neighbour discovery.
    Nd,
    Icmp,
    /// ICMP that tells of a packet of ours.
    IcmpError,
    /// IPv4 to us, of a protocol that we do not speak.
    UnknownProtocol,
    /// A part of an IPv4 packet.
    Fragment,
    /// For the protocol beside the stack.
    Attached,
}

/// Finds out what `frame` is for.
#[inline]
pub(crate) fn classify(frame: &[u8], station: &Station) -> Result<Class, Bad> {
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET>().ok_or(Bad::Malformed)?;
    let destination = &ethernet[..6];
    let ours = destination == station.mac;
    match [ethernet[12], ethernet[13]] {
        IPV6_TYPE if ours || destination.starts_with(&GROUP) => ipv6(packet, ours, station),
        _ if !ours && destination != BROADCAST => Err(Bad::NotForUs),
        IPV4_TYPE => ipv4(packet, station),
        ARP_TYPE => Ok(Class::Arp),
        // Such a frame is as one without a tag (IEEE 802.1Q, 6.9.1): switches and NICs make them.
        VLAN_TYPE
            if packet.first_chunk().is_some_and(|[tag, vlan]| tag & 15 == 0 && *vlan == 0) =>
        {
            Err(Bad::PriorityTagged)
        }
        _ => Err(Bad::UnknownProtocol),
    }
}

#[inline]
fn ipv4(packet: &[u8], station: &Station) -> Result<Class, Bad> {
    let header = packet.first_chunk::<20>().ok_or(Bad::Malformed)?;
    let length = usize::from(header[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || length < 20 || total < length || total > packet.len() {
        return Err(Bad::Malformed);
    }
    if !Sum::ZERO.bytes(packet.get(..length).ok_or(Bad::Malformed)?).is_valid() {
        return Err(Bad::HeaderChecksum);
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    // All but "don't fragment": more fragments, the offset, and the bit that must be zero.
    if fragment & 0xbfff != 0 {
        return part(header, fragment, station);
    }
    let remote = word(header, ADDRESSES);
    let local = word(header, ADDRESSES + 4);
    let payload = packet.get(length..total).ok_or(Bad::Malformed)?;
    // Before the addresses: a server may send to the address that it offers, or in another's name.
    if header[9] == UDP && station.hears_dhcp && port(payload) == Some(CLIENT_PORT) {
        return Ok(Class::Dhcp);
    }
    let own = station.address.is_some_and(|(own, _)| own == local);
    let broadcast = !own && station.is_broadcast(local);
    // Nobody, as yet without an address, may ask everybody for one.
    if !station.is_sender(remote) || remote == 0 && !broadcast {
        return Err(Bad::Malformed);
    }
    match header[9] {
        TCP if own => tcp(payload, remote, local),
        UDP if own && is_attached(payload, station) => Ok(Class::Attached),
        UDP if own || broadcast => udp(payload, broadcast),
        // Echo requests to everyone are not answered: they serve to flood others.
        ICMP if own => match payload.first() {
            Some(kind) if ICMP_ERRORS.contains(kind) => Ok(Class::IcmpError),
            _ => Ok(Class::Icmp),
        },
        _ if own => Ok(Class::UnknownProtocol),
        _ => Err(Bad::NotForUs),
    }
}

/// A part of a packet. Of what is behind its header nothing is known.
#[cold]
fn part(header: &[u8; 20], fragment: u16, station: &Station) -> Result<Class, Bad> {
    let remote = word(header, ADDRESSES);
    let local = word(header, ADDRESSES + 4);
    let own = station.address.is_some_and(|(own, _)| own == local);
    if fragment & 0x8000 != 0 || !station.is_sender(remote) || remote == 0 {
        return Err(Bad::Malformed);
    }
    if own || station.is_broadcast(local) { Ok(Class::Fragment) } else { Err(Bad::NotForUs) }
}

/// Of IPv6 we know our neighbours, and what is for the protocol beside the stack.
fn ipv6(packet: &[u8], unicast: bool, station: &Station) -> Result<Class, Bad> {
    let (header, rest) = packet.split_first_chunk::<{ ndisc::IPV6 }>().ok_or(Bad::Malformed)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let payload = rest.get(..length).ok_or(Bad::Malformed)?;
    if header[0] >> 4 != 6 {
        return Err(Bad::Malformed);
    }
    let local = ndisc::address(header, 24).ok_or(Bad::Malformed)?;
    if local == EVERYONE {
        // A neighbour, mostly a router, tells everybody where it is now (RFC 4861, 7.2.6).
        let told = header[6] == ndisc::ICMP6 && payload.first() == Some(&ndisc::ADVERTISEMENT);
        return if told { Ok(Class::Nd) } else { Err(Bad::UnreachableProtocol) };
    }
    let mut own = station.addresses6.into_iter().filter(|own| *own != 0);
    let unicast = match own.find(|own| *own == local || ndisc::solicited_node(*own) == local) {
        Some(own) => unicast && own == local,
        None => return Err(Bad::NotForUs),
    };
    match header[6] {
        ndisc::ICMP6 => Ok(Class::Nd),
        UDP if unicast && is_attached(payload, station) => Ok(Class::Attached),
        _ => Err(Bad::UnreachableProtocol),
    }
}

/// Whether a UDP datagram is for the protocol beside the stack.
#[inline]
fn is_attached(payload: &[u8], station: &Station) -> bool {
    station.attached.is_some() && port(payload) == station.attached
}

/// The port that a UDP datagram is for.
#[inline]
fn port(payload: &[u8]) -> Option<u16> {
    let port = payload.get(2..4).and_then(|port| port.first_chunk());
    port.copied().map(u16::from_be_bytes)
}

#[inline]
fn tcp(payload: &[u8], remote: u32, local: u32) -> Result<Class, Bad> {
    let header = payload.first_chunk::<20>().ok_or(Bad::Malformed)?;
    let length = usize::from(header[12] >> 4) * 4;
    let remote_port = u16::from_be_bytes([header[0], header[1]]);
    let local_port = u16::from_be_bytes([header[2], header[3]]);
    if length < 20 || length > payload.len() || remote_port == 0 || local_port == 0 {
        return Err(Bad::Malformed);
    }
    let key = FlowKey { remote, local, remote_port, local_port };
    Ok(Class::Tcp { key, flags: header[13] })
}

#[inline]
fn udp(payload: &[u8], broadcast: bool) -> Result<Class, Bad> {
    let header = payload.first_chunk::<8>().ok_or(Bad::Malformed)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if length < 8 || length > payload.len() {
        return Err(Bad::Malformed);
    }
    let port = u16::from_be_bytes([header[2], header[3]]);
    Ok(Class::Udp { port, broadcast })
}

#[cfg(test)]
mod tests;
