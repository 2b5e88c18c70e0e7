//! What the network says of packets that did not arrive (RFC 792).

use core::fmt;
use core::net::SocketAddrV4;

/// A datagram that did not arrive, as a router or its destination has said. Anybody can say so; what was
/// sent to that port is all that they have to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undeliverable {
    /// Where it was sent.
    pub to: SocketAddrV4,
    /// Why it did not arrive.
    pub why: Unreachable,
}

/// Why a packet did not arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreachable {
    /// No way leads to its network.
    Network,
    /// The host does not answer on its link.
    Host,
    /// The host does not speak the protocol.
    Protocol,
    /// Nobody has opened the port.
    Port,
    /// It was too long for a link on its way, and was not to be fragmented.
    TooLong,
    /// A router or the host does not let it pass.
    Prohibited,
    /// It went in a circle, or its pieces never came together.
    Expired,
    /// Its header is not understood.
    Malformed,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "no way leads to the network",
            Self::Host => "the host does not answer on its link",
            Self::Protocol => "the host does not speak the protocol",
            Self::Port => "the port is closed",
            Self::TooLong => "a link on the way does not carry so long a packet",
            Self::Prohibited => "the network does not let it pass",
            Self::Expired => "it did not arrive in time",
            Self::Malformed => "its header is not understood",
        })
    }
}
