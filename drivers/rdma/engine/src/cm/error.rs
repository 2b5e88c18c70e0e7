//! Why a call of the communication manager was refused.

use core::fmt;
use reflex_rdma_wire as wire;

/// Why a call was refused. It then had no effect. What a *peer* does wrong is no error: it is a
/// [`Refusal`](super::Refusal), counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// Every communication of the port is taken, those in time-wait included.
    TableFull,
    /// Every listener of the port is taken.
    ListenersFull,
    /// Somebody listens there already.
    ServiceTaken,
    /// No such communication: it has ended, and [`Event::Released`](super::Event::Released) told
    /// so.
    UnknownCommunication,
    /// No such listener.
    UnknownListener,
    /// The communication's state does not allow it.
    State,
    /// The private data does not fit in the message.
    PrivateDataTooLong,
    /// One address is IPv4, the other IPv6.
    MixedFamilies,
    /// A value is wider than its field in the message.
    Value,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TableFull => "every communication of the port is taken",
            Self::ListenersFull => "every listener of the port is taken",
            Self::ServiceTaken => "somebody listens for the service already",
            Self::UnknownCommunication => "the communication has ended, or never was",
            Self::UnknownListener => "the listener is closed, or never was",
            Self::State => "the communication's state does not allow it",
            Self::PrivateDataTooLong => "the private data does not fit in the message",
            Self::MixedFamilies => "one address is IPv4 and the other IPv6",
            Self::Value => "a value is wider than its field in the message",
        })
    }
}

impl core::error::Error for Error {}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::PrivateDataTooLong => Self::PrivateDataTooLong,
            wire::Error::MixedFamilies => Self::MixedFamilies,
            _ => Self::Value,
        }
    }
}
