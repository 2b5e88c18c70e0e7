//! REP: accepts a connection.

use super::CommId;
use super::field::{Bytes, MESSAGE, get_u8, get_u24, get_u32, get_u64, narrow, put, put_private};
use crate::bits::u24_u8;
use crate::{AckTimeout, Error, Psn, QKey, Qpn};

/// Reply to a request for communication (IBA volume 1, table 110).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rep<'a> {
    /// The sender's name for the communication.
    pub local_id: CommId,
    /// The receiver's.
    pub remote_id: CommId,
    /// The queue pair's Q_Key; zero for connections.
    pub qkey: QKey,
    /// The sender's queue pair.
    pub qpn: Qpn,
    /// The sender's end-to-end context, 24 bits; zero for connections.
    pub local_eecn: u32,
    /// The sequence number the *receiver* is to begin with on this connection.
    pub psn: Psn,
    /// Reads and atomics the sender can serve at a time.
    pub responder_resources: u8,
    /// Reads and atomics the sender wants to have outstanding.
    pub initiator_depth: u8,
    /// How long the sender's queue pair may take to acknowledge, on the scale of time-outs.
    pub ack_delay: AckTimeout,
    /// Whether the alternate path was accepted, 2 bits: 0 yes, 1 not supported, 2 no.
    pub failover: u8,
    /// Whether the sender's queue pair does end-to-end flow control.
    pub flow_control: bool,
    /// RNR retries the receiver's queue pair is to make, 3 bits; 7 is for ever.
    pub rnr_retries: u8,
    /// Whether the sender's queue pair has a shared receive queue.
    pub shared_receive_queue: bool,
    /// The sender's channel adapter.
    pub ca_guid: u64,
    /// What the application adds. All 196 bytes when it was received.
    pub private_data: &'a [u8],
}

const PRIVATE: usize = 36;

impl<'a> Rep<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - PRIVATE;

    pub(crate) fn parse(bytes: &'a Bytes) -> Self {
        let [delay, last] = [get_u8::<26>(bytes), get_u8::<27>(bytes)];
        Self {
            local_id: CommId(get_u32::<0>(bytes)),
            remote_id: CommId(get_u32::<4>(bytes)),
            qkey: QKey(get_u32::<8>(bytes)),
            qpn: Qpn::new(get_u24::<12>(bytes)),
            local_eecn: get_u24::<16>(bytes),
            psn: Psn::new(get_u24::<20>(bytes)),
            responder_resources: get_u8::<24>(bytes),
            initiator_depth: get_u8::<25>(bytes),
            ack_delay: AckTimeout::from_code(delay >> 3),
            failover: delay >> 1 & 3,
            flow_control: delay & 1 != 0,
            rnr_retries: last >> 5,
            shared_receive_queue: last & 0x10 != 0,
            ca_guid: get_u64::<28>(bytes),
            private_data: &bytes[PRIVATE..],
        }
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        let delay = self.ack_delay.code() << 3
            | narrow(self.failover, 2)? << 1
            | u8::from(self.flow_control);
        let last = narrow(self.rnr_retries, 3)? << 5 | u8::from(self.shared_receive_queue) << 4;
        if self.local_eecn >> 24 != 0 {
            return Err(Error::FieldOverflow);
        }
        put::<0, 4>(bytes, self.local_id.0.to_be_bytes());
        put::<4, 4>(bytes, self.remote_id.0.to_be_bytes());
        put::<8, 4>(bytes, self.qkey.0.to_be_bytes());
        put::<12, 4>(bytes, u24_u8(self.qpn.get(), 0));
        put::<16, 4>(bytes, u24_u8(self.local_eecn, 0));
        put::<20, 4>(bytes, u24_u8(self.psn.get(), 0));
        put::<24, 4>(bytes, [self.responder_resources, self.initiator_depth, delay, last]);
        put::<28, 8>(bytes, self.ca_guid.to_be_bytes());
        put_private::<PRIVATE>(bytes, self.private_data)
    }
}
