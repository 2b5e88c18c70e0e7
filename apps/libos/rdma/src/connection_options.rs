//! How connections are asked for and answered.

use crate::Error;
use crate::private_data::PrivateData;
use reflex_rdma_wire::Transport;
use reflex_rdma_wire::cm::{PortSpace, ServiceId};

/// By what name a port is asked for.
pub(crate) fn service(transport: Transport, port: u16) -> ServiceId {
    let space = match transport {
        Transport::Reliable => PortSpace::Tcp,
        Transport::Unreliable => PortSpace::Any,
        Transport::Datagram => PortSpace::Udp,
    };
    ServiceId::ip(space, port)
}

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub struct Accept {
    pub(crate) data: PrivateData,
    pub(crate) reads: u8,
    pub(crate) rnr_retries: u8,
}

impl Accept {
    /// With nothing to say.
    pub fn new() -> Self {
        Self { data: PrivateData::received(&[]), reads: 16, rnr_retries: 7 }
    }

    /// For the peer's application, at most 196 bytes; 136 where a datagram queue pair was asked for.
    ///
    /// # Errors
    /// [`Error::PrivateData`].
    pub fn data(mut self, data: &[u8]) -> Result<Self, Error> {
        self.data = PrivateData::new(data, 196)?;
        Ok(self)
    }

    /// Reads and atomics that may be outstanding each way, at most 16, and no more than the peer
    /// asked for.
    pub fn reads(mut self, reads: u8) -> Self {
        self.reads = reads.min(16);
        self
    }

    /// How often the peer is to try again when this side has no receive, at most 7, which is for
    /// ever.
    pub fn rnr_retries(mut self, retries: u8) -> Self {
        self.rnr_retries = retries.min(7);
        self
    }
}

impl Default for Accept {
    fn default() -> Self {
        Self::new()
    }
}

/// How a connection is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Connect {
    pub(crate) data: PrivateData,
    pub(crate) reads: u8,
    pub(crate) retries: u8,
    pub(crate) rnr_retries: u8,
}

impl Connect {
    /// With nothing to say.
    pub fn new() -> Self {
        Self { data: PrivateData::received(&[]), reads: 16, retries: 7, rnr_retries: 7 }
    }

    /// For the peer's application, at most 56 bytes.
    ///
    /// # Errors
    /// [`Error::PrivateData`].
    pub fn data(mut self, data: &[u8]) -> Result<Self, Error> {
        self.data = PrivateData::new(data, 56)?;
        Ok(self)
    }

    /// Reads and atomics that may be outstanding each way, at most 16.
    pub fn reads(mut self, reads: u8) -> Self {
        self.reads = reads.min(16);
        self
    }

    /// How often both sides try again without an acknowledge, and how often the peer does when this
    /// side has no receive: at most 7, which is for ever for the latter.
    pub fn retries(mut self, acknowledge: u8, not_ready: u8) -> Self {
        (self.retries, self.rnr_retries) = (acknowledge.min(7), not_ready.min(7));
        self
    }
}

impl Default for Connect {
    fn default() -> Self {
        Self::new()
    }
}
