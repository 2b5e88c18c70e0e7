//! ICMP errors (RFC 792): what they say, and of which packet of ours.

use crate::ip::header::{self, ADDRESSES, TCP, UDP};
use crate::types::unreachable::Unreachable;

/// Message types that are errors.
const UNREACHABLE: u8 = 3;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// An error about a packet that claims to be ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    pub(crate) why: Unreachable,
    /// Of a packet that was too long: what the next link carries, or 0 when the router does not say (RFC 1191, 4).
    pub(crate) mtu: u16,
    pub(crate) protocol: u8,
    /// It went from here
    pub(crate) local: u32,
    pub(crate) local_port: u16,
    /// to there.
    pub(crate) remote: u32,
    pub(crate) remote_port: u16,
    /// Bytes of it.
    pub(crate) length: u16,
    /// Of a segment.
    pub(crate) sequence: u32,
}

/// The error in a classified frame; `None` when it is none, is damaged, or is about what TCP and UDP did
/// not send.
pub(crate) fn report(frame: &[u8]) -> Option<Report> {
    let (packet, message) = header::packet(frame)?;
    if packet[9] != header::ICMP || !header::is_intact(packet, message) {
        return None;
    }
    let (head, quoted) = message.split_first_chunk::<8>()?;
    let why = meaning(head[0], head[1])?;
    let ip = quoted.first_chunk::<20>()?;
    let behind = quoted.get(usize::from(ip[0] & 15) * 4..)?.first_chunk::<8>()?;
    let fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff;
    let length = u16::from_be_bytes([ip[2], ip[3]]);
    // What is behind a later fragment's header are no ports.
    if ip[0] >> 4 != 4 || ip[0] & 15 < 5 || fragment != 0 || !matches!(ip[9], TCP | UDP) {
        return None;
    }
    Some(Report {
        why,
        mtu: u16::from_be_bytes([head[6], head[7]]),
        protocol: ip[9],
        local: header::word(ip, ADDRESSES),
        local_port: u16::from_be_bytes([behind[0], behind[1]]),
        remote: header::word(ip, ADDRESSES + 4),
        remote_port: u16::from_be_bytes([behind[2], behind[3]]),
        length,
        sequence: header::word(behind, 4),
    })
}

/// What a message of a type and a code says; `None`: nothing of a packet that was lost.
fn meaning(kind: u8, code: u8) -> Option<Unreachable> {
    Some(match (kind, code) {
        (UNREACHABLE, 0 | 5 | 6 | 11) => Unreachable::Network,
        (UNREACHABLE, 1 | 7 | 8 | 12) => Unreachable::Host,
        (UNREACHABLE, 2) => Unreachable::Protocol,
        (UNREACHABLE, 3) => Unreachable::Port,
        (UNREACHABLE, 4) => Unreachable::TooLong,
        (UNREACHABLE, 9 | 10 | 13..=15) => Unreachable::Prohibited,
        (TIME_EXCEEDED, _) => Unreachable::Expired,
        (PARAMETER_PROBLEM, _) => Unreachable::Malformed,
        // Nothing comes of a source quench (RFC 6633), nor of a redirect: routes are configured or leased.
        _ => return None,
    })
}

impl Unreachable {
    /// Whether trying again is of no use (RFC 1122, 4.2.3.9).
    pub(crate) fn is_hard(self) -> bool {
        matches!(self, Self::Protocol | Self::Port | Self::Prohibited)
    }
}

#[cfg(test)]
mod tests;
