//! The fixed part of a message (RFC 2131, 2), which is BOOTP's.
//!
//! ```text
//!   0 op, htype, hlen, hops | 4 xid | 8 secs, flags | 12 ciaddr | 16 yiaddr | 20 siaddr | 24 giaddr
//!  28 chaddr | 44 sname | 108 file | 236 magic cookie | 240 options
//! ```

use crate::error::Error;
use crate::frame::Mac;
use core::net::Ipv4Addr;
use core::ops::Range;

pub(crate) const OP: usize = 0;
pub(crate) const HARDWARE: Range<usize> = 1..3;
pub(crate) const XID: Range<usize> = 4..8;
pub(crate) const SECS: Range<usize> = 8..10;
pub(crate) const FLAGS: Range<usize> = 10..12;
pub(crate) const CIADDR: Range<usize> = 12..16;
const YIADDR: Range<usize> = 16..20;
pub(crate) const CHADDR: Range<usize> = 28..34;
const SNAME: Range<usize> = 44..108;
const FILE: Range<usize> = 108..236;
pub(crate) const COOKIE: Range<usize> = 236..240;
/// Where the options begin.
pub(crate) const OPTIONS: usize = 240;

pub(crate) const MAGIC: [u8; 4] = [99, 130, 83, 99];
pub(crate) const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Ethernet, and the length of its addresses.
pub(crate) const ETHERNET: [u8; 2] = [1, 6];

/// A reply to a station's client.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Checks that the bytes are a reply to the station `own`.
    pub(crate) fn new_checked(bytes: &'a [u8], own: Mac) -> Result<Self, Error> {
        if bytes.len() < OPTIONS {
            return Err(Error::MessageLength);
        }
        if bytes[OP] != REPLY {
            return Err(Error::NotReply);
        }
        if bytes[HARDWARE] != ETHERNET || bytes[CHADDR] != own {
            return Err(Error::OtherHardware);
        }
        if bytes[COOKIE] != MAGIC {
            return Err(Error::NoCookie);
        }
        Ok(Self { bytes })
    }

    pub(crate) fn xid(&self) -> u32 {
        u32::from_be_bytes(self.array(XID))
    }

    /// The address that the server gives.
    pub(crate) fn yiaddr(&self) -> Ipv4Addr {
        self.array(YIADDR).into()
    }

    pub(crate) fn sname(&self) -> &'a [u8] {
        &self.bytes[SNAME]
    }

    pub(crate) fn file(&self) -> &'a [u8] {
        &self.bytes[FILE]
    }

    pub(crate) fn options(&self) -> &'a [u8] {
        &self.bytes[OPTIONS..]
    }

    /// Four bytes of the fixed part.
    fn array(&self, range: Range<usize>) -> [u8; 4] {
        self.bytes[range].first_chunk().copied().unwrap_or_default()
    }
}
