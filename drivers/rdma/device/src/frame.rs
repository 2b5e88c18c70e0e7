//! Ethernet around RoCE's packets.

use reflex_hil::{Frame, Hop, Link, NicError};
use reflex_rdma_engine::{Memory, Outgoing, Transmit, TransmitError};
use reflex_rdma_wire::{Datagram, Error, Gid, Unverified};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
const IPV4_TYPE: [u8; 2] = [0x08, 0x00];
const IPV6_TYPE: [u8; 2] = [0x86, 0xdd];

/// A received frame, and where its IP packet begins.
pub struct Received {
    frame: Frame,
    packet: usize,
}

impl Received {
    /// The frame that has its IP packet at `packet`.
    pub fn new(frame: Frame, packet: usize) -> Self {
        Self { frame, packet }
    }

    /// The packet, of which all but the ICRC has been checked.
    ///
    /// # Errors
    /// [`Error`], what is wrong with it.
    #[inline]
    pub fn packet(&self) -> Result<Unverified<'_>, Error> {
        Unverified::parse(Datagram::parse(self.frame.get(self.packet..).unwrap_or(&[]))?)
    }
}

/// Sends packets as frames, each to its next hop.
pub struct Sender<'a, M> {
    link: &'a mut dyn Link,
    memory: &'a M,
    /// A buffer was wanted, and has to be waited for.
    pub starved: bool,
    /// A neighbour's address was.
    pub unresolved: bool,
}

/// What has become of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sending {
    /// It is on its way; or lost, as on any network: when the neighbour does not answer, or the
    /// interface has failed.
    Done,
    /// It has to wait for a buffer.
    Starved,
    /// It has to wait for a neighbour's address.
    Unresolved,
    /// It is longer than the interface carries.
    TooLong,
}

/// Sends an IP packet of `length` bytes to `remote` that `write` makes, which says whether it has.
#[inline]
pub fn send(
    link: &mut dyn Link,
    remote: Gid,
    length: usize,
    write: &mut dyn FnMut(&mut [u8]) -> bool,
) -> Sending {
    let hop = match link.next_hop(remote.to_ip()) {
        Hop::Known(hop) => hop,
        Hop::Pending => return Sending::Unresolved,
        Hop::Gone => return Sending::Done,
    };
    let (own, v4) = (link.mac(), remote.ipv4_bytes().is_some());
    let mut fill = |frame: &mut [u8]| {
        let Some((header, packet)) = frame.split_first_chunk_mut::<ETHERNET>() else { return };
        if write(packet) {
            header[..6].copy_from_slice(&hop);
            header[6..12].copy_from_slice(&own);
            header[12..].copy_from_slice(if v4 { &IPV4_TYPE } else { &IPV6_TYPE });
        } else {
            // The buffer is the device's already. Nobody takes what has no protocol.
            frame.fill(0);
        }
    };
    match link.transmit(ETHERNET + length, &mut fill) {
        Ok(()) => Sending::Done,
        Err(NicError::TransmitFull) => Sending::Starved,
        Err(NicError::TooLong) => Sending::TooLong,
        // The network loses everything from now on, and a waiting queue pair would never be woken.
        Err(NicError::DeviceFailed) => Sending::Done,
    }
}

impl<'a, M> Sender<'a, M> {
    /// Over an interface, with payload from `memory`.
    pub fn new(link: &'a mut dyn Link, memory: &'a M) -> Self {
        Self { link, memory, starved: false, unresolved: false }
    }
}

impl<M: Memory> Transmit for Sender<'_, M> {
    #[inline]
    fn transmit(&mut self, packet: &Outgoing<'_>) -> Result<(), TransmitError> {
        let (memory, mut written) = (self.memory, true);
        let mut write = |buffer: &mut [u8]| {
            written = packet.emit(memory, buffer).is_ok();
            written
        };
        match send(self.link, packet.envelope.destination, packet.length(), &mut write) {
            Sending::Done if written => Ok(()),
            Sending::Done | Sending::TooLong => Err(TransmitError::Memory),
            Sending::Starved => {
                self.starved = true;
                Err(TransmitError::Full)
            }
            Sending::Unresolved => {
                self.unresolved = true;
                Err(TransmitError::Full)
            }
        }
    }
}
