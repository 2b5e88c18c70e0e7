//! What a queue pair is told when its state is changed.

use crate::send_queue::one_family;
use crate::{Access, Error};
use core::fmt;
use reflex_rdma_wire::{AckTimeout, Envelope, PKey, PathMtu, Psn, QKey, Qpn, RnrTimer};

/// Attributes of a queue pair; those that are `None` stay as they are. Which ones a transition
/// needs and takes is in [`Transition`](crate::Transition).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attributes {
    /// The partition (`pkey_index`, looked up).
    pub partition: Option<PKey>,
    /// What the peer may do (`qp_access_flags`).
    pub access: Option<Access>,
    /// The key that datagrams have to have (`qkey`).
    pub key: Option<QKey>,
    /// From where to where packets go (`ah_attr`). Packets that do not come back the same way
    /// are not the peer's.
    pub path: Option<Envelope>,
    /// Payload of a packet (`path_mtu`).
    pub mtu: Option<PathMtu>,
    /// The peer's queue pair (`dest_qp_num`).
    pub destination: Option<Qpn>,
    /// The number that the peer begins with (`rq_psn`).
    pub receive_psn: Option<Psn>,
    /// The number that this side begins with (`sq_psn`).
    pub send_psn: Option<Psn>,
    /// Reads and atomics that the peer may have outstanding (`max_dest_rd_atomic`), no more than
    /// [`Config::reads`](crate::Config::reads).
    pub max_reads_in: Option<u8>,
    /// Reads and atomics that this side may have outstanding (`max_rd_atomic`).
    pub max_reads_out: Option<u8>,
    /// How long the peer is asked to wait for a receive (`min_rnr_timer`).
    pub rnr_timer: Option<RnrTimer>,
    /// How long to wait for an acknowledge (`timeout`).
    pub timeout: Option<AckTimeout>,
    /// How often to try again without one, at most 7 (`retry_cnt`).
    pub retries: Option<u8>,
    /// How often to try again when the peer has no receive; 7 is for ever (`rnr_retry`).
    pub rnr_retries: Option<u8>,
}

impl Attributes {
    /// Which are given.
    pub fn mask(&self) -> Mask {
        let given = [
            (self.partition.is_some(), Mask::PARTITION),
            (self.access.is_some(), Mask::ACCESS),
            (self.key.is_some(), Mask::KEY),
            (self.path.is_some(), Mask::PATH),
            (self.mtu.is_some(), Mask::MTU),
            (self.destination.is_some(), Mask::DESTINATION),
            (self.receive_psn.is_some(), Mask::RECEIVE_PSN),
            (self.send_psn.is_some(), Mask::SEND_PSN),
            (self.max_reads_in.is_some(), Mask::MAX_READS_IN),
            (self.max_reads_out.is_some(), Mask::MAX_READS_OUT),
            (self.rnr_timer.is_some(), Mask::RNR_TIMER),
            (self.timeout.is_some(), Mask::TIMEOUT),
            (self.retries.is_some(), Mask::RETRIES),
            (self.rnr_retries.is_some(), Mask::RNR_RETRIES),
        ];
        given.iter().filter(|(given, _)| *given).fold(Mask::NONE, |sum, &(_, bit)| sum.and(bit))
    }

    /// Whether the values are possible, for a queue pair with so many responder resources.
    pub(crate) fn check(&self, resources: u8) -> Result<(), Error> {
        let small = |value: Option<u8>, most| value.is_none_or(|value| value <= most);
        let one_family = self.path.as_ref().is_none_or(one_family);
        let possible = small(self.retries, 7)
            && small(self.rnr_retries, 7)
            && small(self.max_reads_in, resources)
            && one_family;
        if possible { Ok(()) } else { Err(Error::AttributeValue) }
    }
}

/// A set of attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mask(u16);

macro_rules! mask {
    ($($(#[$doc:meta])* $name:ident = $bit:literal,)*) => {
        impl Mask {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
            const NAMES: &[(&str, Self)] = &[$((stringify!($name), Self::$name),)*];
        }
    };
}

mask! {
    /// [`Attributes::partition`].
    PARTITION = 0,
    /// [`Attributes::access`].
    ACCESS = 1,
    /// [`Attributes::key`].
    KEY = 2,
    /// [`Attributes::path`].
    PATH = 3,
    /// [`Attributes::mtu`].
    MTU = 4,
    /// [`Attributes::destination`].
    DESTINATION = 5,
    /// [`Attributes::receive_psn`].
    RECEIVE_PSN = 6,
    /// [`Attributes::send_psn`].
    SEND_PSN = 7,
    /// [`Attributes::max_reads_in`].
    MAX_READS_IN = 8,
    /// [`Attributes::max_reads_out`].
    MAX_READS_OUT = 9,
    /// [`Attributes::rnr_timer`].
    RNR_TIMER = 10,
    /// [`Attributes::timeout`].
    TIMEOUT = 11,
    /// [`Attributes::retries`].
    RETRIES = 12,
    /// [`Attributes::rnr_retries`].
    RNR_RETRIES = 13,
}

impl Mask {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(_, bit)| self.contains(*bit));
        let mut first = true;
        for (name, _) in names {
            write!(f, "{}{name}", if first { "" } else { " " })?;
            first = false;
        }
        if first { f.write_str("-") } else { Ok(()) }
    }
}
