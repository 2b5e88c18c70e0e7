//! The extension headers of a packet, in the combinations the opcodes have.

use crate::{Aeth, AtomicAckEth, AtomicEth, Deth, Error, Ieth, ImmDt, Reth};

/// Which extension headers an opcode has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Layout {
    /// None.
    None,
    /// Immediate data.
    Immediate,
    /// A key to invalidate.
    Invalidate,
    /// RETH.
    Reth,
    /// RETH, then immediate data.
    RethImmediate,
    /// AETH.
    Aeth,
    /// AETH, then the original value.
    AethAtomicAck,
    /// Atomic operands.
    Atomic,
    /// DETH.
    Deth,
    /// DETH, then immediate data.
    DethImmediate,
}

impl Layout {
    /// Bytes on the wire.
    #[inline]
    pub const fn length(self) -> usize {
        const LENGTHS: &[u8; 10] = &[0, 4, 4, 16, 20, 4, 12, 28, 8, 12];
        LENGTHS[self as usize] as usize
    }
}

/// The extension headers of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extension {
    /// No extension header.
    None,
    /// The end of a send or of a write.
    Immediate(ImmDt),
    /// The end of a send.
    Invalidate(Ieth),
    /// The beginning of a write; a read request.
    Reth(Reth),
    /// A whole write.
    RethImmediate(Reth, ImmDt),
    /// An acknowledge; both ends of a read response.
    Aeth(Aeth),
    /// The answer to an atomic request.
    AethAtomicAck(Aeth, AtomicAckEth),
    /// An atomic request.
    Atomic(AtomicEth),
    /// A datagram.
    Deth(Deth),
    /// A datagram with immediate data.
    DethImmediate(Deth, ImmDt),
}

impl Extension {
    /// Which headers these are.
    #[inline]
    pub const fn layout(&self) -> Layout {
        match self {
            Self::None => Layout::None,
            Self::Immediate(..) => Layout::Immediate,
            Self::Invalidate(..) => Layout::Invalidate,
            Self::Reth(..) => Layout::Reth,
            Self::RethImmediate(..) => Layout::RethImmediate,
            Self::Aeth(..) => Layout::Aeth,
            Self::AethAtomicAck(..) => Layout::AethAtomicAck,
            Self::Atomic(..) => Layout::Atomic,
            Self::Deth(..) => Layout::Deth,
            Self::DethImmediate(..) => Layout::DethImmediate,
        }
    }

    /// Reads them from the start of `bytes`.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Syndrome`].
    #[inline]
    pub fn parse(layout: Layout, bytes: &[u8]) -> Result<Self, Error> {
        Ok(match layout {
            Layout::None => Self::None,
            Layout::Immediate => Self::Immediate(ImmDt::parse(first(bytes)?)),
            Layout::Invalidate => Self::Invalidate(Ieth::parse(first(bytes)?)),
            Layout::Reth => Self::Reth(Reth::parse(first(bytes)?)),
            Layout::RethImmediate => {
                let (reth, rest) = split(bytes)?;
                Self::RethImmediate(Reth::parse(reth), ImmDt::parse(first(rest)?))
            }
            Layout::Aeth => Self::Aeth(Aeth::parse(first(bytes)?)?),
            Layout::AethAtomicAck => {
                let (aeth, rest) = split(bytes)?;
                Self::AethAtomicAck(Aeth::parse(aeth)?, AtomicAckEth::parse(first(rest)?))
            }
            Layout::Atomic => Self::Atomic(AtomicEth::parse(first(bytes)?)),
            Layout::Deth => Self::Deth(Deth::parse(first(bytes)?)),
            Layout::DethImmediate => {
                let (deth, rest) = split(bytes)?;
                Self::DethImmediate(Deth::parse(deth), ImmDt::parse(first(rest)?))
            }
        })
    }

    /// Writes them at the start of `bytes`.
    ///
    /// # Errors
    /// [`Error::BufferTooShort`].
    #[inline]
    pub fn emit(&self, bytes: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::None => {}
            Self::Immediate(imm) => imm.emit(first_mut(bytes)?),
            Self::Invalidate(ieth) => ieth.emit(first_mut(bytes)?),
            Self::Reth(reth) => reth.emit(first_mut(bytes)?),
            Self::RethImmediate(reth, imm) => {
                let (head, rest) = split_mut(bytes)?;
                reth.emit(head);
                imm.emit(first_mut(rest)?);
            }
            Self::Aeth(aeth) => aeth.emit(first_mut(bytes)?),
            Self::AethAtomicAck(aeth, atomic) => {
                let (head, rest) = split_mut(bytes)?;
                aeth.emit(head);
                atomic.emit(first_mut(rest)?);
            }
            Self::Atomic(atomic) => atomic.emit(first_mut(bytes)?),
            Self::Deth(deth) => deth.emit(first_mut(bytes)?),
            Self::DethImmediate(deth, imm) => {
                let (head, rest) = split_mut(bytes)?;
                deth.emit(head);
                imm.emit(first_mut(rest)?);
            }
        }
        Ok(())
    }

    /// The RETH, if there is one.
    #[inline]
    pub const fn reth(&self) -> Option<Reth> {
        match *self {
            Self::Reth(reth) | Self::RethImmediate(reth, _) => Some(reth),
            _ => None,
        }
    }

    /// The AETH, if there is one.
    #[inline]
    pub const fn aeth(&self) -> Option<Aeth> {
        match *self {
            Self::Aeth(aeth) | Self::AethAtomicAck(aeth, _) => Some(aeth),
            _ => None,
        }
    }

    /// The DETH, if there is one.
    #[inline]
    pub const fn deth(&self) -> Option<Deth> {
        match *self {
            Self::Deth(deth) | Self::DethImmediate(deth, _) => Some(deth),
            _ => None,
        }
    }

    /// The immediate data, if there is any.
    #[inline]
    pub const fn immediate(&self) -> Option<ImmDt> {
        match *self {
            Self::Immediate(imm) | Self::RethImmediate(_, imm) | Self::DethImmediate(_, imm) => {
                Some(imm)
            }
            _ => None,
        }
    }
}

#[inline]
fn first<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], Error> {
    bytes.first_chunk().ok_or(Error::Truncated)
}

#[inline]
fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), Error> {
    bytes.split_first_chunk().ok_or(Error::Truncated)
}

#[inline]
fn first_mut<const N: usize>(bytes: &mut [u8]) -> Result<&mut [u8; N], Error> {
    bytes.first_chunk_mut().ok_or(Error::BufferTooShort)
}

#[inline]
fn split_mut<const N: usize>(bytes: &mut [u8]) -> Result<(&mut [u8; N], &mut [u8]), Error> {
    bytes.split_first_chunk_mut().ok_or(Error::BufferTooShort)
}
