//! Service IDs, and how RDMA IP CM puts IP addresses and ports into connection messages (annex
//! A11 of the IBA).

use crate::{Error, Gid};

/// What a connection is asked for by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ServiceId(pub u64);

/// The protocol that ports belong to. The discriminant is the space's part of a service ID, as
/// Linux has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
pub enum PortSpace {
    /// Connections.
    Tcp = 0x0106,
    /// Datagrams.
    Udp = 0x0111,
    /// Any, as RDMA CM's `RDMA_PS_IB` has it: unreliable connections among them.
    Any = 0x013f,
}

impl ServiceId {
    /// Of a port in a port space.
    pub const fn ip(space: PortSpace, port: u16) -> Self {
        Self((space as u64) << 16 | port as u64)
    }

    /// The port space and the port, if that is what it names.
    pub const fn to_ip(self) -> Option<(PortSpace, u16)> {
        let space = match self.0 >> 16 {
            0x0106 => PortSpace::Tcp,
            0x0111 => PortSpace::Udp,
            0x013f => PortSpace::Any,
            _ => return None,
        };
        Some((space, self.0 as u16))
    }
}

/// What private data of a REQ or SIDR_REQ begins with.
///
/// ```text
///  0       1        2             4                20                    36
/// | 0 : 0 | IP : 0 | source port | source address | destination address | the application's |
///                                   IPv4 in the last four of sixteen
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpHeader {
    /// The address that asks.
    pub source: Gid,
    /// From which port.
    pub source_port: u16,
    /// The address that is asked; of the same family.
    pub destination: Gid,
}

impl IpHeader {
    /// Bytes at the start of the private data.
    pub const LENGTH: usize = 36;

    /// Reads it off private data, and returns what follows it.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::ReservedValue`] for another version, [`Error::IpVersion`].
    pub fn parse(private_data: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (header, rest) =
            private_data.split_first_chunk::<{ Self::LENGTH }>().ok_or(Error::Truncated)?;
        let [version, family, p0, p1, addresses @ ..] = *header;
        if version != 0 {
            return Err(Error::ReservedValue);
        }
        let (addresses, _) = addresses.as_chunks::<16>();
        let gid = |at: usize| {
            let bytes = addresses.get(at).copied().unwrap_or_default();
            match family >> 4 {
                4 => {
                    let [.., a, b, c, d] = bytes;
                    Ok(Gid::from_ipv4_bytes([a, b, c, d]))
                }
                6 => Ok(Gid::from_bytes(bytes)),
                _ => Err(Error::IpVersion),
            }
        };
        let source_port = u16::from_be_bytes([p0, p1]);
        Ok((Self { source: gid(0)?, source_port, destination: gid(1)? }, rest))
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error::MixedFamilies`].
    pub fn emit(&self, bytes: &mut [u8; Self::LENGTH]) -> Result<(), Error> {
        let (family, source, destination) =
            match (self.source.ipv4_bytes(), self.destination.ipv4_bytes()) {
                (Some(source), Some(destination)) => (4, wide(source), wide(destination)),
                (None, None) => (6, self.source.to_bytes(), self.destination.to_bytes()),
                _ => return Err(Error::MixedFamilies),
            };
        bytes[0..2].copy_from_slice(&[0, family << 4]);
        bytes[2..4].copy_from_slice(&self.source_port.to_be_bytes());
        bytes[4..20].copy_from_slice(&source);
        bytes[20..36].copy_from_slice(&destination);
        Ok(())
    }
}

/// An IPv4 address in the last four of sixteen bytes, the rest zero.
const fn wide([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}
