//! Ethernet around RoCE's packets.

use reflex_driver_api::{Frame, Hop, Link, NicError};
use reflex_rdma_engine::{Memory, Outgoing, Transmit, TransmitError};
use reflex_rdma_wire::{Datagram, Error, Gid, Qpn, Unverified};

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
    /// A frame whose IP packet begins at `packet`.
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

    /// For which queue pair it says it is.
    ///
    /// # Errors
    /// [`Error`].
    #[inline]
    pub fn queue_pair(&self) -> Result<Qpn, Error> {
        Ok(self.packet()?.bth().destination)
    }
}

/// Sends packets as frames, each to its next hop.
pub struct Sender<'a, M> {
    link: &'a mut dyn Link,
    memory: &'a M,
    /// A buffer or a neighbour's address was wanted, and has to be waited for.
    pub full: bool,
}

/// Sends an IP packet of `length` bytes to `remote` that `write` makes, which says whether it has.
/// False when it has to wait for a buffer or a neighbour's address. A neighbour that does not answer
/// loses packets, as on any network.
///
/// # Errors
/// [`NicError`].
#[inline]
pub fn send(
    link: &mut dyn Link,
    remote: Gid,
    length: usize,
    write: &mut dyn FnMut(&mut [u8]) -> bool,
) -> Result<bool, NicError> {
    let hop = match link.next_hop(remote.to_ip()) {
        Hop::Known(hop) => hop,
        Hop::Pending => return Ok(false),
        Hop::Gone => return Ok(true),
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
        Ok(()) => Ok(true),
        Err(NicError::TransmitFull) => Ok(false),
        Err(error) => Err(error),
    }
}

impl<'a, M> Sender<'a, M> {
    /// Over an interface, with payload from `memory`.
    pub fn new(link: &'a mut dyn Link, memory: &'a M) -> Self {
        Self { link, memory, full: false }
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
            Ok(true) if written => Ok(()),
            Ok(true) | Err(NicError::TooLong) => Err(TransmitError::Memory),
            Ok(false) | Err(_) => {
                self.full = true;
                Err(TransmitError::Full)
            }
        }
    }
}
