//! What the IP stack offers to a protocol that works beside it, and what it wants of one: the stack
//! takes the frames of a UDP port out before it looks at them further, and hands them over.
//!
//! All of the protocol's code that is called through here runs where the stack runs, so never two of
//! its calls at a time.

use crate::{Frame, NicError};
use core::net::IpAddr;

/// What is known of a next hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hop {
    /// Its hardware address.
    Known([u8; 6]),
    /// It has been asked for: [`AttachedProtocol::ready`] is called when there is an answer, or none.
    Pending,
    /// It does not answer, or no route leads there.
    Gone,
}

/// What knows the neighbours: the IP stack.
pub trait NextHop {
    /// The hardware address of the next hop towards `remote`, asked for if need be.
    fn next_hop(&mut self, remote: IpAddr) -> Hop;
}

/// The interface, for as long as a protocol runs.
pub trait Link: NextHop {
    /// The interface's hardware address.
    fn mac(&self) -> [u8; 6];

    /// Longest IP packet, in bytes.
    fn mtu(&self) -> usize;

    /// The level of the priority at which this runs, 0 to 63.
    fn level(&self) -> u8;

    /// Frames that were queued so far on the interface, by whomever.
    fn queued(&self) -> u64;

    /// Whether the device has taken the first `frames` of these.
    fn has_taken(&mut self, frames: u64) -> bool;

    /// Queues an Ethernet frame of `length` bytes that `fill` writes in place. The device is told
    /// when the work at hand is done.
    ///
    /// # Errors
    /// [`NicError`]; `fill` was then not called. After [`NicError::TransmitFull`]
    /// [`AttachedProtocol::ready`] is called when there are buffers again.
    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError>;
}

/// A protocol that has the datagrams of a UDP port to itself.
pub trait AttachedProtocol: Send {
    /// A frame has arrived; its IP packet, UDP to the port, begins at `packet`. Nothing of it has
    /// been checked but that these bytes are there. Short and bounded.
    fn received(&mut self, frame: Frame, packet: usize, link: &mut dyn Link);

    /// The frames that had come have been handed over.
    fn end_of_batch(&mut self, link: &mut dyn Link);

    /// One of the events has occurred that were registered for the protocol, under this number.
    fn run(&mut self, number: u32, link: &mut dyn Link);

    /// What was waited for may be there: a transmit buffer, a neighbour's address.
    fn ready(&mut self, link: &mut dyn Link);

    /// The interface has these addresses now.
    fn addresses_changed(&mut self, addresses: &[IpAddr]);
}
