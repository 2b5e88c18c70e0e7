//! A queue pair's peer, when the two sides came to know each other without a connection manager.

use crate::{Error, Transport};
use core::net::IpAddr;
use reflex_rdma_engine::{Attributes, State};
use reflex_rdma_wire::{AckTimeout, Envelope, PathMtu, Psn, Qpn, RnrTimer};

/// How long a peer is asked to wait when there is no receive for it: 0.64 ms (IBA volume 1, 9.7.5.2.8).
pub(crate) const RNR_TIMER: RnrTimer = RnrTimer::from_code(12);

/// A peer of a queue pair, as the two sides told each other without a connection manager.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its queue pair.
    pub queue_pair: Qpn,
    /// The number that its packets begin with.
    pub receive_psn: Psn,
    /// The number that ours begin with.
    pub send_psn: Psn,
    /// Payload of a packet.
    pub mtu: PathMtu,
    /// How long to wait for an acknowledge; 4.096 us times two to this power, and for ever if 0.
    pub timeout: u8,
    /// How often to try again without one, at most 7.
    pub retries: u8,
    /// How often to try again when it has no receive; 7 is for ever.
    pub rnr_retries: u8,
    /// Reads and atomics that may be outstanding, each way.
    pub reads: u8,
}

impl Peer {
    /// # Errors
    /// [`Error::BadParameter`] when a number is out of its range.
    pub(crate) fn check(&self, mtu: PathMtu) -> Result<(), Error> {
        let small = self.retries <= 7 && self.rnr_retries <= 7 && self.timeout < 32;
        let fits = small && self.reads <= 16 && self.mtu <= mtu;
        if fits { Ok(()) } else { Err(Error::BadParameter) }
    }

    /// How its values reach the engine.
    pub(crate) fn steps(&self, transport: Transport, path: Envelope) -> [(State, Attributes); 2] {
        let reliable = transport == Transport::Reliable;
        let rtr = Attributes {
            path: Some(path),
            mtu: Some(self.mtu),
            destination: Some(self.queue_pair),
            receive_psn: Some(self.receive_psn),
            max_reads_in: reliable.then_some(self.reads),
            rnr_timer: reliable.then_some(RNR_TIMER),
            ..Attributes::default()
        };
        let rts = Attributes {
            send_psn: Some(self.send_psn),
            timeout: reliable.then_some(AckTimeout::from_code(self.timeout)),
            retries: reliable.then_some(self.retries),
            rnr_retries: reliable.then_some(self.rnr_retries),
            max_reads_out: reliable.then_some(self.reads),
            ..Attributes::default()
        };
        [(State::Rtr, rtr), (State::Rts, rts)]
    }
}
