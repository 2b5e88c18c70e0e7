//! Neighbour discovery for IPv6 over Ethernet (RFC 4861): solicitations and advertisements.

use crate::ip::checksum::Sum;
use crate::ip::header::ETHERNET;

/// Bytes of an IPv6 header.
pub(crate) const IPV6: usize = 40;
/// The next header of ICMPv6.
pub(crate) const ICMP6: u8 = 58;
/// The types of messages (RFC 4861, 4.3 and 4.4).
pub(crate) const SOLICITATION: u8 = 135;
pub(crate) const ADVERTISEMENT: u8 = 136;
/// An advertisement's flags: it is an answer, and it replaces what was known.
pub(crate) const SOLICITED: u8 = 0x40;
pub(crate) const OVERRIDE: u8 = 0x20;

/// Bytes of a frame with a message and a link-layer address.
const LENGTH: usize = ETHERNET + IPV6 + MESSAGE + OPTION;

/// A message without its options.
const MESSAGE: usize = 24;
/// The option that tells a link-layer address.
const OPTION: usize = 8;
/// So that nobody from another link is heard (RFC 4861, 7.1).
const HOP_LIMIT: u8 = 255;
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Solicitation,
    Advertisement,
}

/// A message of neighbour discovery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// An advertisement's.
    pub(crate) flags: u8,
    pub(crate) source: u128,
    pub(crate) destination: u128,
    pub(crate) target: u128,
    /// The sender's, in a solicitation, or the target's.
    pub(crate) mac: Option<[u8; 6]>,
}

/// The group that a station listens to for solicitations of its address (RFC 4291, 2.7.1).
pub(crate) fn solicited_node(address: u128) -> u128 {
    0xff02_0000_0000_0000_0000_0001_ff00_0000 | address & 0xff_ffff
}

/// The Ethernet address of a group (RFC 2464, 7).
pub(crate) fn group_mac(group: u128) -> [u8; 6] {
    let [.., a, b, c, d] = group.to_be_bytes();
    [0x33, 0x33, a, b, c, d]
}

/// The link-local address of an interface (RFC 4291, appendix A).
pub(crate) fn link_local([a, b, c, d, e, f]: [u8; 6]) -> u128 {
    let low = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    0xfe80 << 112 | u128::from(low)
}

/// The 16 bytes of `bytes` from `at` on, as an address.
pub(crate) fn address(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl Message {
    /// Reads the message in a frame; `None` when it is none that is to be heard (RFC 4861, 7.1).
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET..)?;
        let (header, rest) = packet.split_first_chunk::<IPV6>()?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let body = rest.get(..length)?;
        let message = body.first_chunk::<MESSAGE>()?;
        let addresses = header[8..].first_chunk::<32>()?;
        let (source, destination) = (address(header, 8)?, address(header, 24)?);
        let target = address(message, 8)?;
        if header[6] != ICMP6
            || header[7] != HOP_LIMIT
            || message[1] != 0
            || target >> 120 == 0xff
            || !Sum::ZERO.bytes(body).pseudo_header6(addresses, ICMP6, length as u32).is_valid()
        {
            return None;
        }
        let (kind, wanted) = match message[0] {
            SOLICITATION => (Kind::Solicitation, SOURCE_ADDRESS),
            ADVERTISEMENT => (Kind::Advertisement, TARGET_ADDRESS),
            _ => return None,
        };
        let mac = option(body.get(MESSAGE..)?, wanted)?;
        // Nobody, as yet without an address, has none to be answered at.
        let nobody = source == 0 && (kind == Kind::Advertisement || mac.is_some());
        let group = mac.is_some_and(|mac| mac[0] & 1 != 0) || source >> 120 == 0xff;
        let flags =
            if kind == Kind::Advertisement { message[4] & (SOLICITED | OVERRIDE) } else { 0 };
        // What goes to a group answers nobody (RFC 4861, 7.1.2).
        let crowd = destination >> 120 == 0xff && flags & SOLICITED != 0;
        let sound = !nobody && !group && !crowd;
        sound.then_some(Self { kind, flags, source, destination, target, mac })
    }

    /// Bytes of the message as a frame.
    pub(crate) fn length(&self) -> usize {
        if self.mac.is_some() { LENGTH } else { LENGTH - OPTION }
    }

    /// Writes the message as a frame to `to`, of [`length`](Self::length) bytes.
    pub(crate) fn emit(&self, to: &[u8; 6], from: &[u8; 6], frame: &mut [u8]) {
        let Some((ethernet, packet)) = frame.split_first_chunk_mut::<ETHERNET>() else { return };
        let Some((header, rest)) = packet.split_first_chunk_mut::<IPV6>() else { return };
        let length = self.length() - ETHERNET - IPV6;
        let Some(body) = rest.get_mut(..length) else { return };
        ethernet[..6].copy_from_slice(to);
        ethernet[6..12].copy_from_slice(from);
        ethernet[12..].copy_from_slice(&[0x86, 0xdd]);
        header.fill(0);
        header[0] = 0x60;
        // At most 32.
        header[5] = length as u8;
        (header[6], header[7]) = (ICMP6, HOP_LIMIT);
        header[8..24].copy_from_slice(&self.source.to_be_bytes());
        header[24..].copy_from_slice(&self.destination.to_be_bytes());
        body.fill(0);
        let (kind, option) = match self.kind {
            Kind::Solicitation => (SOLICITATION, SOURCE_ADDRESS),
            Kind::Advertisement => (ADVERTISEMENT, TARGET_ADDRESS),
        };
        (body[0], body[4]) = (kind, self.flags);
        body[8..24].copy_from_slice(&self.target.to_be_bytes());
        if let Some(mac) = self.mac {
            (body[MESSAGE], body[MESSAGE + 1]) = (option, 1);
            body[MESSAGE + 2..].copy_from_slice(&mac);
        }
        let Some(addresses) = header[8..].first_chunk::<32>() else { return };
        let sum = Sum::ZERO.bytes(body);
        let sum = sum.pseudo_header6(addresses, ICMP6, length as u32).finish();
        body[2..4].copy_from_slice(&sum);
    }
}

/// The link-layer address in the options, if there is one; `None` when they make no sense.
fn option(mut options: &[u8], wanted: u8) -> Option<Option<[u8; 6]>> {
    let mut found = None;
    while let [kind, eights, ..] = *options {
        // An option of no length would never end (RFC 4861, 4.6).
        if eights == 0 {
            return None;
        }
        let (option, rest) = options.split_at_checked(usize::from(eights) * 8)?;
        if kind == wanted {
            found = option.get(2..)?.first_chunk::<6>().copied();
        }
        options = rest;
    }
    options.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    fn message() -> Message {
        let (source, target) = (link_local(MAC), link_local([2, 0, 0, 0, 0, 9]));
        let destination = solicited_node(target);
        let (kind, flags, mac) = (Kind::Solicitation, 0, Some(MAC));
        Message { kind, flags, source, destination, target, mac }
    }

    fn frame(message: &Message) -> [u8; LENGTH] {
        let mut frame = [0; LENGTH];
        message.emit(&group_mac(message.destination), &MAC, &mut frame);
        frame
    }

    #[test]
    fn addresses_are_those_of_the_standards() {
        assert_eq!(link_local(MAC), 0xfe80_0000_0000_0000_5054_00ff_fe12_3456);
        let group = solicited_node(link_local(MAC));
        assert_eq!(group, 0xff02_0000_0000_0000_0000_0001_ff12_3456);
        assert_eq!(group_mac(group), [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
    }

    #[test]
    fn what_is_emitted_is_read() {
        let good = message();
        let nobody = Message { source: 0, mac: None, ..good };
        let answer = Message { kind: Kind::Advertisement, flags: OVERRIDE, ..good };
        let direct = Message { flags: SOLICITED, destination: good.source, ..answer };
        for message in [good, nobody, answer, direct] {
            let frame = &frame(&message)[..message.length()];
            assert_eq!(Message::parse(frame), Some(message));
        }
        // An answer is somebody's (RFC 4861, 7.1.2).
        let crowd = Message { flags: SOLICITED, ..answer };
        assert_eq!(Message::parse(&frame(&crowd)), None);
    }

    #[test]
    fn what_comes_from_elsewhere_or_is_damaged_is_not_heard() {
        let good = frame(&message());
        for at in ETHERNET + 4..LENGTH {
            let mut bad = good;
            bad[at] ^= 0x11;
            // The hop limit is not covered by the checksum, but checked.
            assert_eq!(Message::parse(&bad), None, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            Message::parse(&bytes);
        }
    }
}
