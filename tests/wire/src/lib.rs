//! Frames made by hand, put on the wire of a test and taken from it.
//!
//! A [`Wire`] is a socket on one interface, to which no address belongs; [`Ends`] makes the frames, right or
//! wrong; [`Seen`] is what is to be known of a segment that came by.

mod frame;
mod seen;
mod socket;

pub use frame::{Ends, Fragment, IPV4, Segment, TRANSPORT, flags, patched};
pub use seen::Seen;
pub use socket::Wire;
