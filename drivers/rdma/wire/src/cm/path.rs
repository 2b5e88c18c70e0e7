//! The path a connection is to take, as REQ describes it.

use super::field::narrow;
use crate::{AckTimeout, Error, Gid};

/// A path (IBA volume 1, table 106).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// The sender's local ID, which RoCE has no use for: Linux sends ffff.
    pub local_lid: u16,
    /// The receiver's.
    pub remote_lid: u16,
    /// The sender's address.
    pub local: Gid,
    /// The receiver's address.
    pub remote: Gid,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Packet rate, 6 bits.
    pub packet_rate: u8,
    /// Traffic class.
    pub traffic_class: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Service level, 4 bits.
    pub service_level: u8,
    /// Both ends are in one subnet.
    pub subnet_local: bool,
    /// How long the sender's queue pair waits for an acknowledge; for the receiver's to use.
    pub ack_timeout: AckTimeout,
}

impl Path {
    /// Bytes in a REQ.
    pub(crate) const LENGTH: usize = 44;

    /// As Linux fills it for RoCEv2: no LIDs, a hop limit of 64, zero elsewhere.
    pub const fn new(local: Gid, remote: Gid, ack_timeout: AckTimeout) -> Self {
        Self {
            local_lid: 0xffff,
            remote_lid: 0xffff,
            local,
            remote,
            flow_label: 0,
            packet_rate: 0,
            traffic_class: 0,
            hop_limit: 64,
            service_level: 0,
            subnet_local: false,
            ack_timeout,
        }
    }

    /// Whether it leads from anywhere: an alternate path that is not given is zero.
    pub(crate) fn is_given(&self) -> bool {
        self.local_lid != 0 || self.local != Gid::default()
    }

    pub(crate) fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let [l0, l1, r0, r1, rest @ ..] = *bytes;
        let (gids, rest) = rest.as_chunks::<16>();
        let gid = |at: usize| gids.get(at).copied().map(Gid::from_bytes).unwrap_or_default();
        let [f0, f1, f2, rate, traffic_class, hop_limit, level, timeout] =
            rest.first_chunk().copied().unwrap_or_default();
        Self {
            local_lid: u16::from_be_bytes([l0, l1]),
            remote_lid: u16::from_be_bytes([r0, r1]),
            local: gid(0),
            remote: gid(1),
            flow_label: u32::from_be_bytes([f0, f1, f2, rate]) >> 12,
            packet_rate: rate & 0x3f,
            traffic_class,
            hop_limit,
            service_level: level >> 4,
            subnet_local: level & 8 != 0,
            ack_timeout: AckTimeout::from_code(timeout >> 3),
        }
    }

    pub(crate) fn emit(&self) -> Result<[u8; Self::LENGTH], Error> {
        if self.flow_label >> 20 != 0 {
            return Err(Error::FieldOverflow);
        }
        let mut bytes = [0; Self::LENGTH];
        bytes[0..2].copy_from_slice(&self.local_lid.to_be_bytes());
        bytes[2..4].copy_from_slice(&self.remote_lid.to_be_bytes());
        bytes[4..20].copy_from_slice(&self.local.to_bytes());
        bytes[20..36].copy_from_slice(&self.remote.to_bytes());
        let label = self.flow_label << 12 | u32::from(narrow(self.packet_rate, 6)?);
        bytes[36..40].copy_from_slice(&label.to_be_bytes());
        let level = narrow(self.service_level, 4)? << 4 | u8::from(self.subnet_local) << 3;
        let timeout = self.ack_timeout.code() << 3;
        bytes[40..44].copy_from_slice(&[self.traffic_class, self.hop_limit, level, timeout]);
        Ok(bytes)
    }
}
