//! A protocol beside the stack, which has the frames of a UDP port to itself: it runs in the stack's
//! context, and sends through the stack's interface and to its neighbours.

use crate::ip::endpoint::Hop as Remembered;
use crate::ip::interface::Engine;
use crate::ip::neighbour::Answer;
use alloc::boxed::Box;
use core::net::IpAddr;
use reflex_event::Instant;
use reflex_hil::{AttachedProtocol, Hop, Link, NextHop, NicError};

/// Next hops that are remembered, by the lowest bits of the address.
pub(crate) const REMEMBERED: usize = 16;

/// The protocol, and what is kept for it.
pub(crate) struct Attached {
    pub(crate) protocol: Box<dyn AttachedProtocol>,
    pub(crate) hops: [(IpAddr, Remembered); REMEMBERED],
    /// Frames were handed over that it has not settled.
    pub(crate) unsettled: bool,
}

/// The interface, for as long as the protocol runs.
pub(crate) struct Interface<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) hops: &'a mut [(IpAddr, Remembered); REMEMBERED],
    pub(crate) now: Instant,
    pub(crate) level: u8,
    pub(crate) sent: bool,
    pub(crate) starved: bool,
    pub(crate) unresolved: bool,
}

impl NextHop for Interface<'_> {
    fn next_hop(&mut self, remote: IpAddr) -> Hop {
        let lowest = match remote {
            IpAddr::V4(remote) => remote.octets()[3],
            IpAddr::V6(remote) => remote.octets()[15],
        };
        let (address, hop) = &mut self.hops[usize::from(lowest) % REMEMBERED];
        if *address != remote {
            (*address, *hop) = (remote, Remembered::UNKNOWN);
        }
        match self.engine.remembered_hop(hop, remote, self.now) {
            Answer::Known(mac, _) => Hop::Known(mac),
            Answer::Pending => {
                self.unresolved = true;
                Hop::Pending
            }
            Answer::Gone => Hop::Gone,
        }
    }
}

impl Link for Interface<'_> {
    fn mac(&self) -> [u8; 6] {
        self.engine.mac
    }

    fn mtu(&self) -> usize {
        self.engine.mtu
    }

    fn level(&self) -> u8 {
        self.level
    }

    fn queued(&self) -> u64 {
        self.engine.transmit.counters().frames
    }

    fn has_taken(&mut self, frames: u64) -> bool {
        let waiting = self.engine.transmit.waiting() as u64;
        self.queued().saturating_sub(waiting) >= frames
    }

    #[inline]
    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError> {
        let result = self.engine.transmit.transmit(length, fill);
        self.starved |= result == Err(NicError::TransmitFull);
        let sent = result.is_ok();
        self.sent |= sent;
        self.engine.tally.sent += u64::from(sent);
        // Others look again how many there are.
        self.engine.room = 0;
        result
    }
}
