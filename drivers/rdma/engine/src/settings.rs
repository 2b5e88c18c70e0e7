//! What a queue pair was told, as its states use it.

use crate::time::nanos;
use crate::{Access, Attributes, Domain};
use reflex_rdma_wire::{
    Bth, Envelope, Gid, Opcode, PKey, PathMtu, Psn, QKey, Qpn, RnrTimer, Transport,
};

/// For how many retries there is no end: IBA volume 1, 9.7, has that for a receiver that is not ready
/// alone, Linux for a silent peer, too.
pub(crate) const ENDLESS: u8 = 7;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) number: Qpn,
    pub(crate) transport: Transport,
    pub(crate) domain: Domain,
    /// Packets that may be unacknowledged before the next is sent.
    pub(crate) window: u32,
    pub(crate) envelope: Envelope,
    pub(crate) mtu: PathMtu,
    pub(crate) destination: Qpn,
    pub(crate) partition: PKey,
    pub(crate) access: Access,
    pub(crate) key: QKey,
    pub(crate) max_reads_in: u8,
    pub(crate) max_reads_out: u8,
    pub(crate) rnr_timer: RnrTimer,
    /// Nanoseconds to wait for an acknowledge; `None` is for ever.
    pub(crate) timeout: Option<u64>,
    pub(crate) retries: u8,
    pub(crate) rnr_retries: u8,
    /// Writes that no completion tells of are told.
    pub(crate) tells_writes: bool,
}

impl Settings {
    pub(crate) fn new(
        number: Qpn,
        transport: Transport,
        domain: Domain,
        mtu: PathMtu,
        window: u32,
    ) -> Self {
        Self {
            number,
            transport,
            domain,
            window,
            envelope: Envelope::new(Gid::default(), Gid::default(), 0),
            mtu,
            destination: Qpn::default(),
            partition: PKey::DEFAULT,
            access: Access::NONE,
            key: QKey::default(),
            max_reads_in: 0,
            max_reads_out: 0,
            rnr_timer: RnrTimer::from_code(0),
            timeout: None,
            retries: 0,
            rnr_retries: 0,
            tells_writes: false,
        }
    }

    /// Takes over what is given; the initial sequence numbers are not settings.
    pub(crate) fn apply(&mut self, attributes: &Attributes) {
        fn set<T: Copy>(to: &mut T, from: Option<T>) {
            if let Some(from) = from {
                *to = from;
            }
        }
        set(&mut self.partition, attributes.partition);
        set(&mut self.access, attributes.access);
        set(&mut self.key, attributes.key);
        set(&mut self.envelope, attributes.path);
        set(&mut self.mtu, attributes.mtu);
        set(&mut self.destination, attributes.destination);
        set(&mut self.max_reads_in, attributes.max_reads_in);
        set(&mut self.max_reads_out, attributes.max_reads_out);
        set(&mut self.rnr_timer, attributes.rnr_timer);
        set(&mut self.timeout, attributes.timeout.map(|timeout| timeout.duration().map(nanos)));
        set(&mut self.retries, attributes.retries);
        set(&mut self.rnr_retries, attributes.rnr_retries);
    }

    /// A header for the peer.
    #[inline]
    pub(crate) fn bth(&self, opcode: Opcode, psn: Psn) -> Bth {
        Bth { partition: self.partition, ..Bth::new(opcode, self.destination, psn) }
    }
}
