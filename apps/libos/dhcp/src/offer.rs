//! An address with everything that belongs to it, as servers have said it so far.

use crate::address::{class_prefix, is_host_of};
use crate::error::Error;
use crate::parameters::Parameters;
use crate::reply::{Reply, Times};
use core::net::Ipv4Addr;

/// Seconds under which a lease is none: it would be over before the address has been probed, and a
/// network could not be used with it.
pub const MIN_LEASE: u32 = 10;
/// The lease time that never ends (RFC 2131, 3.3).
pub(crate) const FOREVER: u32 = u32::MAX;

/// What a server offers, or has granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    pub(crate) address: Ipv4Addr,
    pub(crate) server: Ipv4Addr,
    pub(crate) times: Times,
    pub(crate) parameters: Parameters,
}

impl Offer {
    /// What this reply offers. It is of `server` where it names none.
    pub(crate) fn new(reply: &Reply, server: Option<Ipv4Addr>) -> Result<Self, Error> {
        let server = reply.server.or(server).ok_or(Error::NoServer)?;
        let address = reply.address.ok_or(Error::Address)?;
        let (times, parameters) = (reply.times, reply.parameters);
        let offer = Self { address, server, times, parameters };
        offer.check().map(|()| offer)
    }

    /// Takes over what this reply grants; the rest is as it was said before: a server that acknowledges
    /// need not say everything again.
    pub(crate) fn update(&mut self, reply: &Reply) -> Result<(), Error> {
        self.address = reply.address.ok_or(Error::Address)?;
        self.server = reply.server.unwrap_or(self.server);
        if reply.times.lease.is_some() {
            // The others belong to it.
            self.times = reply.times;
        } else {
            self.times.renewal = reply.times.renewal.or(self.times.renewal);
            self.times.rebinding = reply.times.rebinding.or(self.times.rebinding);
        }
        self.parameters.update(&reply.parameters);
        self.check()
    }

    fn check(&self) -> Result<(), Error> {
        // With the prefix that was said before, or that of the class.
        if !is_host_of(self.address, self.prefix()) {
            return Err(Error::Address);
        }
        if self.times.lease.is_some_and(|seconds| seconds < MIN_LEASE) {
            return Err(Error::LeaseTooShort);
        }
        Ok(())
    }

    /// The subnet's prefix, or where it was not said that of the address's class.
    pub(crate) fn prefix(&self) -> u8 {
        self.parameters.prefix.unwrap_or_else(|| class_prefix(self.address))
    }
}
