//! Any connection message.

use super::field::Bytes;
use super::{Drep, Dreq, Mra, Rej, Rep, Req, Rtu, SidrRep, SidrReq};
use crate::Error;

/// One side's name for a communication, unique on its port. Zero where the other side's is not
/// known yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct CommId(pub u32);

/// A connection message. Load and failover of alternate paths (LAP, APR) is not among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Asks for a connection.
    Req(Req<'a>),
    /// Asks for patience.
    Mra(Mra<'a>),
    /// Refuses.
    Rej(Rej<'a>),
    /// Accepts.
    Rep(Rep<'a>),
    /// Confirms the acceptance.
    Rtu(Rtu<'a>),
    /// Asks for an end.
    Dreq(Dreq<'a>),
    /// Confirms the end.
    Drep(Drep<'a>),
    /// Asks for a service's datagram queue pair.
    SidrReq(SidrReq<'a>),
    /// Names it.
    SidrRep(SidrRep<'a>),
}

impl<'a> Message<'a> {
    /// The attribute ID that says which message it is (IBA volume 1, 12).
    pub const fn attribute(&self) -> u16 {
        match self {
            Self::Req(_) => 0x10,
            Self::Mra(_) => 0x11,
            Self::Rej(_) => 0x12,
            Self::Rep(_) => 0x13,
            Self::Rtu(_) => 0x14,
            Self::Dreq(_) => 0x15,
            Self::Drep(_) => 0x16,
            Self::SidrReq(_) => 0x17,
            Self::SidrRep(_) => 0x18,
        }
    }

    /// Reads the message of that attribute ID.
    pub(crate) fn parse(attribute: u16, bytes: &'a Bytes) -> Result<Self, Error> {
        Ok(match attribute {
            0x10 => Self::Req(Req::parse(bytes)?),
            0x11 => Self::Mra(Mra::parse(bytes)?),
            0x12 => Self::Rej(Rej::parse(bytes)?),
            0x13 => Self::Rep(Rep::parse(bytes)),
            0x14 => Self::Rtu(Rtu::parse(bytes)),
            0x15 => Self::Dreq(Dreq::parse(bytes)),
            0x16 => Self::Drep(Drep::parse(bytes)),
            0x17 => Self::SidrReq(SidrReq::parse(bytes)),
            0x18 => Self::SidrRep(SidrRep::parse(bytes)?),
            _ => return Err(Error::MadAttribute),
        })
    }

    /// Writes it over zeros.
    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        match self {
            Self::Req(message) => message.emit(bytes),
            Self::Mra(message) => message.emit(bytes),
            Self::Rej(message) => message.emit(bytes),
            Self::Rep(message) => message.emit(bytes),
            Self::Rtu(message) => message.emit(bytes),
            Self::Dreq(message) => message.emit(bytes),
            Self::Drep(message) => message.emit(bytes),
            Self::SidrReq(message) => message.emit(bytes),
            Self::SidrRep(message) => message.emit(bytes),
        }
    }
}
