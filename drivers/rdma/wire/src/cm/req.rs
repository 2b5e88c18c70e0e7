//! REQ: asks for a connection.

use super::field::{
    Bytes, MESSAGE, get, get_u8, get_u16, get_u24, get_u32, get_u64, narrow, put, put_private,
};
use super::{CommId, Path, ServiceId};
use crate::bits::u24_u8;
use crate::{AckTimeout, Error, PKey, PathMtu, Psn, QKey, Qpn};

/// Which transport a connection is to have. The discriminant is its code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Service {
    /// RC.
    Reliable = 0,
    /// UC.
    Unreliable = 1,
}

/// Request for communication (IBA volume 1, table 106).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Req<'a> {
    /// The sender's name for the communication.
    pub local_id: CommId,
    /// The service asked for.
    pub service: ServiceId,
    /// The sender's channel adapter.
    pub ca_guid: u64,
    /// The queue pair's Q_Key; zero for connections.
    pub qkey: QKey,
    /// The sender's queue pair.
    pub qpn: Qpn,
    /// Reads and atomics the sender can serve at a time.
    pub responder_resources: u8,
    /// Reads and atomics the sender wants to have outstanding.
    pub initiator_depth: u8,
    /// The sender's end-to-end context, 24 bits; zero for connections.
    pub local_eecn: u32,
    /// The receiver's, 24 bits.
    pub remote_eecn: u32,
    /// How long the receiver may take to answer.
    pub remote_response_timeout: AckTimeout,
    /// The transport.
    pub transport: Service,
    /// Whether the sender's queue pair does end-to-end flow control.
    pub flow_control: bool,
    /// The sequence number the *receiver* is to begin with on this connection.
    pub psn: Psn,
    /// How long the sender may take to answer.
    pub local_response_timeout: AckTimeout,
    /// Retries the receiver's queue pair is to make, 3 bits.
    pub retries: u8,
    /// The partition.
    pub partition: PKey,
    /// Path MTU.
    pub mtu: PathMtu,
    /// Reliable datagram only.
    pub rdc_exists: bool,
    /// RNR retries the receiver's queue pair is to make, 3 bits; 7 is for ever.
    pub rnr_retries: u8,
    /// How often either side sends a message again, 4 bits.
    pub max_cm_retries: u8,
    /// Whether the sender's queue pair has a shared receive queue.
    pub shared_receive_queue: bool,
    /// Extended transport type, 3 bits: 0, or 1 for XRC.
    pub extended_transport: u8,
    /// The path.
    pub primary: Path,
    /// Another, to fall back to.
    pub alternate: Option<Path>,
    /// What the application adds. All 92 bytes when it was received.
    pub private_data: &'a [u8],
}

const PRIVATE: usize = 140;

impl<'a> Req<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - PRIVATE;

    pub(crate) fn parse(bytes: &'a Bytes) -> Result<Self, Error> {
        let [transport, local_retries, mtu, last] =
            [get_u8::<43>(bytes), get_u8::<47>(bytes), get_u8::<50>(bytes), get_u8::<51>(bytes)];
        let alternate = Path::parse(&get::<96, _>(bytes));
        Ok(Self {
            local_id: CommId(get_u32::<0>(bytes)),
            service: ServiceId(get_u64::<8>(bytes)),
            ca_guid: get_u64::<16>(bytes),
            qkey: QKey(get_u32::<28>(bytes)),
            qpn: Qpn::new(get_u24::<32>(bytes)),
            responder_resources: get_u8::<35>(bytes),
            local_eecn: get_u24::<36>(bytes),
            initiator_depth: get_u8::<39>(bytes),
            remote_eecn: get_u24::<40>(bytes),
            remote_response_timeout: AckTimeout::from_code(transport >> 3),
            transport: match transport >> 1 & 3 {
                0 => Service::Reliable,
                1 => Service::Unreliable,
                _ => return Err(Error::ReservedValue),
            },
            flow_control: transport & 1 != 0,
            psn: Psn::new(get_u24::<44>(bytes)),
            local_response_timeout: AckTimeout::from_code(local_retries >> 3),
            retries: local_retries & 7,
            partition: PKey(get_u16::<48>(bytes)),
            mtu: PathMtu::from_code(mtu >> 4).ok_or(Error::ReservedValue)?,
            rdc_exists: mtu & 8 != 0,
            rnr_retries: mtu & 7,
            max_cm_retries: last >> 4,
            shared_receive_queue: last & 8 != 0,
            extended_transport: last & 7,
            primary: Path::parse(&get::<52, _>(bytes)),
            alternate: alternate.is_given().then_some(alternate),
            private_data: &bytes[PRIVATE..],
        })
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        let transport = self.remote_response_timeout.code() << 3
            | (self.transport as u8) << 1
            | u8::from(self.flow_control);
        let retries = self.local_response_timeout.code() << 3 | narrow(self.retries, 3)?;
        let mtu =
            self.mtu.code() << 4 | u8::from(self.rdc_exists) << 3 | narrow(self.rnr_retries, 3)?;
        let last = narrow(self.max_cm_retries, 4)? << 4
            | u8::from(self.shared_receive_queue) << 3
            | narrow(self.extended_transport, 3)?;
        if (self.local_eecn | self.remote_eecn) >> 24 != 0 {
            return Err(Error::FieldOverflow);
        }
        put::<0, 4>(bytes, self.local_id.0.to_be_bytes());
        put::<8, 8>(bytes, self.service.0.to_be_bytes());
        put::<16, 8>(bytes, self.ca_guid.to_be_bytes());
        put::<28, 4>(bytes, self.qkey.0.to_be_bytes());
        put::<32, 4>(bytes, u24_u8(self.qpn.get(), self.responder_resources));
        put::<36, 4>(bytes, u24_u8(self.local_eecn, self.initiator_depth));
        put::<40, 4>(bytes, u24_u8(self.remote_eecn, transport));
        put::<44, 4>(bytes, u24_u8(self.psn.get(), retries));
        put::<48, 2>(bytes, self.partition.0.to_be_bytes());
        put::<50, 2>(bytes, [mtu, last]);
        put::<52, { Path::LENGTH }>(bytes, self.primary.emit()?);
        if let Some(alternate) = &self.alternate {
            put::<96, { Path::LENGTH }>(bytes, alternate.emit()?);
        }
        put_private::<PRIVATE>(bytes, self.private_data)
    }
}
