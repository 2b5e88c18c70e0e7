//! Somebody else has an address of the interface.

use core::fmt;
use core::net::IpAddr;

/// Whether an address that the interface has been given is looked for on the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConflictDetection {
    /// It is probed for and defended (RFC 5227; RFC 4862, 5.4).
    On,
    /// It is announced once, and used even if another station has it.
    Off,
}

/// Somebody else has an address of the interface, and what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressConflict {
    /// The address.
    pub address: IpAddr,
    /// The hardware address of the other.
    pub mac: [u8; 6],
    /// What became of the address.
    pub outcome: ConflictOutcome,
}

/// What became of an address that somebody else has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConflictOutcome {
    /// It is used no longer. An IPv4 address is probed for again in a while, and used once nobody
    /// has it; for one of a lease, another is asked for. An IPv6 address stays withdrawn.
    Withdrawn,
    /// It is ours, and was announced again.
    Defended,
}

impl fmt::Display for AddressConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, mac: [a, b, c, d, e, g], outcome } = self;
        write!(
            f,
            "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x} has the address {address} too: "
        )?;
        f.write_str(match outcome {
            ConflictOutcome::Withdrawn => "it is used here no longer",
            ConflictOutcome::Defended => "it is ours, and was announced again",
        })
    }
}
