//! What the demultiplexer must know of a frame, with every length checked against the frame.

use crate::checksum::Sum;
use crate::nd;

/// Length of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// Offset of the source address in an IPv4 header; the destination follows.
pub(crate) const ADDRESSES: usize = 12;
/// Protocol numbers (IANA).
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

const ARP_TYPE: [u8; 2] = [0x08, 0x06];
const IPV4_TYPE: [u8; 2] = [0x08, 0x00];
const IPV6_TYPE: [u8; 2] = [0x86, 0xdd];
const BROADCAST: [u8; 6] = [0xff; 6];
/// What the Ethernet addresses of IPv6's groups begin with (RFC 2464, 7).
const GROUP: [u8; 2] = [0x33; 2];
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;

/// TCP flags (RFC 9293, 3.1).
pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// A connection's name on this interface: the 4-tuple, in host order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub(crate) struct FlowKey {
    pub(crate) remote: u32,
    pub(crate) local: u32,
    pub(crate) remote_port: u16,
    pub(crate) local_port: u16,
}

/// Why a frame was dropped before it was queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bad {
    NotForUs,
    Malformed,
    Fragment,
    HeaderChecksum,
    UnknownProtocol,
    UnreachableProtocol,
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
    /// From a DHCP server to a DHCP client.
    Dhcp,
    Arp,
    /// Neighbour discovery.
    Nd,
    Icmp,
    /// For the protocol beside the stack.
    Beside,
}

/// The interface as the classifier sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    pub(crate) mac: [u8; 6],
    /// Address and prefix length; `None` before there is one.
    pub(crate) address: Option<(u32, u8)>,
    /// IPv6 addresses; 0 is none.
    pub(crate) addresses6: [u128; 2],
    /// The UDP port with datagrams for a protocol beside the stack.
    pub(crate) beside: Option<u16>,
}

impl Station {
    fn is_broadcast(&self, address: u32) -> bool {
        let subnet = |(own, prefix): (u32, u8)| {
            prefix < 31 && address == own | u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
        };
        address == u32::MAX || self.address.is_some_and(subnet)
    }

    /// Whether a packet may be from `address`: not from a group, everyone, a loopback (RFC 1122,
    /// 3.2.1.3) or ourselves. What is answered there serves to flood others.
    #[inline]
    fn is_sender(&self, address: u32) -> bool {
        let ours = self.address.is_some_and(|(own, _)| own == address);
        address < 0xe000_0000 && address >> 24 != 127 && !ours && !self.is_broadcast(address)
    }
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
        return Err(Bad::Fragment);
    }
    let remote = word(header, ADDRESSES);
    let local = word(header, ADDRESSES + 4);
    let payload = packet.get(length..total).ok_or(Bad::Malformed)?;
    let own = station.address.is_some_and(|(own, _)| own == local);
    let broadcast = !own && station.is_broadcast(local);
    // Nobody, as yet without an address, may ask everybody for one.
    if !station.is_sender(remote) || remote == 0 && !broadcast {
        return Err(Bad::Malformed);
    }
    match header[9] {
        TCP if own => tcp(payload, remote, local),
        UDP if own && is_beside(payload, station) => Ok(Class::Beside),
        UDP if own || broadcast || station.address.is_none() => udp(payload, own, broadcast),
        // Echo requests to everyone are not answered: they serve to flood others.
        ICMP if own => Ok(Class::Icmp),
        _ if own => Err(Bad::UnreachableProtocol),
        _ => Err(Bad::NotForUs),
    }
}

/// Of IPv6 we know our neighbours, and what is for the protocol beside the stack.
fn ipv6(packet: &[u8], unicast: bool, station: &Station) -> Result<Class, Bad> {
    let (header, rest) = packet.split_first_chunk::<{ nd::IPV6 }>().ok_or(Bad::Malformed)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let payload = rest.get(..length).ok_or(Bad::Malformed)?;
    if header[0] >> 4 != 6 {
        return Err(Bad::Malformed);
    }
    let local = nd::address(header, 24).ok_or(Bad::Malformed)?;
    let mut own = station.addresses6.into_iter().filter(|own| *own != 0);
    let unicast = match own.find(|own| *own == local || nd::solicited_node(*own) == local) {
        Some(own) => unicast && own == local,
        None => return Err(Bad::NotForUs),
    };
    match header[6] {
        nd::ICMP6 => Ok(Class::Nd),
        UDP if unicast && is_beside(payload, station) => Ok(Class::Beside),
        _ => Err(Bad::UnreachableProtocol),
    }
}

/// Whether a UDP datagram is for the protocol beside the stack.
#[inline]
fn is_beside(payload: &[u8], station: &Station) -> bool {
    let port = payload.get(2..4).and_then(|port| port.first_chunk());
    station.beside.is_some() && port.copied().map(u16::from_be_bytes) == station.beside
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
fn udp(payload: &[u8], own: bool, broadcast: bool) -> Result<Class, Bad> {
    let header = payload.first_chunk::<8>().ok_or(Bad::Malformed)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if length < 8 || length > payload.len() {
        return Err(Bad::Malformed);
    }
    let source = u16::from_be_bytes([header[0], header[1]]);
    let port = u16::from_be_bytes([header[2], header[3]]);
    if (source, port) == (DHCP_SERVER, DHCP_CLIENT) {
        return Ok(Class::Dhcp);
    }
    if !own && !broadcast {
        return Err(Bad::NotForUs);
    }
    Ok(Class::Udp { port, broadcast })
}

/// The IPv4 packet in a classified frame: what it says of its length, without padding, and the
/// part behind its header.
#[inline]
pub(crate) fn packet(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let packet = frame.get(ETHERNET..)?;
    let header = packet.first_chunk::<20>()?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let packet = packet.get(..total)?;
    Some((packet, packet.get(usize::from(header[0] & 15) * 4..)?))
}

/// Whether the transport checksum of an IPv4 packet is right.
#[inline]
pub(crate) fn is_intact(packet: &[u8], payload: &[u8]) -> bool {
    let Some(addresses) = packet.get(ADDRESSES..).and_then(|rest| rest.first_chunk::<8>()) else {
        return false;
    };
    let protocol = packet[9];
    match protocol {
        ICMP => Sum::ZERO.bytes(payload).is_valid(),
        UDP => {
            let length = u16::from_be_bytes([payload[4], payload[5]]);
            let Some(datagram) = payload.get(..usize::from(length)) else { return false };
            let sum = Sum::ZERO.bytes(datagram).pseudo_header(addresses, protocol, length);
            // Zero says that the sender computed none (RFC 768).
            payload[6..8] == [0, 0] || sum.is_valid()
        }
        _ => Sum::ZERO
            .bytes(payload)
            .pseudo_header(addresses, protocol, payload.len() as u16)
            .is_valid(),
    }
}

/// The big-endian word at `offset`, which is known to be inside.
#[inline]
pub(crate) fn word(bytes: &[u8], offset: usize) -> u32 {
    let four = bytes.get(offset..).and_then(|rest| rest.first_chunk::<4>());
    four.map_or(0, |four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests;
