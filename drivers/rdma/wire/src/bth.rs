//! The base transport header, in front of every packet.
//!
//! ```text
//!  0        1            2       4      5            8      9            12
//! | opcode | SE M pad V | P_Key | F B r | destination | A r | PSN         |
//!            1  1 2   4            1 1 6               1 7
//! ```

use crate::{Error, Opcode, PKey, Psn, Qpn};

const SOLICITED: u32 = 1 << 23;
const MIGRATED: u32 = 1 << 22;
const PAD: u32 = 20;
const VERSION: u32 = 0xf << 16;
const FECN: u32 = 1 << 31;
const BECN: u32 = 1 << 30;
const ACKNOWLEDGE: u32 = 1 << 31;

/// Base transport header (IBA volume 1, 9.2). The pad count is not in it: it follows from the
/// payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bth {
    /// What the packet is.
    pub opcode: Opcode,
    /// SE: the responder is to raise an event for the completion.
    pub solicited: bool,
    /// M: the path is migrated. Linux sends 0 and takes both.
    pub migrated: bool,
    /// FECN: the packet met congestion.
    pub forward_congestion: bool,
    /// BECN: packets the other way met congestion.
    pub backward_congestion: bool,
    /// The partition.
    pub partition: PKey,
    /// The queue pair that is to receive it.
    pub destination: Qpn,
    /// A: the responder is to acknowledge it.
    pub acknowledge: bool,
    /// Its sequence number.
    pub psn: Psn,
}

impl Bth {
    /// Bytes on the wire.
    pub const LENGTH: usize = 12;

    /// A header in the default partition, with all flags clear.
    #[inline]
    pub const fn new(opcode: Opcode, destination: Qpn, psn: Psn) -> Self {
        Self {
            opcode,
            solicited: false,
            migrated: false,
            forward_congestion: false,
            backward_congestion: false,
            partition: PKey::DEFAULT,
            destination,
            acknowledge: false,
            psn,
        }
    }

    /// The header, and the pad bytes it announces, 0 to 3.
    ///
    /// # Errors
    /// [`Error::TransportVersion`], [`Error::Opcode`].
    #[inline]
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Result<(Self, usize), Error> {
        let [a, b, c] = words(bytes);
        if a & VERSION != 0 {
            return Err(Error::TransportVersion);
        }
        let opcode = Opcode::from_bits(bytes[0]).ok_or(Error::Opcode)?;
        let header = Self {
            opcode,
            solicited: a & SOLICITED != 0,
            migrated: a & MIGRATED != 0,
            forward_congestion: b & FECN != 0,
            backward_congestion: b & BECN != 0,
            partition: PKey(a as u16),
            destination: Qpn::new(b),
            acknowledge: c & ACKNOWLEDGE != 0,
            psn: Psn::new(c),
        };
        Ok((header, (a >> PAD & 3) as usize))
    }

    /// Writes the header with `pad`, 0 to 3, as its pad count.
    #[inline]
    pub fn emit(&self, pad: usize, bytes: &mut [u8; Self::LENGTH]) {
        let a = u32::from(self.opcode.bits()) << 24
            | u32::from(self.solicited) << 23
            | u32::from(self.migrated) << 22
            | (pad as u32 & 3) << PAD
            | u32::from(self.partition.0);
        let b = u32::from(self.forward_congestion) << 31
            | u32::from(self.backward_congestion) << 30
            | self.destination.get();
        let c = u32::from(self.acknowledge) << 31 | self.psn.get();
        bytes[0..4].copy_from_slice(&a.to_be_bytes());
        bytes[4..8].copy_from_slice(&b.to_be_bytes());
        bytes[8..12].copy_from_slice(&c.to_be_bytes());
    }
}

#[inline]
fn words(bytes: &[u8; 12]) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_be_bytes)
}
