//! What one side tells the other of a queue pair.
//!
//! It is text, as libibverbs' examples have it: `LID:QPN:PSN:GID` in hexadecimal digits, 4, 6, 6 and
//! 32 of them, and a zero at its end. The LID is InfiniBand's, and zero on Ethernet.

use core::fmt::Write;
use reflex::rdma::{Gid, Psn, Qpn};

/// A queue pair, as its other side has to know it.
#[derive(Clone, Copy)]
pub(crate) struct Announcement {
    pub(crate) queue_pair: Qpn,
    /// The number that its packets begin with.
    pub(crate) psn: Psn,
    pub(crate) gid: Gid,
}

impl Announcement {
    /// Bytes of the text and its zero.
    pub(crate) const LENGTH: usize = 52;

    /// Of no queue pair: it stands where there could be one more.
    pub(crate) const NONE: Self =
        Self { queue_pair: Qpn::new(0), psn: Psn::new(0), gid: Gid::from_bytes([0; 16]) };

    /// Appends the text.
    pub(crate) fn emit(&self, to: &mut alloc::vec::Vec<u8>) {
        let mut text = alloc::string::String::with_capacity(Self::LENGTH);
        // Writing to a string always succeeds.
        let _ = write!(text, "0000:{:06x}:{:06x}:", self.queue_pair.get(), self.psn.get());
        for byte in self.gid.to_bytes() {
            let _ = write!(text, "{byte:02x}");
        }
        to.extend_from_slice(text.as_bytes());
        to.push(0);
    }

    /// Reads the text.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()?;
        let mut fields = text.split(':');
        let mut number = || u32::from_str_radix(fields.next()?, 16).ok();
        let (_lid, queue_pair, psn) = (number()?, Qpn::new(number()?), Psn::new(number()?));
        let digits = fields.next().filter(|digits| digits.len() == 32)?;
        let gid = u128::from_str_radix(digits, 16).ok()?;
        Some(Self { queue_pair, psn, gid: Gid::from_bytes(gid.to_be_bytes()) })
    }
}
